"""Affected: which rows are new, whose they are, and whether identity mapping has seen them just so."""

from __future__ import annotations

from datetime import date, datetime

import duckdb
import pytest
from tagloom import affected
from tagloom.affected import Covered, StagingViewError
from tagloom.sources import Source
from tagloom.warehouse import prepare_connection

DAY = date(2017, 1, 11)
ZONE = "America/New_York"
COVERED = Covered(datetime(2026, 1, 1, 12), DAY)


def declare(event_time: str | None = "seen_at", event_type: str = "timestamp") -> Source:
    columns = [("visit_id", "text"), ("card", "text"), ("email", "text"), ("seen_at", event_type)]
    table = {
        "name": "visits",
        "title": "Visits",
        "reader": {"kind": "files", "format": "csv", "path": "visits_{date}.csv"},
        "grain": "event",
        "primary_key": ["visit_id"],
        "event_time": event_time,
        "identifiers": {"card": "loyalty_card", "email": "email"},
        "columns": [{"name": name, "type": of_type} for name, of_type in columns],
    }
    named = dict.fromkeys(("title", "title_zh", "owner", "consent_basis", "licence"), "shop")
    return Source.model_validate({"name": "shop", "party": "first", **named, "tables": [table]})


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        prepare_connection(connection)
        connection.execute("create schema operations; create schema raw_shop; create schema staging;")
        connection.execute(
            """
            create table raw_shop.visits (
                visit_id varchar, card varchar, email varchar, seen_at timestamp, _interval date, _landed_at timestamp
            );
            create view staging.stg_shop__visits as
            with source as (select * from raw_shop.visits)
            select trim(card) as card, email, seen_at from source;
            """
        )
        connection.execute(affected.TABLES)
        yield connection


def add(connection, *rows: tuple, landed: str = "2026-01-01 13:00:00") -> None:
    for card, email, seen_at in rows:
        connection.execute(
            "insert into raw_shop.visits values ('v', ?, ?, ?::timestamp, date '2017-01-12', ?::timestamp)",
            [card, email, seen_at, landed],
        )


def collect(connection, source: Source | None = None, covered: Covered = COVERED, day: date = DAY) -> int:
    source = source or declare()
    return affected.collect_new_records(connection, source, source.tables[0], covered, day, ZONE)


def newest_day(connection, covered: Covered = COVERED, source: Source | None = None) -> date | None:
    source = source or declare()
    return affected.newest_event_day(connection, source, source.tables[0], covered, ZONE)


def test_new_are_rows_that_landed_later_written_as_the_staging_view_does(connection):
    add(connection, ("1", None, "2017-01-11 15:00:00"), landed="2026-01-01 12:00:00")
    add(connection, ("2", "a@b.c", "2017-01-11 15:00:00"), (" 2 ", "a@b.c", "2017-01-11 14:00:00"))
    add(connection, ("2", None, "2017-01-11 15:00:00"), (None, None, "2017-01-11 15:00:00"))
    assert collect(connection) == 2
    first_seen = connection.execute("select first_seen_at from operations.new_records order by 1").fetchall()
    assert first_seen == [(datetime(2017, 1, 11, 14),), (datetime(2017, 1, 11, 15),)]


def test_new_are_also_rows_of_days_that_were_not_known_and_days_are_local(connection):
    add(connection, ("1", None, "2017-01-12 04:59:59"), landed="2026-01-01 11:00:00")
    assert (collect(connection), newest_day(connection)) == (0, None)
    add(connection, ("2", None, "2017-01-12 05:00:00"), landed="2026-01-01 11:00:00")
    assert collect(connection) == 0, "the day is after as_of_date"
    assert newest_day(connection) == date(2017, 1, 12)
    assert collect(connection, day=date(2017, 1, 12)) == 1


def test_an_event_dated_after_its_delivery_moves_no_day(connection):
    add(connection, ("1", None, "2017-01-11 15:00:00"), ("2", None, "2017-01-13 00:00:00"))
    assert newest_day(connection) == DAY


