"""Who is who over five days: named cases in one small warehouse, built by the layer as it stands, a day at a time.

Each case has identifiers of its own, so that all of them share the builds.
"""

from __future__ import annotations

import hashlib
import hmac
import shutil
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest
from tagloom.settings import Settings
from tagloom.sources import load_sources
from tagloom.transform import run_dbt
from tagloom.warehouse import open_warehouse

from tests.homes import KEY, copy_home, environment_of, settings_of
from tests.parsed_once import share_parsing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

DAYS = [date(2017, 6, day) for day in range(1, 6)]

LAYER = ["path:models/identity_mapping"]

STATE = ("identity_registry", "person_registry", "identity_changes", "identity_map_history")

TABLES = {
    "card": ("raw_loyalty.cards", "registered_at", {"loyalty_card": "card_number"}),
    "customer": (
        "raw_crm.customers",
        "created_at",
        {"crm_customer": "customer_number", "loyalty_card": "loyalty_card", "national_id": "national_id"},
    ),
    "account": ("raw_accounts.accounts", "created_at", {"web_account": "web_user_id", "loyalty_card": "loyalty_card"}),
    "app": ("raw_app.devices", "installed_at", {"app_device": "app_device_id", "web_account": "web_user_id"}),
    "ticket": ("raw_support.tickets", "opened_at", {"support_requester": "requester_id"}),
    "wifi": ("raw_wifi.sightings", "seen_at", {"email": "login_email"}),
}
"""Kind of record -> raw table, its time and the columns of identifiers that are not called by their type."""

SNAPSHOTS = {"card": "loyalty_card", "customer": "crm_customer", "account": "web_account", "app": "app_device"}
"""Kind of record of which the newest delivery replaces the one before -> the number that it is known by."""

Identifier = tuple[str, str]


@dataclass
class Story:
    """What comes in on each day, and the maps that came of it."""

    settings: Settings
    maps: list[dict[Identifier, int]] = field(default_factory=list)
    """Identifier -> person, day by day."""

    def person(self, day: int, kind: str, value: str) -> int | None:
        """The person of an identifier on a day (1 is the first); None when it is nobody's."""
        return self.maps[day - 1].get((kind, value))

    def persons(self, day: int, kind: str, *values: str) -> list[int | None]:
        return [self.person(day, kind, value) for value in values]

    def rows(self, query: str) -> list[tuple]:
        return rows_of(self.settings, query)

    def changes(self, *persons: int) -> list[tuple[str, int, int | None, str]]:
        """Logged changes that one of these persons has a part in, oldest first, without those of the first day."""
        return self.rows(
            "select kind, person_id, other_person_id, because from identity_mapping.identity_changes "
            f"where as_of_date > date '{DAYS[0]}' and (person_id in {persons} or other_person_id in {persons}) "
            "order by run_number, kind, person_id, other_person_id"
        )


def seen(kind: str, day: int, at: str | None = None, **identifiers: str) -> tuple:
    """A record that comes in on a day; `at` is its time when that is another day's."""
    return kind, day, datetime.fromisoformat(f"{at or DAYS[day - 1]} 15:00:00"), identifiers


