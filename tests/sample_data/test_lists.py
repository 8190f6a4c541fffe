import numpy as np
import pandas as pd
import pytest

from sample_data.lists import COLUMNS, ListScale, make_lists
from sample_data.small import small_world

LAST_DAY = pd.Timestamp("2017-01-11")


@pytest.fixture(scope="module")
def world():
    return small_world()


def _lists(world, scale: ListScale, seed: int = 1) -> pd.DataFrame:
    tables = world["pos.basket_lines"], world["crm.customers"], world["accounts.accounts"]
    return make_lists(*tables, LAST_DAY, scale, np.random.default_rng(seed))


def test_lists_are_as_long_as_they_should_be(world):
    entries = _lists(world, ListScale(vips=5, staff=3, objections=8))
    assert entries["tag"].value_counts().to_dict() == {"do_not_promote": 8, "vip": 5, "staff": 3}
    assert list(entries.columns) == COLUMNS
    assert not entries.duplicated(["identifier_type", "identifier", "tag"]).any()


def test_a_small_world_has_shorter_lists_and_no_error(world):
    entries = _lists(world, ListScale(vips=10_000, staff=10_000, objections=40_000))
    assert (entries["tag"] == "staff").sum() == len(world["crm.customers"])
    assert (entries["tag"] == "vip").sum() == world["pos.basket_lines"]["card_number"].nunique()


def test_entries_are_written_as_the_systems_know_the_customers(world):
    """An identifier that no system knows would make a person of its own, and the demo would know too many."""
    entries = _lists(world, ListScale(vips=20, staff=20, objections=40))
    known = {
        "loyalty_card": set(world["loyalty.cards"]["card_number"].astype("str")),
        "crm_customer": set(world["crm.customers"]["customer_number"]),
        "email": set(world["accounts.accounts"]["email"]),
        "phone": set(world["crm.customers"]["phone"].dropna()),
    }
    for identifier_type, identifiers in entries.groupby("identifier_type")["identifier"]:
        assert set(identifiers) <= known[identifier_type]
    assert set(entries["identifier_type"]) == set(known)


def test_vips_are_among_those_who_spend_most(world):
    sales = world["pos.basket_lines"].groupby("card_number")["sales_value"].sum().sort_values(ascending=False)
    vips = _lists(world, ListScale(vips=6, staff=1, objections=4)).query("tag == 'vip'")["identifier"]
    assert set(vips.astype("int64")) <= set(sales.index[:12])


def test_only_objections_have_no_last_day_and_nothing_is_of_tomorrow(world):
    entries = _lists(world, ListScale(vips=20, staff=20, objections=40))
    assert set(entries.loc[entries["expires_on"].isna(), "tag"]) == {"do_not_promote"}
    assert entries.loc[entries["tag"] == "do_not_promote", "expires_on"].isna().all()
    assert (entries["set_on"] <= LAST_DAY).all()
    assert (entries["expires_on"].dropna() > entries.loc[entries["expires_on"].notna(), "set_on"]).all()
    # Some have expired by the last day, as in life.
    assert 0 < (entries["expires_on"] < LAST_DAY).sum() < len(entries) / 2


def test_every_list_has_its_keeper_and_its_values(world):
    entries = _lists(world, ListScale(vips=20, staff=10, objections=20))
    assert entries.groupby("tag")["owner"].unique().map(list).to_dict() == {
        "do_not_promote": ["privacy@example.com"],
        "staff": ["people@example.com"],
        "vip": ["stores@example.com"],
    }
    assert set(entries.loc[entries["tag"] == "vip", "value"]) == {"gold", "platinum"}