def test_dates_count_as_they_are_and_tables_without_a_time_count_whole(connection):
    connection.execute("alter table raw_shop.visits alter column seen_at type date")
    connection.execute("drop view staging.stg_shop__visits")
    connection.execute("create view staging.stg_shop__visits as select card, email, seen_at from raw_shop.visits")
    add(connection, ("1", None, "2017-01-12"), landed="2026-01-01 11:00:00")
    add(connection, ("2", None, "2017-01-11"))
    assert collect(connection, declare(event_type="date")) == 1
    assert newest_day(connection, source=declare(event_type="date")) == date(2017, 1, 12)
    connection.execute("delete from operations.new_records")
    assert collect(connection, declare(event_time=None)) == 1
    assert newest_day(connection, source=declare(event_time=None)) is None


def test_a_table_of_which_no_row_is_covered_is_new_as_a_whole(connection):
    source = declare()
    assert affected.newest_landing(connection, source, source.tables[0]) is None
    add(connection, ("1", None, "2017-01-01 15:00:00"), landed="2020-01-01 11:00:00")
    assert affected.newest_landing(connection, source, source.tables[0]) == datetime(2020, 1, 1, 11)
    assert collect(connection, covered=Covered(None, DAY)) == 1


def test_a_table_that_never_landed_has_no_new_rows(connection):
    connection.execute("drop table raw_shop.visits")
    source = declare()
    assert affected.newest_landing(connection, source, source.tables[0]) is None
    assert (collect(connection), newest_day(connection)) == (0, None)


def test_a_staging_view_that_reads_something_else_is_named(connection):
    connection.execute("drop view staging.stg_shop__visits")
    with pytest.raises(StagingViewError, match=r"staging\.stg_shop__visits does not exist; run build_tags once"):
        collect(connection)
    connection.execute("create table raw_shop.visits_history as from raw_shop.visits")
    connection.execute("create view staging.stg_shop__visits as from raw_shop.visits_history")
    with pytest.raises(StagingViewError, match=r"stg_shop__visits\.sql does not read source\('shop', 'visits'\)"):
        collect(connection)


def test_the_persons_of_new_records_and_whoever_was_moved_are_affected(connection):
    add(connection, ("1", None, "2017-01-11 15:00:00"))
    collect(connection)
    connection.execute(
        """
        create schema identity_mapping;
        create table identity_mapping.identity_observations as
        select source, record_hash, 'loyalty_card' as identifier_type, 'one' as identifier_hash, first_seen_at
        from operations.new_records;
        create table identity_mapping.identity_map as
        from (values ('loyalty_card', 'one', 1), ('email', 'stays', 2), ('email', 'moves', 3), ('email', 'comes', 5))
            as map (identifier_type, identifier_hash, person_id);
        create table operations.identity_before as
        from (values ('loyalty_card', 'one', 1), ('email', 'stays', 2), ('email', 'moves', 4), ('email', 'goes', 6))
            as map (identifier_type, identifier_hash, person_id);
        """
    )
    persons = "select person_id from operations.affected_persons order by person_id"
    assert affected.find_affected_persons(connection, compare_with_before=False) == 1
    assert connection.execute(persons).fetchall() == [(1,)]
    assert affected.find_affected_persons(connection, compare_with_before=True) == 5
    assert connection.execute(persons).fetchall() == [(1,), (3,), (4,), (5,), (6,)]


@pytest.mark.parametrize(
    ("change", "known"),
    [
        ("select 1", True),
        ("update identity_mapping.identity_observations set record_hash = 'another'", False),
        ("update identity_mapping.identity_observations set source = 'another'", False),
        ("update identity_mapping.identity_observations set first_seen_at = first_seen_at + interval 1 second", False),
        ("update identity_mapping.identity_observations set first_seen_at = first_seen_at - interval 1 second", True),
    ],
)
def test_identity_mapping_knows_a_record_that_it_has_seen_just_so_and_as_early(connection, change, known):
    add(connection, ("1", "a@b.c", "2017-01-11 15:00:00"))
    collect(connection)
    connection.execute("create schema identity_mapping")
    connection.execute("create table identity_mapping.identity_observations as from operations.new_records")
    connection.execute(change)
    assert affected.are_known(connection) == known
