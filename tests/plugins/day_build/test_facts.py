"""Which rows of large facts a day takes away, and over which landed rows it computes their successors."""

from __future__ import annotations

from types import SimpleNamespace

import duckdb
import pytest
from tagloom.day_build import facts as facts_module
from tagloom.day_build.facts import Facts
from tagloom.day_build.models import Graph, Prepared
from tagloom.replacing import NEW, OLD

SIGHTINGS = """
create schema staging; create schema intermediate; create schema operations;
create table operations.changed_rows (model varchar, person_id bigint);
create table operations.moved_identifiers (identifier_type varchar, identifier_hash varchar, person_id bigint);
create table staging.stg_wifi__sightings (device varchar, shop varchar, seen_at timestamp);
create table intermediate.int_visits (
    number integer, person_id bigint, device_hash varchar, shop varchar, started_at timestamp, ended_at timestamp
);
insert into intermediate.int_visits values
    (1, 7, 'hash of A', 'north', '2018-01-01 09:00:00', '2018-01-01 09:10:00'),
    (2, 7, 'hash of A', 'north', '2018-01-01 12:00:00', '2018-01-01 12:20:00'),
    (3, 7, 'hash of A', 'south', '2018-01-01 12:00:00', '2018-01-01 12:20:00'),
    (4, 8, 'hash of B', 'north', '2018-01-01 12:00:00', '2018-01-01 12:20:00'),
    (5, 7, 'hash of A', 'north', '2017-12-20 12:00:00', '2017-12-20 12:20:00'),
    (6, null, null, 'north', '2018-01-01 12:00:00', '2018-01-01 12:20:00');
insert into staging.stg_wifi__sightings
select right(device_hash, 1), shop, unnest([started_at, ended_at]) from intermediate.int_visits;
"""

VISITS = {
    "from": "started_at",
    "to": "ended_at",
    "facts": {"stg_wifi__sightings": "seen_at"},
    "of": {"device": "device_hash", "shop": "shop"},
    "identifier": {"device_mac": "device_hash"},
}

BASKETS = """
create schema staging; create schema intermediate; create schema operations;
create table operations.changed_rows (model varchar, person_id bigint);
create table operations.moved_identifiers (identifier_type varchar, identifier_hash varchar, person_id bigint);
create table staging.stg_pos__lines (basket varchar, product varchar);
insert into staging.stg_pos__lines values ('B1', 'apple'), ('B2', 'pear');
create table intermediate.int_lines (person_id bigint, basket varchar, product varchar);
insert into intermediate.int_lines values (7, 'B1', 'apple'), (8, 'B2', 'pear');
create table intermediate.int_products as select product from intermediate.int_lines;
"""


@pytest.fixture
def connection(monkeypatch):
    monkeypatch.setattr(facts_module, "identifier_hash", lambda _, column: f"'hash of ' || {column}")
    with duckdb.connect() as connection:
        yield connection


def model(name: str, parents: list[str], materialized: str = "table_of_persons", **meta) -> dict:
    return {
        "name": name,
        "resource_type": "model",
        "schema": "staging" if name.startswith("stg") else "intermediate",
        "config": {"materialized": materialized, "meta": meta},
        "depends_on": {"nodes": parents},
    }


def prepare(connection, nodes: dict, names: list[str], new: str, *, begun: bool = False, unchanged: bool = True):
    """What the facts make of a day with these new rows in the staging view."""
    prepared = Prepared()
    graph = Graph(connection, {"nodes": nodes}, "intermediate")
    moved = connection.execute("select identifier_type from operations.moved_identifiers").fetchall()
    small = SimpleNamespace(
        was_begun=begun,
        was_updated=False,
        moved_types={row[0] for row in moved},
        is_unchanged_view=lambda _: unchanged,
    )
    facts = Facts(graph, None, None, None, prepared, small)
    facts._new_rows = lambda _: (new, {})
    for name in names:
        facts.prepare(nodes[name])
    return prepared


def land(connection, device: str | None, moment: str) -> str:
    """A sighting in the shop in the north, as a select of the new rows."""
    connection.execute("insert into staging.stg_wifi__sightings values (?, 'north', ?)", [device, moment])
    return (
        f"select * from staging.stg_wifi__sightings where seen_at = timestamp '{moment}' "
        f"and device is not distinct from {'null' if device is None else repr(device)}"
    )


