"""Small tables that tags of everybody read: a day that leaves them as they are computes nobody because of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import duckdb
import pytest
from tagloom.day_build import causes, small_tables
from tagloom.day_build.causes import Causes
from tagloom.day_build.models import Graph
from tagloom.day_build.plan import TABLES, Base
from tagloom.windows import Reading, Window

BEFORE, DAY = date(2018, 1, 1), date(2018, 1, 2)

MODELS = {
    "persons": ("identity_mapping", "table", []),
    "household_members": ("identity_mapping", "table", []),
    "never_read": ("identity_mapping", "table", []),
    "int_orders": ("intermediate", "table_of_persons", []),
    "int_baselines": ("intermediate", "table", ["int_orders"]),
    "tag_taste": ("tag_category", "table_of_persons", ["persons", "int_orders", "int_baselines"]),
    "tag_home": ("tag_category", "table_of_persons", ["household_members", "tag_taste"]),
}


@pytest.fixture
def manifest() -> dict:
    return {
        "nodes": {
            f"model.{name}": {
                "name": name,
                "resource_type": "model",
                "schema": schema,
                "original_file_path": f"models/{name}.sql",
                "config": {"materialized": materialized},
                "depends_on": {"nodes": [f"model.{parent}" for parent in parents]},
            }
            for name, (schema, materialized, parents) in MODELS.items()
        }
    }


@pytest.fixture
def connection(manifest: dict) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse whose base has just been finished."""
    with duckdb.connect() as connection:
        connection.execute("create schema identity_mapping; create schema intermediate; create schema tag_category")
        connection.execute("create table identity_mapping.persons as select range as person_id from range(10)")
        connection.execute(
            "create table identity_mapping.household_members as "
            "select range as person_id, 'H1' as household_id, date '2016-03-01' + range::integer as since from range(4)"
        )
        connection.execute(
            "create table intermediate.int_orders as select range as person_id, date '2017-12-20' as order_date "
            "from range(10)"
        )
        connection.execute(
            "create table intermediate.int_baselines as "
            "select * from (values ('MEAT', 3.5, date '2017-12-31'), ('DELI', 3.5, date '2017-11-30')) "
            "as b(name, n, day)"
        )
        connection.execute("create table tag_category.tag_taste as select range as person_id from range(10)")
        connection.execute(TABLES)
        small_tables.remember(connection, manifest)
        yield connection


@pytest.fixture
def why(connection: duckdb.DuckDBPyConnection, manifest: dict, monkeypatch: pytest.MonkeyPatch):
    """Causes of a model of tags, with this reading of its SQL."""

    def causes_of(name: str, reading: Reading | None = None, layer: str = "tag_category") -> frozenset | None:
        nothing = Reading(frozenset(), ())
        monkeypatch.setattr(
            causes.Causes, "reading", lambda _, node: reading if reading and node["name"] == name else nothing
        )
        of_day = Causes(Graph(connection, manifest, layer), Base(BEFORE, "", BEFORE, BEFORE), DAY, renderer=None)
        return of_day.why_rows_change(manifest["nodes"][f"model.{name}"])

    return causes_of


def test_tables_without_persons_that_tags_read_are_remembered(connection, manifest):
    assert small_tables.small_tables(manifest) == [
        ("identity_mapping", "household_members"),
        ("intermediate", "int_baselines"),
    ]
    assert connection.execute("select count(*) from operations.base_tables").fetchall() == [(2,)]


def test_an_unchanged_table_is_no_cause(why):
    assert why("tag_taste") == {("changed", "persons"), ("changed", "int_orders")}
    assert why("tag_home") == {("changed", "persons"), ("changed", "int_orders")}


def test_the_order_of_the_rows_is_no_change(connection, why):
    connection.execute(
        "create or replace table intermediate.int_baselines as from intermediate.int_baselines order by 1"
    )
    assert why("tag_taste") is not None


@pytest.mark.parametrize(
    "change",
    [
        "update intermediate.int_baselines set n = 3.6 where name = 'MEAT'",
        "delete from intermediate.int_baselines where name = 'MEAT'",
        "insert into intermediate.int_baselines from intermediate.int_baselines where name = 'MEAT'",
        "update intermediate.int_baselines set name = case when name = 'MEAT' then 'DELI' else 'MEAT' end, n = n + 1",
        "delete from operations.base_tables",
    ],
)
def test_a_change_is_a_cause_for_everybody_and_for_what_reads_these_tags(connection, why, change):
    connection.execute(change)
    assert why("tag_taste") is None
    assert why("tag_home") is None


def test_a_change_that_is_taken_back_stays_a_cause_until_the_build_is_finished(connection, why, manifest):
    """A build that was killed may have computed tags from it."""
    connection.execute("update intermediate.int_baselines set n = n + 1")
    assert why("tag_taste") is None
    connection.execute("update intermediate.int_baselines set n = n - 1")
    assert why("tag_taste") is None
    small_tables.remember(connection, manifest)
    assert why("tag_taste") is not None


def test_facts_of_the_day_are_not_there_while_facts_are_built(why):
    assert why("tag_taste", layer="intermediate") is None


def test_a_date_of_an_unchanged_table_that_reaches_a_window_is_a_cause(why):
    """Of its persons where it has any, of everybody else."""
    turned = Reading(frozenset({Window("day", 1, counts_limit=True)}), ())
    assert why("tag_taste", turned) is None
    not_yet = Reading(frozenset({Window("day", 0, counts_limit=True)}), ())
    assert why("tag_taste", not_yet) is not None
    of_members = why("tag_home", Reading(frozenset({Window("since", 30, counts_limit=True)}), ()))
    assert {cause[3:6] for cause in of_members if cause[0] == "edge"} == {
        ("identity_mapping", "household_members", "since")
    }


def persons_with(connection: duckdb.DuckDBPyConnection, why: frozenset) -> set[int]:
    return {row[0] for row in connection.execute(causes.select_persons(why)).fetchall()}


@pytest.mark.parametrize(
    ("columns", "reading", "persons"),
    [
        (
            "case person_id when 1 then date '1980-01-02' when 2 then date '1980-01-01' "
            "when 3 then date '1980-01-03' end as born",
            Reading(frozenset(), (), frozenset({"born"})),
            {1},
        ),
        (
            # Of 2 January in New York; of the day before; of the day after; and of a moment that is 2 January by UTC.
            "case person_id when 1 then timestamp '2015-01-03 03:00' when 2 then timestamp '2014-12-31 12:00' "
            "when 3 then timestamp '2015-01-04 12:00' when 4 then timestamp '2015-01-02 12:00' end as joined_at",
            Reading(
                frozenset(),
                ("CAST(TIMEZONE('America/New_York', TIMEZONE('UTC', joined_at)) AS DATE) as joined",),
                frozenset({"joined"}),
            ),
            {1, 4},
        ),
        (
            # A name that the table has, too, and the model makes of another column.
            "date '1990-05-05' as day, case person_id when 1 then timestamp '2018-01-03 03:00' end as seen_at",
            Reading(
                frozenset({Window("day", 0, counts_limit=False)}),
                ("CAST(TIMEZONE('America/New_York', TIMEZONE('UTC', seen_at)) AS DATE) as day",),
            ),
            {1},
        ),
    ],
)
def test_persons_with_an_anniversary_or_a_local_day_that_is_reached(connection, why, columns, reading, persons):
    connection.execute(
        f"create or replace table identity_mapping.persons as select *, {columns} from range(9) as r(person_id)"
    )
    assert persons_with(
        connection, why("tag_taste", reading) - {("changed", "persons"), ("changed", "int_orders")}
    ) == (persons)
