"""operations.model_runs holds the last build of each layer and day."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest
from tagloom.operations import create_operations_tables
from tagloom.tags.run_times import record
from tagloom.transform import NodeResult

DAY = date(2017, 12, 31)


def node(name: str, seconds: float, rows: int | None = None, kind: str = "model") -> NodeResult:
    return NodeResult(name, kind, "success", seconds, rows)


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        create_operations_tables(opened)
        yield opened


def noted(connection) -> list[tuple]:
    query = "select as_of_date::varchar, layer, model, seconds, rows from operations.model_runs order by all"
    return connection.execute(query).fetchall()


def test_models_are_noted_and_tests_are_not(connection):
    record(
        connection,
        DAY,
        "staging",
        [node("a", 1.5, 7), node("b", 0.5), node("t", 9, kind="test"), node("s", 9, 1, "seed")],
    )
    assert noted(connection) == [("2017-12-31", "staging", "a", 1.5, 7), ("2017-12-31", "staging", "b", 0.5, None)]
    assert connection.execute("select count(distinct ran_at) from operations.model_runs").fetchall() == [(1,)]


def test_a_layer_built_again_for_the_day_replaces_its_rows_alone(connection):
    record(connection, DAY, "staging", [node("a", 1), node("gone", 1)])
    record(connection, DAY, "serving", [node("c", 2)])
    record(connection, date(2017, 12, 30), "staging", [node("a", 3)])
    record(connection, DAY, "staging", [node("a", 4)])
    assert [row[:4] for row in noted(connection)] == [
        ("2017-12-30", "staging", "a", 3.0),
        ("2017-12-31", "serving", "c", 2.0),
        ("2017-12-31", "staging", "a", 4.0),
    ]


def test_a_model_that_was_built_twice_counts_with_both(connection):
    record(connection, DAY, "identity_mapping", [node("a", 1, 5), node("a", 2, 6)])
    assert noted(connection) == [("2017-12-31", "identity_mapping", "a", 3.0, 6)]


def test_a_failure_leaves_what_was_there(connection):
    record(connection, DAY, "staging", [node("a", 1)])
    with pytest.raises(duckdb.Error):
        record(connection, DAY, "staging", [node("a", 2, "many")])
    assert [row[3] for row in noted(connection)] == [1.0]