def carry_out(connection, replacement) -> None:
    connection.execute("create or replace temp table new_visits as from intermediate.int_visits limit 0")
    for statement in replacement.statements:
        connection.execute(statement.replace(OLD, "intermediate.int_visits").replace(NEW, "new_visits"))


@pytest.mark.parametrize(
    ("device", "moment", "going", "sightings"),
    [
        # Of the visit that it belongs to, and of what comes after it.
        ("A", "2018-01-01 12:30:00", {1, 2}, 5),
        # The visit of the same morning began less than the longest pause before; that of another shop stays.
        ("A", "2017-12-20 12:25:00", {1, 2, 5}, 7),
        ("A", "2018-01-05 12:00:00", set(), 1),
        ("C", "2018-01-01 12:10:00", set(), 1),
        (None, "2018-01-01 12:10:00", {6}, 3),
    ],
)
def test_visits_go_from_the_one_that_a_new_sighting_belongs_to(connection, device, moment, going, sightings):
    connection.execute(SIGHTINGS)
    nodes = {
        # Named before its root, as events are before sessions.
        "int_a": model("int_a", [], replaced={"from": "started_at", "with": "int_visits"}),
        "int_visits": model("int_visits", [], replaced=VISITS),
    }
    prepared = prepare(connection, nodes, ["int_a", "int_visits"], land(connection, device, moment))
    assert [replacement.model for replacement in prepared.replacements] == ["int_a", "int_visits"]
    carry_out(connection, prepared.replacements[1])
    left = {row[0] for row in connection.execute("select number from intermediate.int_visits").fetchall()}
    assert {1, 2, 3, 4, 5, 6} - left == going
    [(found,)] = connection.execute("select count(*) from operations.replaced_int_visits_facts").fetchall()
    assert found == sightings
    persons = connection.execute("select distinct person_id from operations.changed_rows").fetchall()
    assert persons == ([(7,)] if going - {6} else [])


def test_visits_stay_on_a_day_without_sightings_and_follow_a_device_that_moves(connection):
    connection.execute(SIGHTINGS)
    nodes = {"int_visits": model("int_visits", [], replaced=VISITS)}
    nothing = "select * from staging.stg_wifi__sightings where false"
    prepared = prepare(connection, nodes, ["int_visits"], nothing)
    assert (prepared.unchanged, prepared.replacements) == ({"int_visits"}, [])
    # A build that was killed may have replaced rows of it.
    assert prepare(connection, nodes, ["int_visits"], nothing, begun=True).unchanged == set()

    connection.execute("insert into operations.moved_identifiers values ('device_mac', 'hash of A', 9)")
    [replacement] = prepare(connection, nodes, ["int_visits"], nothing).replacements
    carry_out(connection, replacement)
    owners = connection.execute("select number, person_id from intermediate.int_visits order by all").fetchall()
    assert owners == [(1, 9), (2, 9), (3, 9), (4, 8), (5, 9), (6, None)]
    changed = connection.execute("select distinct person_id from operations.changed_rows order by 1").fetchall()
    assert changed == [(7,), (9,)]


@pytest.mark.parametrize(
    ("product", "options", "stays"),
    [
        ("apple", {}, True),
        ("plum", {}, False),
        (None, {}, False),
        ("apple", {"unchanged": False}, False),
        ("apple", {"begun": True}, False),
    ],
)
def test_a_table_of_products_grows_by_a_product_that_is_not_in_it(connection, product, options, stays):
    connection.execute(BASKETS)
    connection.execute("insert into staging.stg_pos__lines values ('B3', ?)", [product])
    lines = {"unit": "basket", "facts": {"stg_pos__lines": "basket"}}
    grows_by = {"int_lines": "product"}
    nodes = {
        "stg_catalogue": model("stg_catalogue", [], "view"),
        "int_lines": model("int_lines", [], replaced=lines),
        "int_products": model("int_products", ["stg_catalogue", "int_lines"], "table", grows_by=grows_by),
    }
    new = "select * from staging.stg_pos__lines where basket = 'B3'"
    prepared = prepare(connection, nodes, ["int_lines", "int_products"], new, **options)
    assert (prepared.unchanged == {"int_products"}) is stays
