"""Tables of months: only months with new rows, or with an edge of a window, are computed again."""

from __future__ import annotations

from datetime import date, datetime

import duckdb
import pytest
from tagloom.day_build.models import Graph
from tagloom.day_build.months import changed_months, is_month_table, replace_months, rows_of_months
from tagloom.replacing import OLD
from tagloom.windows import Reading, Window, read_windows

LINES = {
    "name": "int_order_lines",
    "schema": "intermediate",
    "resource_type": "model",
    "config": {
        "materialized": "table_of_persons",
        "meta": {"replaced": {"unit": "order_id", "facts": {"stg_pos__basket_lines": "basket_id"}}},
    },
}
MONTHS = {
    "name": "int_product_months",
    "schema": "intermediate",
    "resource_type": "model",
    "config": {
        "materialized": "table_of_months",
        "meta": {"months": {"of": "int_order_lines", "date": "order_date", "moment": "sold_at"}},
    },
}
YEAR = read_windows("order_date > cast(cast('2017-12-31' as date) - interval '365' day as date)")


@pytest.fixture
def graph():
    with duckdb.connect() as connection:
        connection.execute(
            """
            create schema intermediate; create schema operations;
            create table intermediate.int_order_lines (order_id varchar, order_date date, sales_amount int);
            create table intermediate.int_product_months (month_start date, sales_amount int);
            create table operations.arrived_int_order_lines (unit varchar);
            create table operations.replaced_int_order_lines_facts (basket_id varchar, sold_at timestamp);
            """
        )
        yield Graph(connection, {"nodes": {"lines": LINES, "months": MONTHS}}, "intermediate")


def arrives(graph: Graph, order: str, moment: datetime | None) -> None:
    graph.connection.execute("insert into operations.arrived_int_order_lines values (?)", [order])
    graph.connection.execute("insert into operations.replaced_int_order_lines_facts values (?, ?)", [order, moment])


def test_the_edge_of_a_window_changes_its_month(graph):
    assert changed_months(graph, MONTHS, YEAR, date(2017, 12, 30), date(2017, 12, 31)) == {date(2016, 12, 1)}
    assert changed_months(graph, MONTHS, YEAR, date(2017, 12, 31), date(2018, 1, 1)) == {date(2017, 1, 1)}


def test_each_day_of_a_longer_step_has_an_edge(graph):
    assert changed_months(graph, MONTHS, YEAR, date(2017, 12, 28), date(2018, 1, 2)) == {
        date(2016, 12, 1),
        date(2017, 1, 1),
    }


def test_new_rows_change_the_month_of_their_local_day(graph):
    none = Reading(frozenset(), ())
    arrives(graph, "noon", datetime(2017, 6, 15, 12))
    arrives(graph, "late in may, or in june", datetime(2017, 6, 1, 2))
    arrives(graph, "late in december, or next year", datetime(2017, 12, 31, 23))
    arrives(graph, "never", None)
    assert changed_months(graph, MONTHS, none, date(2017, 12, 30), date(2017, 12, 31)) == {
        date(2017, 5, 1),
        date(2017, 6, 1),
        date(2017, 12, 1),
        date(2018, 1, 1),
    }


def test_rows_that_only_changed_hands_change_no_month(graph):
    graph.connection.execute(
        "insert into operations.replaced_int_order_lines_facts values ('of a merged person', timestamp '2017-06-15')"
    )
    assert changed_months(graph, MONTHS, Reading(frozenset(), ()), date(2017, 12, 30), date(2017, 12, 31)) == set()


def test_any_month_may_change_when_the_day_is_used_otherwise(graph):
    days = date(2017, 12, 30), date(2017, 12, 31)
    assert changed_months(graph, MONTHS, None, *days) is None
    assert changed_months(graph, MONTHS, Reading(frozenset(), ("as_of_date - order_date",)), *days) is None
    assert changed_months(graph, MONTHS, Reading(frozenset(), (), frozenset({"order_date"})), *days) is None
    graph.connection.execute("drop table intermediate.int_product_months")
    assert changed_months(graph, MONTHS, YEAR, *days) is None


def test_rows_of_these_months_are_computed_over_their_facts(graph):
    graph.connection.execute(
        """
        insert into intermediate.int_order_lines values
            ('a', '2017-01-31', 1), ('b', '2017-02-01', 2), ('c', '2017-02-28', 4), ('d', '2017-03-01', 8),
            ('e', '2017-12-31', 16), ('f', '2018-01-01', 32);
        insert into intermediate.int_product_months values
            ('2017-01-01', 1), ('2017-02-01', 0), ('2017-03-01', 8), ('2017-12-01', 0);
        """
    )
    found = replace_months(graph, MONTHS, {date(2017, 2, 1), date(2017, 12, 1)})
    read = graph.connection.execute(f"select order_id from ({found.reads['int_order_lines']}) order by all").fetchall()
    assert read == [("b",), ("c",), ("e",)]
    [statement] = found.statements
    graph.connection.execute(statement.replace(OLD, "intermediate.int_product_months"))
    left = graph.connection.execute("select month_start from intermediate.int_product_months order by all").fetchall()
    assert left == [(date(2017, 1, 1),), (date(2017, 3, 1),)]
    assert found.kept == "true"


def test_without_a_month_nothing_is_read_or_replaced(graph):
    found = replace_months(graph, MONTHS, set())
    assert found.reads["int_order_lines"].endswith("where false")
    assert rows_of_months(set()) == "false"


def test_a_table_of_months_is_known_by_how_it_is_made():
    assert is_month_table(MONTHS)
    assert not is_month_table(LINES)
    assert YEAR.windows == {Window("order_date", 365, counts_limit=False)}
