"""A tiny world for tests: made up from nothing, with all systems and most traps of the real one. No download."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sample_data.contacts import Rates
from sample_data.inputs import RECORD_COLUMNS, Inputs
from sample_data.lists import ListScale
from sample_data.scores import ScoreRuns
from sample_data.tickets import TIME_ZONE
from sample_data.visits import VisitScale
from sample_data.world import BadRows, Shares, World, make_world

FIRST_DAY = pd.Timestamp("2017-01-02")
"""A Monday."""

FUEL_PRODUCT = 9001
NO_CATEGORY_PRODUCT = 9002
MISSING_PRODUCTS = (9998, 9999)
"""Sold, but in no catalogue."""

LATE_HOUSEHOLD = 1
"""Its only basket is paid at 23:10 in New York, so on the next day by UTC, and hands in a coupon."""

BAD_ROWS = BadRows(repeated_cards=0, bad_channels=0)
VISITS = VisitScale(persons=0.3, passers_by=30, busy_days=1, busy_day_visits=90, broken_lines=1)
"""The one broken line, among the sightings of the busiest day, is less than one in a hundred there."""

SHARES = Shares(accounts_without_events=0.1, support=0.15, app=0.15)

RUNS = ScoreRuns(every_days=2, known_days=4, before_end=1)
LISTS = ListScale(vips=6, staff=4, objections=8)

_GIVEN_NAMES = ("emma", "liam", "olivia", "noah", "ava", "lucas", "mia", "ethan", "zoe", "oscar", "ruby", "felix")
_SURNAMES = ("green", "mccarthy", "webb", "novak", "lowe", "hathaway", "chandler", "pulford", "blackwell", "mason")
_STREETS = ("kent street", "station road", "wallaby place", "burnage place", "ridge avenue")
_DEPARTMENTS = {
    "GROCERY": ("COFFEE", "PASTA", "SOFT DRINKS", "FRZN ICE"),
    "PRODUCE": ("BANANAS", "SALAD MIX"),
    "PASTRY": ("BREAD",),
    "MEAT": ("BEEF", "CHICKEN"),
    "DRUG GM": ("VITAMINS", "CANDY"),
}
_WEB_STEPS = ("home", "catalog", "search", "product_view", "add_to_cart", "cart", "payment_details", "purchase")


def small_world(persons: int = 60, days: int = 10, seed: int = 7) -> World:
    """Return the frames of a tiny world, like `make_world`; `write_landing` takes them as they are.

    persons: how many hold a loyalty card (at least 20); a fifth as many cards are anonymous.
    days: local days from FIRST_DAY (at least 3). Baskets late in the evening fall on the next day by UTC.
    Wrong on purpose: one broken line among the WiFi sightings, repeated rows among the coupons.
    """
    if persons < 20 or days < 3:
        raise ValueError(f"small_world needs at least 20 persons and 3 days, not {persons} and {days}")
    inputs = small_inputs(persons, days, seed)
    return make_world(
        inputs, seed=seed, rates=Rates(), shares=SHARES, visits=VISITS, bad_rows=BAD_ROWS, runs=RUNS, lists=LISTS
    )


def small_inputs(persons: int, days: int, seed: int) -> Inputs:
    """Make inputs of the same shapes as those that `read_inputs` reads."""
    rng = np.random.default_rng([seed, persons, days])
    households = persons + max(1, persons // 5)
    products = _products()
    transactions = _transactions(households, days, products["product_id"].tolist(), rng)
    campaigns = pd.DataFrame(
        {
            "campaign_id": [1, 2, 3],
            "campaign_type": ["Type A", "Type B", "Type C"],
            "start_date": [FIRST_DAY - pd.Timedelta(days=20), FIRST_DAY, FIRST_DAY + pd.Timedelta(days=2)],
            "end_date": [FIRST_DAY + pd.Timedelta(days=offset) for offset in (days, days + 20, days + 30)],
        }
    )
    targets = pd.DataFrame(
        [
            (campaign, household)
            for campaign in (1, 2, 3)
            for household in range(1, households + 1)
            if household == LATE_HOUSEHOLD or rng.random() < 0.4
        ],
        columns=["campaign_id", "household_id"],
    )
    coupons = _coupons(products["product_id"].tolist(), rng)
    return Inputs(
        records=_records(persons, rng),
        transactions=transactions,
        products=products,
        campaigns=campaigns,
        targets=targets,
        coupons=coupons,
        redemptions=_redemptions(transactions, targets, coupons, rng),
        demographics=_demographics(households, rng),
        web_events=_web_events(max(4, persons // 5), days, rng),
    )


def _records(persons: int, rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    ids = rng.choice(9_000_000, size=persons, replace=False) + 1_000_000
    for person in range(persons):
        original = {
            "person": person,
            "is_original": True,
            "given_name": str(rng.choice(_GIVEN_NAMES)),
            "surname": str(rng.choice(_SURNAMES)),
            "street": f"{rng.integers(1, 99)} {rng.choice(_STREETS)}",
            "suburb": "ballarat",
            "postcode": f"{rng.integers(2000, 8000)}",
            "state": str(rng.choice(["nsw", "vic", "qld"])),
            "date_of_birth": f"{rng.integers(1930, 2000)}{rng.integers(1, 13):02d}{rng.integers(1, 29):02d}",
            "national_id": str(ids[person]),
        }
        rows.append(original)
        # Two of three persons are known to more systems than the loyalty programme.
        for _ in range(0 if person % 3 == 0 else int(rng.integers(1, 5))):
            rows.append({**original, "is_original": False, **_damage(original, rng)})
    records = pd.DataFrame(rows, columns=RECORD_COLUMNS, dtype="object")
    return records.astype({"person": "int64", "is_original": "bool"})


def _damage(original: dict, rng: np.random.Generator) -> dict:
    """One field missing, or given name and surname changed for each other."""
    if rng.random() < 0.3:
        return {"given_name": original["surname"], "surname": original["given_name"]}
    return {str(rng.choice(["street", "suburb", "date_of_birth", "given_name"])): None}


def _products() -> pd.DataFrame:
    categories = [(department, category) for department, several in _DEPARTMENTS.items() for category in several]
    rows = [
        (1001 + number, 10 + number % 7, department, "Private" if number % 4 == 0 else "National", category)
        for number in range(38)
        for department, category in [categories[number % len(categories)]]
    ]
    rows.append((FUEL_PRODUCT, 2, "FUEL", "Private", "FUEL"))
    rows.append((NO_CATEGORY_PRODUCT, 2, "MISCELLANEOUS", "National", None))
    products = pd.DataFrame(rows, columns=["product_id", "manufacturer_id", "department", "brand", "product_category"])
    products["product_type"] = products["product_category"].replace({"FUEL": "GASOLINE-REG UNLEADED"})
    products["package_size"] = [None if number % 3 == 0 else f"{number} OZ" for number in range(len(products))]
    return products


def _transactions(households: int, days: int, products: list[int], rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    basket = 31_000_000_000
    for household in range(1, households + 1):
        late = household == LATE_HOUSEHOLD
        for trip in range(1 if late else int(rng.integers(1, 7))):
            basket += int(rng.integers(1, 50))
            # Every tenth trip is made so late that it is on the next day by UTC.
            hour = 22 if rng.random() < 0.1 else int(rng.integers(8, 19))
            local = FIRST_DAY + pd.Timedelta(days=int(rng.integers(days)), hours=hour, seconds=int(rng.integers(3_600)))
            if late:
                local = FIRST_DAY + pd.Timedelta(days=1, hours=23, minutes=10)
            elif household == LATE_HOUSEHOLD + 1 and trip == 0:
                # The time covered is known: the first basket of the first day and the last one of the last.
                local = FIRST_DAY + pd.Timedelta(hours=8)
            elif household == LATE_HOUSEHOLD + 2 and trip == 0:
                local = FIRST_DAY + pd.Timedelta(days=days - 1, hours=23, minutes=30)
            sold_at = local.tz_localize(TIME_ZONE).tz_convert("UTC").tz_localize(None)
            chosen = rng.choice(products, size=int(rng.integers(1, 7)), replace=False).tolist()
            # Some households always buy what shows the traps, so that small worlds have them all.
            if household % 8 == 3:
                chosen += [product for product in (FUEL_PRODUCT, NO_CATEGORY_PRODUCT) if product not in chosen]
                chosen.append(MISSING_PRODUCTS[trip % 2])
            store = int(rng.choice([343, 367, 406]))
            for product in chosen:
                rows.append(_line(household, store, basket, product, sold_at, rng))
    return pd.DataFrame(rows).sort_values(["transaction_timestamp", "basket_id", "product_id"], ignore_index=True)


def _line(
    household: int, store: int, basket: int, product: int, sold_at: pd.Timestamp, rng: np.random.Generator
) -> dict:
    fuel = product == FUEL_PRODUCT
    quantity = int(rng.integers(4_000, 16_000)) if fuel else int(rng.integers(1, 5))
    reduced, coupon = rng.random() < 0.3, rng.random() < 0.05
    return {
        "household_id": household,
        "store_id": store,
        "basket_id": basket,
        "product_id": product,
        "quantity": quantity,
        "sales_value": int(rng.integers(1_500, 4_500) if fuel else rng.integers(49, 900) * quantity) / 100,
        "retail_disc": int(rng.integers(10, 150)) / 100 if reduced else 0.0,
        "coupon_disc": 0.5 if coupon else 0.0,
        "coupon_match_disc": 0.25 if coupon and rng.random() < 0.3 else 0.0,
        "transaction_timestamp": sold_at,
    }


def _coupons(products: list[int], rng: np.random.Generator) -> pd.DataFrame:
    rows = [
        (50_000_000_000 + 10 * campaign + number, product, campaign)
        for campaign in (1, 2, 3)
        for number in (1, 2)
        for product in sorted(rng.choice(products[:38], size=5, replace=False).tolist())
    ]
    coupons = pd.DataFrame(rows, columns=["coupon_upc", "product_id", "campaign_id"])
    return pd.concat([coupons, coupons.iloc[::6]], ignore_index=True)


def _redemptions(
    transactions: pd.DataFrame, targets: pd.DataFrame, coupons: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Coupons handed in on days with a trip, as the stores count days."""
    local = transactions["transaction_timestamp"].dt.tz_localize("UTC").dt.tz_convert(TIME_ZONE).dt.tz_localize(None)
    trips = transactions.assign(redemption_date=local.dt.normalize())[["household_id", "redemption_date"]]
    chances = trips.drop_duplicates().merge(targets, on="household_id")
    chances = chances.merge(coupons[["coupon_upc", "campaign_id"]].drop_duplicates("campaign_id"), on="campaign_id")
    handed_in = (rng.random(len(chances)) < 0.15) | chances["household_id"].eq(LATE_HOUSEHOLD)
    columns = ["household_id", "coupon_upc", "campaign_id", "redemption_date"]
    return chances.loc[handed_in, columns].reset_index(drop=True)


