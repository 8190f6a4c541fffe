"""The world: real purchases, clicks and person records woven into the records of one retailer's thirteen systems.

Everything here is a function of its inputs and one seed. Every table has its own random numbers, so that a change in
one table leaves the others as they are.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sample_data.contacts import Person, Rates, format_device, make_persons, show_email, show_phone
from sample_data.inputs import Inputs
from sample_data.lists import ListScale, make_lists
from sample_data.scores import ScoreRuns, make_scores
from sample_data.tickets import TIME_ZONE, make_tickets
from sample_data.visits import VisitScale, make_sightings

SEED = 20170101

World = dict[str, pd.DataFrame]
"""Frames by "<source>.<table>" with the declared columns, and the truth by "truth.records" and "truth.cards"."""

PERSONAL = ["given_name", "surname", "date_of_birth", "street", "suburb", "postcode", "state"]


@dataclass(frozen=True)
class BadRows:
    """Rows that are wrong on purpose, so that quarantine is seen at work. Never among the purchases."""

    repeated_cards: int = 2
    """Loyalty cards that the file holds twice."""
    bad_channels: int = 3
    """Support tickets with a channel that does not exist."""


@dataclass(frozen=True)
class Shares:
    """Which part of the records that are not forms of loyalty cards goes to which system; the rest goes to the CRM."""

    accounts_without_events: float = 350 / 3_000
    support: float = 450 / 3_000
    app: float = 300 / 3_000


def make_world(
    inputs: Inputs,
    seed: int = SEED,
    rates: Rates | None = None,
    shares: Shares | None = None,
    visits: VisitScale | None = None,
    bad_rows: BadRows | None = None,
    runs: ScoreRuns | None = None,
    lists: ListScale | None = None,
) -> World:
    """Make all tables of all systems, and the truth about who is who.

    Raises ValueError when there are fewer persons with a second record than web users.
    """
    rates, shares = rates or Rates(), shares or Shares()
    visits, bad_rows = visits or VisitScale(), bad_rows or BadRows()
    runs, lists = runs or ScoreRuns(), lists or ListScale()

    def random(purpose: str) -> np.random.Generator:
        return np.random.default_rng([seed, zlib.crc32(purpose.encode())])

    originals = inputs.records[inputs.records["is_original"]]
    persons = make_persons(originals, rates, random("contacts"))
    holders = _deal_cards(inputs.transactions, persons, random("cards"))
    cards_of_households = holders.set_index("household_id")["card_number"]
    cards_of_persons = holders.dropna(subset="person").astype({"person": "int64"}).set_index("person")["card_number"]
    users = inputs.web_events["user_id"].unique()
    dealt = _deal_records(inputs.records, len(users), shares, rates, random("records"))
    days = _local_days(inputs.transactions["transaction_timestamp"])

    accounts, account_of_users = _accounts(
        dealt["accounts"], inputs.web_events, persons, cards_of_persons, days, rates, random("accounts")
    )
    account_of_persons = accounts.set_index("person")["web_user_id"]
    devices = _app_devices(dealt["app"], persons, account_of_persons, days, rates, random("app"))
    customers = _crm_customers(dealt["crm"], persons, cards_of_persons, days, rates, random("crm"))
    requesters = dealt["support"].assign(requester_id=_numbers("R", len(dealt["support"]), random("requesters")))
    tickets = make_tickets(requesters, persons, days, rates, random("support"), bad_rows.bad_channels)
    cards = _loyalty_cards(holders, dealt["form"], inputs.transactions, persons, rates, random("loyalty"))
    lines = _basket_lines(inputs.transactions, cards_of_households)
    trips = _trips(inputs.transactions, holders)
    app_owners = devices.loc[devices["device_mac"].notna(), "person"].tolist()
    sightings = make_sightings(trips, persons, app_owners, visits, rates, random("wifi"))

    return {
        "loyalty.cards": _repeat_first_rows(cards, bad_rows.repeated_cards).drop(columns="person"),
        "crm.customers": customers.drop(columns="person"),
        "accounts.accounts": accounts.drop(columns="person"),
        "app.devices": devices.drop(columns="person"),
        "support.tickets": tickets,
        "wifi.sightings": sightings,
        "web.events": _web_events(inputs.web_events, account_of_users),
        "pos.basket_lines": lines,
        "catalogue.products": inputs.products,
        "campaigns.campaigns": inputs.campaigns,
        "campaigns.targets": _with_cards(inputs.targets, cards_of_households),
        "campaigns.coupons": inputs.coupons,
        "campaigns.redemptions": _with_cards(inputs.redemptions, cards_of_households),
        "survey.respondents": _with_cards(inputs.demographics, cards_of_households).rename(
            columns={"age": "age_band", "income": "income_band", "household_comp": "household_composition"}
        ),
        "scores.scores": make_scores(lines, runs, random("scores")),
        "lists.entries": make_lists(lines, customers, accounts, days[-1], lists, random("lists")),
        "truth.records": _true_persons(
            {
                "loyalty": cards.dropna(subset="person").rename(columns={"card_number": "record_key"}),
                "crm": customers.rename(columns={"customer_number": "record_key"}),
                "accounts": accounts.rename(columns={"web_user_id": "record_key"}),
                "app": devices.rename(columns={"app_device_id": "record_key"}),
                "support": requesters.rename(columns={"requester_id": "record_key"}),
            }
        ),
        "truth.cards": pd.DataFrame(
            {
                "card_number": holders["card_number"],
                "household_id": holders["household_id"],
                "true_person": [_person_name(number) for number in holders["person"]],
            }
        ),
    }


def with_check_digit(body: str) -> str:
    """Append the Luhn check digit that the numbers of bank and loyalty cards end with."""
    total = 0
    for place, letter in enumerate(reversed(body)):
        digit = int(letter) * (2 if place % 2 == 0 else 1)
        total += digit - 9 if digit > 9 else digit
    return f"{body}{-total % 10}"


def _deal_cards(transactions: pd.DataFrame, persons: dict[int, Person], rng: np.random.Generator) -> pd.DataFrame:
    """One card per household; as many households as there are persons get one each as holder, the rest get nobody."""
    households = np.sort(transactions["household_id"].unique())
    bodies = rng.choice(900_000_000, size=len(households), replace=False) + 100_000_000
    order = rng.permutation(len(households))
    holder = np.full(len(households), np.nan)
    holder[order[: len(persons)]] = rng.permutation(list(persons))
    return pd.DataFrame(
        {
            "household_id": households,
            "card_number": [int(with_check_digit(f"62{body}")) for body in bodies],
            "person": holder,
        }
    )


def _deal_records(
    records: pd.DataFrame, web_users: int, shares: Shares, rates: Rates, rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """Give every record to one system: one of each person to the loyalty card, the others by turns.

    Nobody has two accounts, two app devices or two requesters; what is left over makes some persons twice known in CRM.
    """
    extras: dict[int, list[int]] = {}
    dealt: dict[str, list[int]] = {"form": [], "accounts": [], "app": [], "support": [], "crm": []}
    for _, group in records.groupby("person", sort=True):
        first, *others = group.index.tolist()
        if others and rng.random() >= rates.form_is_original:
            others.append(first)
            first = others.pop(0)
        dealt["form"].append(first)
        if others:
            extras[int(group["person"].iloc[0])] = rng.permutation(others).tolist()
    count = sum(len(others) for others in extras.values())
    quotas = {
        "accounts": web_users + round(count * shares.accounts_without_events),
        "support": round(count * shares.support),
        "app": round(count * shares.app),
    }
    for system, quota in quotas.items():
        # Persons with many records left come first, more or less, so that few are left with three CRM records.
        open_persons = [number for number, others in extras.items() if others]
        if len(open_persons) < quota:
            raise ValueError(f"{quota} records for {system} are needed, but only {len(open_persons)} persons have one")
        rank = [len(extras[number]) + 3 * rng.random() for number in open_persons]
        for place in np.argsort(rank)[::-1][:quota]:
            dealt[system].append(extras[open_persons[place]].pop())
    dealt["crm"] = [record for others in extras.values() for record in others]
    return {system: records.loc[rng.permutation(numbers)].reset_index(drop=True) for system, numbers in dealt.items()}


def _loyalty_cards(
    holders: pd.DataFrame,
    forms: pd.DataFrame,
    transactions: pd.DataFrame,
    persons: dict[int, Person],
    rates: Rates,
    rng: np.random.Generator,
) -> pd.DataFrame:
    first_purchase = transactions.groupby("household_id")["transaction_timestamp"].min()
    cards = holders.sort_values("card_number", ignore_index=True)
    bought = cards["household_id"].map(first_purchase)
    cards["registered_at"] = _before(bought, 2_000, rng)
    cards["status"] = np.where(rng.random(len(cards)) < 0.015, "blocked", "active")
    cards = cards.merge(forms[["person", *PERSONAL]], on="person", how="left", validate="many_to_one")
    emails, phones = [], []
    for number in cards["person"]:
        if np.isnan(number):
            emails.append(None)
            phones.append(None)
            continue
        person = persons[int(number)]
        emails.append(show_email(person, rates, rng, missing=rates.missing))
        phone = show_phone(person, rates, rng, missing=rates.missing)
        if person.family and rng.random() < rates.family_phone_on_form:
            phone = person.phones[0]
        phones.append(phone)
    cards["email"], cards["phone"] = emails, phones
    return cards[["card_number", "registered_at", "status", *PERSONAL, "email", "phone", "person"]]


def _crm_customers(
    records: pd.DataFrame,
    persons: dict[int, Person],
    cards: pd.Series,
    days: pd.DatetimeIndex,
    rates: Rates,
    rng: np.random.Generator,
) -> pd.DataFrame:
    customers = records[["person", *PERSONAL, "national_id"]].copy()
    customers.insert(0, "customer_number", _numbers("C", len(customers), rng))
    customers["created_at"] = _before(pd.Series([days[-1]] * len(customers)), 1_400, rng)
    people = [persons[number] for number in customers["person"]]
    customers["email"] = [show_email(person, rates, rng, missing=rates.missing) for person in people]
    customers["phone"] = [show_phone(person, rates, rng, missing=rates.missing) for person in people]
    customers["loyalty_card"] = _shown(customers["person"], cards, rates.card_in_crm, rng)
    customers["consent_email"] = rng.random(len(customers)) < 0.62
    customers["consent_phone"] = rng.random(len(customers)) < 0.38
    return customers.sort_values("customer_number", ignore_index=True)


def _accounts(
    records: pd.DataFrame,
    events: pd.DataFrame,
    persons: dict[int, Person],
    cards: pd.Series,
    days: pd.DatetimeIndex,
    rates: Rates,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, pd.Series]:
    """Return the accounts and the account of each web user; the first records are those of the web users."""
    accounts = records[["person", "given_name", "surname", "date_of_birth", "postcode", "state"]].copy()
    accounts.insert(0, "web_user_id", _numbers("W", len(accounts), rng))
    first_seen = events.groupby("user_id")["timestamp"].min()
    account_of_users = pd.Series(accounts["web_user_id"].iloc[: len(first_seen)].to_numpy(), index=first_seen.index)
    latest = pd.Series([*first_seen, *[days[-1]] * (len(accounts) - len(first_seen))])
    accounts["created_at"] = _before(latest, 700, rng)
    # Shops online ask for the birth date, few give it.
    accounts.loc[rng.random(len(accounts)) < 0.5, "date_of_birth"] = None
    people = [persons[number] for number in accounts["person"]]
    # An address to log in with cannot be missing, and is nobody else's.
    accounts["email"] = [show_email(person, rates, rng, missing=0.0, dummy=0.0) for person in people]
    accounts["phone"] = [show_phone(person, rates, rng, missing=rates.missing) for person in people]
    accounts["loyalty_card"] = _shown(accounts["person"], cards, rates.card_in_account, rng)
    accounts["newsletter"] = rng.random(len(accounts)) < 0.44
    return accounts.sort_values("web_user_id", ignore_index=True), account_of_users


def _app_devices(
    records: pd.DataFrame,
    persons: dict[int, Person],
    accounts: pd.Series,
    days: pd.DatetimeIndex,
    rates: Rates,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """An installation shows only e-mail and phone of its record's person: the app asks for no name."""
    count = len(records)
    people = [persons[number] for number in records["person"]]
    installed = _before(pd.Series([days[-1]] * count), 800, rng)
    now = days[-1] + pd.Timedelta(hours=23)
    # Half of all installations were used in the last days, the others were forgotten at some time.
    forgotten = np.where(rng.random(count) < 0.5, rng.random(count) * 0.01, rng.random(count))
    platform = np.where(rng.random(count) < 0.54, "android", "ios")
    devices = pd.DataFrame(
        {
            "app_device_id": [rng.bytes(8).hex() for _ in range(count)],
            "installed_at": installed,
            "last_active_at": (now - (now - installed) * forgotten).dt.floor("s"),
            "platform": platform,
            "app_version": rng.choice(["4.9.2", "5.0.1", "5.1.0", "5.2.3"], size=count, p=(0.1, 0.2, 0.3, 0.4)),
            "push_enabled": rng.random(count) < 0.57,
            "web_user_id": _shown(records["person"], accounts, rates.account_in_app, rng),
            "device_mac": [
                format_device(person.devices[0], 2 if name == "ios" else 0)
                if rng.random() < rates.device_mac_in_app
                else None
                for person, name in zip(people, platform, strict=True)
            ],
            "email": [show_email(person, rates, rng, missing=rates.missing_in_app) for person in people],
            "phone": [show_phone(person, rates, rng, missing=rates.missing_in_app) for person in people],
            "person": records["person"],
        }
    )
    return devices.sort_values("app_device_id", ignore_index=True)