RECORDS = [
    # chain: one - mail - two - phone - three, and the middle comes last
    seen("customer", 1, crm_customer="chain-1", email="chain@example.org"),
    seen("customer", 1, crm_customer="chain-3", phone="+12125550101"),
    seen("customer", 2, crm_customer="chain-2", email="chain@example.org", phone="+12125550101"),
    # fan-in: three customers turn out to use one card
    *(seen("customer", 1, crm_customer=f"fan-in-{number}") for number in (1, 2, 3)),
    *(seen("customer", 2, crm_customer=f"fan-in-{number}", loyalty_card="100000000001") for number in (1, 2, 3)),
    # fan-out: a card, then an account with three installations of the app
    seen("card", 1, loyalty_card="100000000002"),
    seen("account", 2, web_account="fan-out", loyalty_card="100000000002"),
    *(seen("app", 2, app_device=f"fan-out-{number}", web_account="fan-out") for number in (1, 2, 3)),
    # diamond: card - customer - mail and card - account - mail
    seen("card", 1, loyalty_card="100000000003"),
    seen("ticket", 1, support_requester="diamond", email="diamond@example.org"),
    seen("customer", 2, crm_customer="diamond", loyalty_card="100000000003", email="diamond@example.org"),
    seen("account", 2, web_account="diamond", loyalty_card="100000000003", email="diamond@example.org"),
    # long chain: every second link comes a day later
    seen("app", 1, app_device="long-1", web_account="long-1"),
    seen("account", 2, web_account="long-1", email="long.1@example.org"),
    seen("ticket", 1, support_requester="long-1", email="long.1@example.org", phone="+12125550201"),
    seen("customer", 2, crm_customer="long-1", email="long.2@example.org", phone="+12125550201"),
    seen("ticket", 1, support_requester="long-2", email="long.2@example.org", phone="+12125550202"),
    seen("customer", 2, crm_customer="long-2", email="long.3@example.org", phone="+12125550202"),
    seen("account", 1, web_account="long-2", email="long.3@example.org"),
    seen("app", 2, app_device="long-2", web_account="long-2"),
    # late arrival: a record of a year before comes in on the second day
    seen("customer", 1, crm_customer="late-young", email="late@example.org"),
    seen("customer", 2, at="2016-01-01", crm_customer="late-old", email="late@example.org"),
    # re-observed: the same again, days later
    seen("customer", 1, crm_customer="again", email="again@example.org", phone="+12125550301"),
    seen("customer", 3, crm_customer="again", email="again@example.org", phone="+12125550301"),
    # self-bridge: a new link between two identifiers of one person
    seen("customer", 1, crm_customer="self", email="self@example.org", phone="+12125550401"),
    seen("ticket", 2, support_requester="self", email="self@example.org", phone="+12125550401"),
    # unique conflict: a ticket brings two customers together who have a card each
    seen("customer", 1, crm_customer="conflict", loyalty_card="100000000004", email="conflict@example.org"),
    seen("account", 1, web_account="conflict", loyalty_card="100000000005", phone="+12125550701"),
    seen("ticket", 2, support_requester="conflict", email="conflict@example.org", phone="+12125550701"),
    # recycled phone: a number that another card's holder gets three years later
    seen("card", 1, at="2014-01-01", loyalty_card="100000000006", phone="+12125550501"),
    seen("card", 1, loyalty_card="100000000007"),
    seen("card", 2, loyalty_card="100000000007", phone="+12125550501"),
    # kiosk: five people log in at one device
    *(
        seen("customer", 1, crm_customer=f"kiosk-{number}", email=f"kiosk.{number}@example.org")
        for number in range(1, 6)
    ),
    seen("wifi", 1, device_mac="02:00:00:00:00:01", email="kiosk.1@example.org"),
    *(seen("wifi", 2, device_mac="02:00:00:00:00:01", email=f"kiosk.{number}@example.org") for number in range(2, 6)),
    # family phone: a second card with the number of the first
    seen("card", 1, loyalty_card="100000000008", phone="+12125550601"),
    seen("card", 2, loyalty_card="100000000009", phone="+12125550601"),
    # split and re-merge: two customers with one mail address
    seen("customer", 1, crm_customer="split-1", email="split@example.org"),
    seen("customer", 1, crm_customer="split-2", email="split@example.org"),
]

SPLIT = (("crm_customer", "split-1"), ("crm_customer", "split-2"))
"""Never linked on the third day, linked again on the fourth, parted again on the fifth."""


def hash_of(identifier: Identifier) -> str:
    """The keyed hash that the layer stores instead of the identifier."""
    return hmac.new(KEY.encode(), ":".join(identifier).encode(), hashlib.sha256).hexdigest()


def identifiers_of_story() -> set[Identifier]:
    """Every identifier that comes in, as the layer writes it."""
    return {
        (kind, value.replace(":", "") if kind == "device_mac" else value)
        for _, _, _, identifiers in RECORDS
        for kind, value in identifiers.items()
    }


def rows_of(settings: Settings, query: str) -> list[tuple]:
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        return connection.execute(query).fetchall()


