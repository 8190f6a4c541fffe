"""A changed definition is noticed, with the day of its first build; spaces, comments and titles are no definition."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest
from tagloom.tags.definition_versions import definition_hash, normalised_sql, record

from tests.plugins.tags.tag_models import model, tag

SQL = "select person_id, count(*) as orders -- all\nfrom {{ ref('int_orders') }}\ngroup by person_id\n"


def made(folder: Path, sql: str = SQL, **changes):
    """A model with one tag."""
    return model("tag_value__a", tag("orders", **changes), folder=folder, sql=sql)


def hash_of(folder: Path, sql: str = SQL, **changes) -> str:
    of = made(folder, sql, **changes)
    return definition_hash(of, of.columns[0])


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select  a ,\n\tb\nfrom t -- of 'all'\n", "select a,b from t"),
        ("select a/* it's */b from t {#- don't -#} where a>1", "select a b from t where a>1"),
        ("select '  --  ' as a, \"x /* y\"  from t", "select '  --  ' as a,\"x /* y\" from t"),
        ("{{ tagloom.in_last_days( 'day' , 30 ) }}", "{{tagloom.in_last_days('day',30)}}"),
        ("select 'it''s  a' as a", "select 'it''s  a' as a"),
    ],
)
def test_normalised_sql(sql, expected):
    assert normalised_sql(sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        SQL.replace("-- all", "-- every one"),
        SQL.replace("\n", "\n\n    "),
        SQL.replace("count(*)", "count( * )"),
        "{# counts orders #}" + SQL,
    ],
)
def test_spaces_and_comments_are_no_definition(tmp_path, sql):
    assert hash_of(tmp_path, sql) == hash_of(tmp_path)


@pytest.mark.parametrize(
    "sql", [SQL.replace("count(*)", "sum(1)"), SQL.replace("int_orders", "int_visits"), SQL.replace("int_", "int_ ")]
)
def test_other_sql_is_another_definition(tmp_path, sql):
    assert hash_of(tmp_path, sql) != hash_of(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "Other"},
        {"title_zh": "别的"},
        {"description": "Said otherwise."},
        {"owner": "crm@example.com"},
        {"status": "draft"},
        {"since": date(2020, 1, 1)},
        {"category": "other"},
        {"version": 2},
        {"history": True},
    ],
)
def test_what_is_said_about_a_tag_is_no_definition(tmp_path, changes):
    assert hash_of(tmp_path, **changes) == hash_of(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"if_missing": "zero"},
        {"unit": "baskets"},
        {"valid_for": "8d"},
        {"data_type": "bigint"},
        {"known_on": "asked_on"},
        {"values": {"a": "甲"}},
    ],
)
def test_what_decides_values_is_definition(tmp_path, changes):
    assert hash_of(tmp_path, **changes) != hash_of(tmp_path)


def test_the_names_of_values_are_no_definition_but_the_values_are(tmp_path):
    before = hash_of(tmp_path, values={"a": "甲", "b": "乙"})
    assert hash_of(tmp_path, values={"b": "丙", "a": "甲"}) == before
    assert hash_of(tmp_path, values={"a": "甲"}) != before


def test_a_hash_is_twelve_digits(tmp_path):
    assert len(hash_of(tmp_path)) == 12
    assert int(hash_of(tmp_path), 16) >= 0


def days(connection) -> list[tuple]:
    return connection.execute(
        "select change_number, version, first_built_on, last_built_on from operations.tag_definitions order by all"
    ).fetchall()


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        yield connection


def test_each_definition_has_the_days_built_with_it(tmp_path, connection):
    assert record(connection, [made(tmp_path)], date(2017, 12, 1)) == []
    assert record(connection, [made(tmp_path)], date(2017, 12, 2)) == []
    changed = SQL.replace("count(*)", "sum(1)")
    assert record(connection, [made(tmp_path, changed, version=2)], date(2017, 12, 3)) == []
    # What it was before comes back.
    assert record(connection, [made(tmp_path, version=3)], date(2017, 12, 4)) == []
    assert days(connection) == [
        (1, 1, date(2017, 12, 1), date(2017, 12, 2)),
        (2, 2, date(2017, 12, 3), date(2017, 12, 3)),
        (3, 3, date(2017, 12, 4), date(2017, 12, 4)),
    ]


def test_recording_again_or_a_past_day_changes_nothing(tmp_path, connection):
    record(connection, [made(tmp_path)], date(2017, 12, 5))
    before = days(connection)
    for day in (date(2017, 12, 5), date(2017, 12, 1), date(2017, 12, 5)):
        record(connection, [made(tmp_path)], day)
        assert days(connection) == before


def test_a_changed_definition_of_the_same_version_is_told(tmp_path, connection):
    record(connection, [made(tmp_path)], date(2017, 12, 1))
    changed = SQL.replace("count(*)", "sum(1)")
    [warning] = record(connection, [made(tmp_path, changed)], date(2017, 12, 2))
    assert warning == (
        "person tag orders: its definition has changed since version 1; raise version: in tag_value__a.yml when values "
        "mean something else now"
    )
    assert record(connection, [made(tmp_path, changed)], date(2017, 12, 3)) == []


def test_a_draft_may_change_as_it_likes(tmp_path, connection):
    record(connection, [made(tmp_path, status="draft")], date(2017, 12, 1))
    assert record(connection, [made(tmp_path, SQL + "limit 1", status="draft")], date(2017, 12, 2)) == []
    assert [number for number, *_ in days(connection)] == [1, 2]


def test_a_deleted_tag_keeps_its_rows(tmp_path, connection):
    record(connection, [made(tmp_path)], date(2017, 12, 1))
    record(connection, [], date(2017, 12, 2))
    assert days(connection) == [(1, 1, date(2017, 12, 1), date(2017, 12, 1))]