def _web_events(events: pd.DataFrame, account_of_users: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "event_id": [f"E{number:08d}" for number in range(1, len(events) + 1)],
            "occurred_at": events["timestamp"],
            "web_user_id": events["user_id"].map(account_of_users),
            "event": events["event"],
            "platform": events["platform"],
            "channel": events["acquisition_channel"],
        }
    )


def _basket_lines(transactions: pd.DataFrame, cards: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "basket_id": transactions["basket_id"],
            "card_number": transactions["household_id"].map(cards),
            "store_id": transactions["store_id"],
            "product_id": transactions["product_id"],
            "sold_at": transactions["transaction_timestamp"],
            "quantity": transactions["quantity"],
            "sales_value": transactions["sales_value"],
            "retail_discount": transactions["retail_disc"],
            "coupon_discount": transactions["coupon_disc"],
            "coupon_match_discount": transactions["coupon_match_disc"],
        }
    )


def _trips(transactions: pd.DataFrame, holders: pd.DataFrame) -> pd.DataFrame:
    """One row per basket: person, store_id, sold_at; in time order."""
    baskets = transactions.drop_duplicates("basket_id")
    return pd.DataFrame(
        {
            "person": baskets["household_id"].map(holders.set_index("household_id")["person"]),
            "store_id": baskets["store_id"],
            "sold_at": baskets["transaction_timestamp"],
            "basket_id": baskets["basket_id"],
        }
    ).sort_values(["sold_at", "basket_id"], ignore_index=True)


