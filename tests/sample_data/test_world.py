import numpy as np
import pandas as pd
import pytest

from sample_data.contacts import (
    DUMMY_EMAILS,
    DUMMY_PHONES,
    Rates,
    format_device,
    format_email,
    format_phone,
    make_persons,
    show_email,
    show_phone,
    unique_devices,
    unique_phones,
)
from sample_data.inputs import read_febrl
from sample_data.small import small_inputs
from sample_data.world import BadRows, make_world, with_check_digit

KEYS = {
    "loyalty": ("loyalty.cards", "card_number"),
    "crm": ("crm.customers", "customer_number"),
    "accounts": ("accounts.accounts", "web_user_id"),
    "app": ("app.devices", "app_device_id"),
    "support": ("support.tickets", "requester_id"),
}


@pytest.fixture(scope="module")
def inputs():
    return small_inputs(persons=60, days=10, seed=3)


@pytest.fixture(scope="module")
def world(inputs):
    return make_world(inputs)


def test_every_person_record_is_one_record_of_one_system(inputs, world):
    truth = world["truth.records"]
    assert len(truth) == len(inputs.records)
    assert not truth.duplicated(["source", "record_key"]).any()
    records_of_persons = inputs.records["person"].value_counts().sort_values().tolist()
    assert truth["true_person"].value_counts().sort_values().tolist() == records_of_persons
    for source, (table, key) in KEYS.items():
        delivered = set(world[table][key].astype("str"))
        known = set(truth.loc[truth["source"] == source, "record_key"])
        assert known <= delivered
        if source != "loyalty":
            assert known == delivered


def test_anonymous_cards_show_nothing_about_a_person(inputs, world):
    cards = world["loyalty.cards"].drop_duplicates()
    truth = world["truth.cards"].set_index("card_number")["true_person"]
    anonymous = cards[cards["card_number"].map(truth).isna()]
    assert len(anonymous) == inputs.transactions["household_id"].nunique() - 60
    assert anonymous.drop(columns=["card_number", "registered_at", "status"]).isna().all(axis=None)


def test_no_frame_of_a_source_gives_the_truth_away(world):
    for name, frame in world.items():
        if name.startswith("truth."):
            continue
        assert not {"person", "household_id", "true_person", "is_original"} & set(frame.columns), name
        text = frame.select_dtypes(include=["object", "str"])
        assert not text.apply(lambda column: column.astype("str").str.contains("^P\\d{5}$|rec-")).any(axis=None), name


def test_cards_have_twelve_digits_and_a_check_digit(world):
    numbers = world["truth.cards"]["card_number"].astype("str")
    assert numbers.str.fullmatch("62[0-9]{10}").all()
    assert all(with_check_digit(number[:-1]) == number for number in numbers)
    assert with_check_digit("7992739871") == "79927398713"
    by_household = world["truth.cards"].sort_values("household_id")["card_number"]
    assert not by_household.is_monotonic_increasing
    assert by_household.is_unique


def test_records_begin_before_what_was_done_with_them(world):
    cards = world["loyalty.cards"].drop_duplicates().set_index("card_number")["registered_at"]
    lines = world["pos.basket_lines"]
    assert (lines["card_number"].map(cards) < lines["sold_at"]).all()
    accounts = world["accounts.accounts"].set_index("web_user_id")["created_at"]
    events = world["web.events"]
    assert (events["web_user_id"].map(accounts) < events["occurred_at"]).all()
    devices = world["app.devices"]
    assert (devices["installed_at"] <= devices["last_active_at"]).all()
    tickets = world["support.tickets"].dropna(subset="closed_at")
    assert (tickets["opened_at"] < tickets["closed_at"]).all()


def test_customers_are_seen_in_the_store_where_they_pay_soon_after(world):
    seen = world["wifi.sightings"]
    paying = seen[seen["zone"] == "checkout"]
    assert len(paying) > 0
    baskets = world["pos.basket_lines"].drop_duplicates("basket_id")
    for row in paying.itertuples():
        wait = baskets.loc[baskets["store_id"] == row.store_id, "sold_at"] - row.seen_at
        assert wait.between(pd.Timedelta(0), pd.Timedelta(minutes=5)).any()


def test_bad_rows_are_as_many_as_declared(inputs):
    world = make_world(inputs, bad_rows=BadRows(repeated_cards=2, bad_channels=3))
    assert world["loyalty.cards"]["card_number"].duplicated().sum() == 2
    assert (~world["support.tickets"]["channel"].isin(["email", "phone", "chat"])).sum() == 3


