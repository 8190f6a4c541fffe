import pandas as pd
import pytest

from sample_data.small import (
    FIRST_DAY,
    FUEL_PRODUCT,
    LATE_HOUSEHOLD,
    MISSING_PRODUCTS,
    NO_CATEGORY_PRODUCT,
    small_world,
)

TABLES = {
    "accounts.accounts",
    "app.devices",
    "campaigns.campaigns",
    "campaigns.coupons",
    "campaigns.redemptions",
    "campaigns.targets",
    "catalogue.products",
    "crm.customers",
    "lists.entries",
    "loyalty.cards",
    "pos.basket_lines",
    "scores.scores",
    "support.tickets",
    "survey.respondents",
    "truth.cards",
    "truth.records",
    "web.events",
    "wifi.sightings",
}


@pytest.fixture(scope="module")
def world():
    return small_world()


def _local(moments):
    return moments.dt.tz_localize("UTC").dt.tz_convert("America/New_York").dt.tz_localize(None)


def test_all_tables_are_there_with_a_few_rows(world):
    assert set(world) == TABLES
    assert all(len(frame) >= 3 for frame in world.values())


def test_sixty_persons_hold_cards_and_twelve_cards_are_anonymous(world):
    cards = world["truth.cards"]
    assert (len(cards), cards["true_person"].nunique(), cards["true_person"].isna().sum()) == (72, 60, 12)
    assert set(world["pos.basket_lines"]["card_number"]) == set(cards["card_number"])


def test_baskets_cover_ten_local_days_and_eleven_of_utc(world):
    sold_at = world["pos.basket_lines"]["sold_at"]
    days = _local(sold_at).dt.normalize()
    assert (days.min(), days.max()) == (FIRST_DAY, FIRST_DAY + pd.Timedelta(days=9))
    assert sold_at.dt.normalize().max() == FIRST_DAY + pd.Timedelta(days=10)


def test_the_traps_of_the_real_data_are_there(world):
    products = world["catalogue.products"].set_index("product_id")
    sold = set(world["pos.basket_lines"]["product_id"])
    assert {FUEL_PRODUCT, NO_CATEGORY_PRODUCT, *MISSING_PRODUCTS} <= sold
    assert products.loc[FUEL_PRODUCT, "department"] == "FUEL"
    assert pd.isna(products.loc[NO_CATEGORY_PRODUCT, "product_category"])
    assert not set(MISSING_PRODUCTS) & set(products.index)
    assert world["campaigns.coupons"].duplicated().any()


def test_redemptions_have_a_trip_by_local_day_but_not_all_by_utc_day(world):
    lines = world["pos.basket_lines"]
    local = set(zip(lines["card_number"], _local(lines["sold_at"]).dt.normalize(), strict=True))
    utc = set(zip(lines["card_number"], lines["sold_at"].dt.normalize(), strict=True))
    redemptions = world["campaigns.redemptions"]
    days = set(zip(redemptions["card_number"], redemptions["redemption_date"], strict=True))
    assert days <= local
    cards = world["truth.cards"].set_index("household_id")["card_number"]
    assert cards[LATE_HOUSEHOLD] in {card for card, _ in days - utc}


def test_targets_name_only_known_cards_and_redeemers_were_addressed(world):
    targets = set(world["campaigns.targets"][["campaign_id", "card_number"]].itertuples(index=False, name=None))
    redeemed = set(world["campaigns.redemptions"][["campaign_id", "card_number"]].itertuples(index=False, name=None))
    assert redeemed <= targets


@pytest.mark.parametrize(("persons", "days"), [(19, 10), (60, 2)])
def test_too_small_a_world_is_refused(persons, days):
    with pytest.raises(ValueError, match="at least 20 persons and 3 days"):
        small_world(persons=persons, days=days)


@pytest.mark.parametrize("seed", [1, 2])
def test_any_seed_and_size_gives_a_whole_world(seed):
    world = small_world(persons=20, days=3, seed=seed)
    assert set(world) == TABLES
    assert all(len(frame) for frame in world.values())
