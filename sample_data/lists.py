"""Lists that people keep in spreadsheets: important customers, staff, and who wants no advertising. All made up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

COLUMNS = ["identifier_type", "identifier", "tag", "value", "owner", "set_on", "expires_on"]

VIP, STAFF, OBJECTION = "stores@example.com", "people@example.com", "privacy@example.com"
"""Who keeps which list."""


@dataclass(frozen=True)
class ListScale:
    """How many customers are on the lists."""

    vips: int = 60
    staff: int = 40
    objections: int = 90


def make_lists(
    lines: pd.DataFrame,
    customers: pd.DataFrame,
    accounts: pd.DataFrame,
    last_day: pd.Timestamp,
    scale: ListScale,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Make the lists as they stand on the evening of `last_day`.

    Store managers name the cards with the largest sales as VIPs and confirm them when they think of it, so some entries
    are old and some have expired. The personnel department knows its people by customer number. Objections come by
    e-mail, phone or at the till, and hold until they are taken back.

    lines: basket lines with card_number and sales_value. customers, accounts: tables of the CRM and the web shop, whose
    identifiers are written as these systems have them.
    """
    sales = lines.groupby("card_number")["sales_value"].sum().sort_values(ascending=False, kind="stable")
    best = sales.index[: 2 * scale.vips].to_numpy()
    entries = pd.concat(
        [
            _entries("loyalty_card", rng.choice(best, _few(scale.vips, best), replace=False), "vip", VIP),
            _entries("crm_customer", _some(customers["customer_number"], scale.staff, rng), "staff", STAFF),
            _entries("email", _some(accounts["email"], scale.objections // 2, rng), "do_not_promote", OBJECTION),
            _entries("phone", _some(customers["phone"], scale.objections // 4, rng), "do_not_promote", OBJECTION),
            _entries("loyalty_card", _some(sales.index, scale.objections // 4, rng), "do_not_promote", OBJECTION),
        ],
        ignore_index=True,
    )
    entries["value"] = np.select(
        [entries["tag"].eq("vip"), entries["tag"].eq("staff")],
        [rng.choice(["gold", "platinum"], size=len(entries), p=(0.75, 0.25)), "yes"],
        "objection",
    )
    days = pd.to_timedelta(rng.integers(0, 500, size=len(entries)), unit="D")
    entries["set_on"] = last_day - days
    # Entries of VIPs and staff hold for so many days; objections have no end.
    holds = pd.to_timedelta(np.where(entries["tag"].eq("vip"), 450, 730), unit="D")
    entries["expires_on"] = (entries["set_on"] + holds).where(entries["tag"].ne("do_not_promote"))
    entries = entries.sort_values(["tag", "identifier_type", "identifier"], ignore_index=True)
    return entries[COLUMNS]


def _entries(identifier_type: str, identifiers: np.ndarray, tag: str, owner: str) -> pd.DataFrame:
    """Entries of one list, by identifiers of one type; the same identifier twice is one entry."""
    identifiers = pd.Series(identifiers).astype("str").drop_duplicates()
    return pd.DataFrame(
        {"identifier_type": identifier_type, "identifier": identifiers, "tag": tag, "owner": owner}, dtype="object"
    )


def _some(identifiers: pd.Series | pd.Index, count: int, rng: np.random.Generator) -> np.ndarray:
    known = pd.Series(identifiers).dropna().to_numpy()
    return rng.choice(known, _few(count, known), replace=False)


def _few(count: int, known: np.ndarray) -> int:
    return min(count, len(known))