def _with_cards(frame: pd.DataFrame, cards: pd.Series) -> pd.DataFrame:
    """Replace household_id by the number of the household's card."""
    return frame.assign(card_number=frame["household_id"].map(cards)).drop(columns="household_id")


def _true_persons(records: dict[str, pd.DataFrame]) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "source": source,
                "record_key": frame["record_key"].astype("str"),
                "true_person": [_person_name(number) for number in frame["person"]],
            }
        )
        for source, frame in records.items()
    ]
    return pd.concat(parts).sort_values(["source", "record_key"], ignore_index=True)


def _person_name(number: float) -> str | None:
    return None if np.isnan(number) else f"P{int(number):05d}"


def _shown(persons: pd.Series, values: pd.Series, share: float, rng: np.random.Generator) -> pd.Series:
    """The person's value in that share of the rows, null in the others and where the person has none."""
    shown = persons.map(values).astype("object")
    return shown.where((rng.random(len(persons)) < share) & shown.notna(), None)


def _before(latest: pd.Series, days: int, rng: np.random.Generator) -> pd.Series:
    """Moments at least ten minutes and at most so many days before `latest`."""
    seconds = rng.integers(600, days * 86_400, size=len(latest))
    return latest - pd.to_timedelta(seconds, unit="s")


def _numbers(letter: str, count: int, rng: np.random.Generator) -> list[str]:
    """Different numbers of a letter and six digits, in no order."""
    return [f"{letter}{number}" for number in rng.choice(900_000, size=count, replace=False) + 100_000]


def _repeat_first_rows(frame: pd.DataFrame, count: int) -> pd.DataFrame:
    return pd.concat([frame, frame.head(count)], ignore_index=True)


def _local_days(moments: pd.Series) -> pd.DatetimeIndex:
    """All days from the first to the last of UTC moments, as the stores count them."""
    first, last = moments.min(), moments.max()
    local = [moment.tz_localize("UTC").tz_convert(TIME_ZONE).tz_localize(None).normalize() for moment in (first, last)]
    return pd.date_range(*local, freq="D")