def build(settings: Settings, day: date, *options: str, select: list[str] | None = None) -> None:
    """Build the layer, or some of its models, with its data tests."""
    arguments = ["build", "--select", *(select or LAYER), "--exclude-resource-type", "unit_test", *options]
    with environment_of(settings.home):
        run_dbt(settings, arguments, day)


def map_of(settings: Settings) -> dict[Identifier, int]:
    """Identifier in the clear -> person."""
    hashes = {(kind, hash_of((kind, value))): (kind, value) for kind, value in identifiers_of_story()}
    rows = rows_of(settings, "select identifier_type, identifier_hash, person_id from identity_mapping.identity_map")
    return {hashes[kind, hashed]: person for kind, hashed, person in rows}


def state_of(settings: Settings) -> dict[str, list[tuple]]:
    return {table: rows_of(settings, f"from identity_mapping.{table} order by all") for table in STATE}


def deliver(settings: Settings, day: int) -> None:
    """Put the records of a day into the raw tables."""
    with environment_of(settings.home), open_warehouse(settings) as connection:
        for kind, delivered_on, at, identifiers in RECORDS:
            if delivered_on == day:
                table, time, names = TABLES[kind]
                columns = {time: at} | {names.get(name, name): value for name, value in identifiers.items()}
                if kind in SNAPSHOTS:
                    number = names[SNAPSHOTS[kind]]
                    connection.execute(f"delete from {table} where {number} = ?", [columns[number]])
                connection.execute(
                    f"insert into {table} ({', '.join(columns)}) values ({', '.join('?' * len(columns))})",
                    list(columns.values()),
                )


def decide(settings: Settings, day: int) -> None:
    """What somebody decides by hand on a day."""
    with environment_of(settings.home), open_warehouse(settings) as connection:
        if day in (3, 5):
            (left_type, _), (right_type, _) = SPLIT
            connection.execute(
                "insert into operations.identity_decisions "
                "(decision_id, kind, left_type, left_hash, right_type, right_hash, reason, decided_by, decided_at) "
                "values (?, 'never_link', ?, ?, ?, ?, 'two sisters', 'test', ?)",
                [day, left_type, hash_of(SPLIT[0]), right_type, hash_of(SPLIT[1]), DAYS[day - 1]],
            )
        if day == 4:
            connection.execute("update operations.identity_decisions set withdrawn_at = decided_at")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    share_parsing()
    home = tmp_path_factory.mktemp("identity") / "home"
    settings = settings_of(home)
    with environment_of(home):
        settings.make_folders()
        with open_warehouse(settings) as connection:
            for source in load_sources(settings.sources):
                connection.execute(f"create schema {source.raw_schema}")
                for table in source.tables:
                    columns = ", ".join(f'"{column.name}" {column.sql_type}' for column in table.columns)
                    connection.execute(f'create table {source.raw_schema}."{table.name}" ({columns})')
        below = [
            "build",
            "--select",
            "path:seeds",
            "path:models/staging",
            "--exclude-resource-type",
            "unit_test",
            "test",
        ]
        run_dbt(settings, below, DAYS[0])
    story = Story(settings)
    for number, day in enumerate(DAYS, start=1):
        deliver(settings, number)
        if number == len(DAYS):
            shutil.copytree(home, home.parent / "day_before")
        if number > 1:
            decide(settings, number)
        build(settings, day)
        story.maps.append(map_of(settings))
    return story


@pytest.fixture
def copy(story: Story, tmp_path: Path) -> Settings:
    """A copy of the warehouse after the last day."""
    return copy_home(story.settings.home, tmp_path / "copy")


def test_chain(story):
    one, three = story.person(1, "crm_customer", "chain-1"), story.person(1, "crm_customer", "chain-3")
    assert one != three
    older = min(one, three)
    assert story.persons(2, "crm_customer", "chain-1", "chain-2", "chain-3") == [older] * 3
    assert story.changes(one, three) == [("merge", older, max(one, three), "seen together")]
    redirect = f"select survivor_id, since from identity_mapping.person_redirects where person_id = {max(one, three)}"
    assert story.rows(redirect) == [(older, DAYS[1])]