def _demographics(households: int, rng: np.random.Generator) -> pd.DataFrame:
    asked = [household for household in range(1, households + 1) if household % 3 == 1]
    size = len(asked)
    return pd.DataFrame(
        {
            "household_id": asked,
            "age": rng.choice(["19-24", "25-34", "35-44", "45-54", "55-64", "65+"], size=size),
            "income": rng.choice(["Under 15K", "35-49K", "50-74K", "250K+"], size=size),
            "home_ownership": rng.choice(np.array(["Homeowner", "Renter", None], dtype=object), size=size),
            "marital_status": rng.choice(np.array(["Married", "Unmarried", None], dtype=object), size=size),
            "household_size": rng.choice(["1", "2", "3", "5+"], size=size),
            "household_comp": rng.choice(["1 Adult No Kids", "2 Adults No Kids", "2 Adults Kids"], size=size),
            "kids_count": rng.choice(["0", "1", "3+"], size=size),
        }
    )


def _web_events(users: int, days: int, rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for user in range(users):
        platform = str(rng.choice(["desktop", "mobile", "tablet"]))
        channel = str(rng.choice(["organic", "paid_search", "email", "social", "direct"]))
        for session in range(1 if user == 0 else int(rng.integers(1, 4))):
            moment = FIRST_DAY + pd.Timedelta(days=int(rng.integers(days)), hours=int(rng.integers(12, 23)))
            # The first visitor buys; the others leave at some step.
            steps = len(_WEB_STEPS) if user == 0 and session == 0 else int(rng.integers(1, len(_WEB_STEPS) + 1))
            for event in _WEB_STEPS[:steps]:
                moment += pd.Timedelta(seconds=int(rng.integers(5, 300)))
                rows.append((f"user_{user:04d}", event, moment, platform, channel))
    columns = ["user_id", "event", "timestamp", "platform", "acquisition_channel"]
    return pd.DataFrame(rows, columns=columns).sort_values("timestamp", kind="stable", ignore_index=True)
