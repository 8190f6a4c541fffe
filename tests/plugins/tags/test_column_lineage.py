"""Which columns a column comes from, and which a query uses, in every shape of SQL that models have."""

from __future__ import annotations

import pytest
from tagloom.tags.column_lineage import LineageError, query_columns

TABLES = {"orders": ["id", "person", "day", "amount", "channel"], "persons": ["person", "town"]}


def origins(sql: str, column: str = "x") -> set[str]:
    """Origins of a column of the result, as table.column."""
    return {".".join(origin) for origin in query_columns(sql, TABLES).outputs[column]}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select amount as x from orders", {"orders.amount"}),
        ("select orders.amount + id as x from orders", {"orders.amount", "orders.id"}),
        ("with o as (select * from orders) select amount as x from o", {"orders.amount"}),
        # What decides which rows there are decides the value; what they are grouped and joined by does not.
        (
            "select sum(amount) as x, person from orders where channel = 'web' group by person having max(day) > 1",
            {"orders.amount", "orders.channel", "orders.day"},
        ),
        (
            "with o as (select person, amount from orders where day > 3), p as (select * from o) "
            "select sum(amount) as x from p group by person",
            {"orders.amount", "orders.day"},
        ),
        (
            "select orders.amount as x from persons left join orders on orders.person = persons.person",
            {"orders.amount"},
        ),
        (
            "with o as (select person, amount from orders where day > 3) "
            "select persons.town as x from persons left join o on o.person = persons.person",
            {"persons.town"},
        ),
        ("select case when channel = 'web' then 1 end as x from orders", {"orders.channel"}),
        (
            "select x from (select amount as x, row_number() over (partition by person order by day) as place "
            "from orders) as o where place = 1",
            {"orders.amount", "orders.person", "orders.day"},
        ),
        (
            "select amount as x from orders qualify row_number() over (partition by person order by day) = 1",
            {"orders.amount", "orders.person", "orders.day"},
        ),
        ("select amount as x from orders union all select id from orders", {"orders.amount", "orders.id"}),
        (
            "with u as (select day as x from orders union all select town from persons) select x from u",
            {"orders.day", "persons.town"},
        ),
        # Counting rows, or saying that there is one.
        ("select count(*) as x from orders where day > 1", {"orders.*", "orders.day"}),
        ("with o as (select * from orders where day > 1) select true as x from o", {"orders.*", "orders.day"}),
        ("select count(id) as x from orders", {"orders.id"}),
        ("select town as x from persons union all select cast(null as varchar) from orders", {"persons.town"}),
        # What a subquery selects by counts as well.
        (
            "select amount as x from orders where person in (select person from persons where town = 'Ulm')",
            {"orders.amount", "orders.person", "persons.person", "persons.town"},
        ),
    ],
)
def test_where_a_value_comes_from(sql, expected):
    assert origins(sql) == expected


def test_the_columns_of_a_result_that_is_a_star():
    assert list(query_columns("with o as (select * from orders) select * from o", TABLES).outputs) == TABLES["orders"]


def used(sql: str) -> tuple[set[str], set[str]]:
    """What a query uses, and what it names that no table has, as table.column."""
    read = query_columns(sql, TABLES)
    return {".".join(column) for column in read.used}, {".".join(column) for column in read.unknown}


def test_joins_and_groups_use_columns():
    sql = "select count(*) as x from orders inner join persons on orders.person = persons.person group by town"
    assert used(sql) == ({"orders.person", "persons.person", "persons.town"}, set())


def test_a_star_uses_only_what_comes_out_or_is_named():
    assert used("with o as (select * from orders) select amount from o where day > 1") == (
        {"orders.amount", "orders.day"},
        set(),
    )
    assert used("select * from persons")[0] == {"persons.person", "persons.town"}


@pytest.mark.parametrize(
    "sql",
    [
        "select amount, gone from orders",
        "select orders.amount, orders.gone from orders inner join persons on orders.person = persons.person",
        "select amount from orders where gone > 1",
        "with o as (select amount, gone from orders) select amount from o",
    ],
)
def test_a_column_that_a_table_does_not_have(sql):
    assert used(sql)[1] == {"orders.gone"}


def test_nothing_is_said_of_tables_that_are_not_known():
    read = query_columns("select a.b, c from elsewhere.table_a as a", TABLES)
    assert read.unknown == set()


@pytest.mark.parametrize("sql", ["select from where", "", "drop table orders"])
def test_what_is_no_query(sql):
    with pytest.raises(LineageError):
        query_columns(sql, TABLES)