def test_fan_in(story):
    before = story.persons(1, "crm_customer", "fan-in-1", "fan-in-2", "fan-in-3")
    assert len(set(before)) == 3
    assert set(story.persons(2, "crm_customer", "fan-in-1", "fan-in-2", "fan-in-3")) == {min(before)}
    assert story.person(2, "loyalty_card", "100000000001") == min(before)
    merged = [(kind, person) for kind, person, _, _ in story.changes(*before)]
    assert merged == [("merge", min(before)), ("merge", min(before))]


def test_fan_out(story):
    person = story.person(1, "loyalty_card", "100000000002")
    assert set(story.persons(2, "app_device", "fan-out-1", "fan-out-2", "fan-out-3")) == {person}
    assert story.changes(person, person) == []


def test_diamond(story):
    card, requester = story.person(1, "loyalty_card", "100000000003"), story.person(1, "support_requester", "diamond")
    assert card != requester
    assert story.person(2, "loyalty_card", "100000000003") == story.person(2, "support_requester", "diamond")
    assert (
        story.person(2, "web_account", "diamond") == story.person(2, "crm_customer", "diamond") == min(card, requester)
    )


def test_long_chain(story):
    values = [(kind, value) for kind, value in identifiers_of_story() if "long" in value or "1255502" in value]
    assert len({story.person(1, kind, value) for kind, value in values} - {None}) == 4
    assert {story.person(2, kind, value) for kind, value in values} == {story.person(1, "app_device", "long-1")} or len(
        {story.person(2, kind, value) for kind, value in values}
    ) == 1


def test_late_arrival(story):
    person = story.person(1, "crm_customer", "late-young")
    assert story.persons(2, "crm_customer", "late-young", "late-old") == [person, person]
    assert story.changes(person, person) == []


def test_re_observed(story):
    person = story.person(1, "crm_customer", "again")
    assert [story.person(day, "email", "again@example.org") for day in range(1, 6)] == [person] * 5
    assert story.changes(person, person) == []


def test_self_bridge(story):
    person = story.person(1, "crm_customer", "self")
    assert story.person(2, "support_requester", "self") == person
    assert story.changes(person, person) == []


def test_unique_conflict(story):
    cards = story.persons(1, "loyalty_card", "100000000004", "100000000005")
    assert len(set(cards)) == 2
    assert story.persons(2, "loyalty_card", "100000000004", "100000000005") == cards
    assert story.person(2, "support_requester", "conflict") == story.person(2, "crm_customer", "conflict") == cards[0]
    assert ("component guard",) in story.rows(
        "select distinct rejected_because from identity_mapping.identity_rejected_edges"
    )


def test_recycled_phone(story):
    old, new = story.persons(1, "loyalty_card", "100000000006", "100000000007")
    assert story.person(1, "phone", "+12125550501") == old
    assert story.persons(2, "loyalty_card", "100000000006", "100000000007") == [old, new]
    assert story.person(2, "phone", "+12125550501") == new
    assert story.changes(old, new) == [("reassign", new, old, "seen together")]


def test_kiosk(story):
    values = [f"kiosk-{number}" for number in range(1, 6)]
    assert len(set(story.persons(5, "crm_customer", *values))) == 5
    assert story.persons(1, "crm_customer", *values) == story.persons(5, "crm_customer", *values)
    assert story.person(1, "device_mac", "020000000001") == story.person(1, "crm_customer", "kiosk-1")
    assert story.person(5, "device_mac", "020000000001") is None


def test_family_phone(story):
    first = story.person(1, "loyalty_card", "100000000008")
    assert story.person(1, "phone", "+12125550601") == first
    assert story.person(2, "loyalty_card", "100000000008") == first
    assert story.person(2, "loyalty_card", "100000000009") not in (None, first)
    assert story.person(2, "phone", "+12125550601") is None