def test_the_seed_decides_everything(inputs, world):
    again, other = make_world(inputs), make_world(inputs, seed=1)
    for name, frame in world.items():
        pd.testing.assert_frame_equal(frame, again[name])
    assert not world["truth.cards"].equals(other["truth.cards"])


def test_too_few_persons_for_the_web_users_is_an_error(inputs):
    few = inputs.records[inputs.records["is_original"]]
    with pytest.raises(ValueError, match="records for accounts are needed, but only 0 persons have one"):
        make_world(type(inputs)(**{**vars(inputs), "records": few}))


def test_contact_data_are_wrong_as_often_as_declared():
    rng = np.random.default_rng(5)
    rates = Rates()
    people = pd.DataFrame({"person": range(4_000), "given_name": "ann", "surname": "lee"})
    persons = make_persons(people, rates, rng)
    emails = {number: show_email(person, rates, rng, missing=0.08) for number, person in persons.items()}
    phones = {number: show_phone(person, rates, rng, missing=0.08) for number, person in persons.items()}
    clean = {number: email.strip().lower() for number, email in emails.items() if email}
    digits = {number: "".join(filter(str.isdigit, phone))[-10:] for number, phone in phones.items() if phone}
    size = len(persons)
    dummies = {"".join(filter(str.isdigit, phone)) for phone in DUMMY_PHONES}
    known = sum(email in persons[number].emails for number, email in clean.items())
    second = sum(email == persons[number].emails[1] for number, email in clean.items())
    assert 1 - len(clean) / size == pytest.approx(rates.missing, abs=0.015)
    assert sum(email in DUMMY_EMAILS for email in clean.values()) / size == pytest.approx(rates.dummy_email, abs=0.006)
    assert sum(phone in dummies for phone in digits.values()) / size == pytest.approx(rates.dummy_phone, abs=0.006)
    assert second / known == pytest.approx(rates.alternate, abs=0.015)
    assert 1 - (known + size * rates.dummy_email) / len(clean) == pytest.approx(rates.typo, abs=0.008)
    family = sum(person.family for person in persons.values())
    assert family == round(size * rates.family_phone / 2) * 2
    assert len({person.phones[0] for person in persons.values()}) == size - family // 2


def test_formats_of_contact_data_can_be_undone():
    rng = np.random.default_rng(1)
    for _ in range(50):
        assert format_email("ann.lee7@example.com", rng).strip().lower() == "ann.lee7@example.com"
        assert "".join(filter(str.isdigit, format_phone("5552345678", rng)))[-10:] == "5552345678"
    styles = {format_device("02abcdef0123", style) for style in range(4)}
    assert styles == {"02:ab:cd:ef:01:23", "02-ab-cd-ef-01-23", "02:AB:CD:EF:01:23", "02-AB-CD-EF-01-23"}


def test_made_up_numbers_belong_to_nobody():
    rng = np.random.default_rng(2)
    phones = unique_phones(5_000, rng)
    assert len(set(phones)) == 5_000
    assert all(len(phone) == 10 and phone.startswith("555") and phone[3:6] != "555" for phone in phones)
    devices = unique_devices(5_000, rng)
    # 02: locally administered, and of a single device.
    assert len(set(devices)) == 5_000
    assert all(len(device) == 12 and device.startswith("02") for device in devices)


def test_febrl_records_lose_their_blanks_and_their_ids():
    content = (
        b"rec_id, given_name, surname, street_number, address_1, address_2, suburb, postcode, state, "
        b"date_of_birth, soc_sec_id\n"
        b"rec-552-dup-3, harley, mccarthy, 177, pridhamstreet, milton, marsden, 3165, nsw, 19080419, 6089216\n"
        b"rec-552-org, , mccarthy, , , , marsden, 0800, , , 6089216\n"
    )
    records = read_febrl(content)
    original, duplicate = records.to_dict("records")
    assert original == {
        "person": 552,
        "is_original": True,
        "given_name": None,
        "surname": "mccarthy",
        "street": None,
        "suburb": "marsden",
        "postcode": "0800",
        "state": None,
        "date_of_birth": None,
        "national_id": "6089216",
    }
    assert (duplicate["is_original"], duplicate["street"]) == (False, "177 pridhamstreet")