def test_split_and_re_merge(story):
    together = story.person(2, "crm_customer", "split-1")
    assert story.person(2, "crm_customer", "split-2") == together
    kept, new = sorted(story.persons(3, "crm_customer", "split-1", "split-2"))
    assert kept == together != new
    assert new > max(person for person in story.maps[1].values()), "a number that was given before"
    assert story.persons(4, "crm_customer", "split-1", "split-2") == [together, together]
    assert story.persons(5, "crm_customer", "split-1", "split-2") == story.persons(
        3, "crm_customer", "split-1", "split-2"
    )
    assert [(kind, *persons) for kind, *persons, _ in story.changes(kept, new)] == [
        ("split", new, kept),
        ("merge", kept, new),
        ("split", new, kept),
    ]
    assert story.changes(kept, new)[0][3] == "never linked"
    assert story.rows(f"select * from identity_mapping.person_redirects where person_id = {new}") == []


def test_the_history_tells_each_day(story):
    for number, day in enumerate(DAYS, start=1):
        as_of = story.rows(
            "select identifier_type, identifier_hash, person_id from identity_mapping.identity_map_history "
            "inner join identity_mapping.identity_registry using (identifier_key) "
            f"where valid_from <= date '{day}' and (valid_to is null or valid_to > date '{day}')"
        )
        expected = {(kind, hash_of((kind, value))): person for (kind, value), person in story.maps[number - 1].items()}
        assert {(kind, hashed): person for kind, hashed, person in as_of} == expected


def test_metrics_show_the_days(story):
    rows = story.rows("select as_of_date, metric, value from identity_mapping.identity_metrics")
    metrics = {(day, metric): value for day, metric, value in rows}
    assert {day for day, _ in metrics} == set(DAYS)
    for number, day in enumerate(DAYS):
        assert metrics[day, "persons"] == len(set(story.maps[number].values()))
        assert metrics[day, "identifiers"] == len(story.maps[number])
    assert metrics[DAYS[2], "changes_split"] == metrics[DAYS[3], "changes_merge"] == 1
    assert metrics[DAYS[2], "churn"] > metrics[DAYS[0], "churn"] == 0
    assert metrics[DAYS[4], "over_merge_rate"] == 0


def test_the_same_day_again_changes_nothing(story, copy):
    before = state_of(copy)
    build(copy, DAYS[-1])
    assert state_of(copy) == before
    assert map_of(copy) == story.maps[-1]


def test_a_full_refresh_keeps_every_number(story, copy):
    before = state_of(copy)
    build(copy, DAYS[-1], "--full-refresh")
    assert state_of(copy) == before
    assert map_of(copy) == story.maps[-1]


def test_a_rebuild_from_raw_with_the_registries_gives_the_same_numbers(story, copy):
    with environment_of(copy.home), open_warehouse(copy) as connection:
        tables = connection.execute(
            "select table_name from duckdb_tables() "
            "where schema_name = 'identity_mapping' and not ends_with(table_name, '_registry')"
        ).fetchall()
        for (table,) in tables:
            connection.execute(f"drop table identity_mapping.{table} cascade")
    build(copy, DAYS[-1])
    assert map_of(copy) == story.maps[-1]


def test_a_past_day_has_its_persons_and_leaves_the_state_alone(story, copy):
    before = state_of(copy)
    build(copy, DAYS[0])
    past = map_of(copy)
    # What somebody has decided since holds for every day.
    assert [past[identifier] for identifier in SPLIT] == [story.maps[-1][identifier] for identifier in SPLIT]
    known = {identifier for identifier in past if identifier in story.maps[0] and "split" not in identifier[1]}
    assert len(known) > 40
    assert {identifier: past[identifier] for identifier in known} == {
        identifier: story.maps[0][identifier] for identifier in known
    }
    assert state_of(copy) == before
    build(copy, DAYS[-1])
    assert map_of(copy) == story.maps[-1]
    assert state_of(copy) == before


@pytest.mark.parametrize("last", ["person_registry", "identity_changes"])
def test_a_run_that_was_killed_between_two_models_is_run_again(story, tmp_path, last):
    copy = copy_home(story.settings.home.parent / "day_before", tmp_path / "killed")
    decide(copy, len(DAYS))
    build(copy, DAYS[-1], select=[f"+{last},{LAYER[0]}"])
    assert state_of(copy) != state_of(story.settings)
    build(copy, DAYS[-1])
    assert map_of(copy) == story.maps[-1]
    assert state_of(copy) == state_of(story.settings)
