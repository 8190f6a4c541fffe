"""What happens to rows of a table of persons, carried out as dbt's table_of_persons does it."""

from __future__ import annotations

import duckdb
import pytest
from tagloom.replacing import NEW, OLD, Replacement, facts_of_persons, rows_of_persons, rows_that_differ

WORLD = """
create schema operations; create schema intermediate;
create table operations.changed_rows (model varchar, person_id bigint);
create table intermediate.int_orders as
from (values (1, 'new'), (2, 'new'), (3, 'old'), (null, 'new')) as rows (person_id, what);
create table intermediate.int_sums as
from (values (1, 'old'), (2, 'old'), (3, 'old'), (null, 'old')) as rows (person_id, what);
"""


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        connection.execute(WORLD)
        yield connection


def carry_out(connection, replacement: Replacement) -> list[tuple]:
    """The rows of the table afterwards; the model's SQL is `select * from int_orders`."""
    for statement in replacement.first:
        connection.execute(statement)
    read = replacement.reads.get("int_orders", "select * from intermediate.int_orders")
    connection.execute(f"create temp table computed as from ({read})")
    for template in (*replacement.statements, f"insert into {OLD} from {NEW} where {replacement.kept}"):
        connection.execute(template.replace(OLD, "intermediate.int_sums").replace(NEW, "computed"))
    return connection.execute("from intermediate.int_sums order by all").fetchall()


def changed(connection) -> list[int]:
    return [row[0] for row in connection.execute("select person_id from operations.changed_rows order by 1").fetchall()]


def test_rows_of_persons_are_replaced_over_their_facts_alone(connection):
    replacement = rows_of_persons("int_sums", "select 1", [("intermediate", "int_orders")])
    assert carry_out(connection, replacement) == [(1, "new"), (2, "old"), (3, "old"), (None, "old")]
    assert changed(connection) == []


def test_facts_of_nobody_are_replaced_with_those_of_persons(connection):
    persons = "select unnest([2, 2, null]) as person_id"
    replacement = facts_of_persons("int_sums", persons, [("intermediate", "int_orders")])
    assert carry_out(connection, replacement) == [(1, "old"), (2, "new"), (3, "old"), (None, "new")]
    assert changed(connection) == [2]


def test_persons_of_whom_a_row_differs_are_noted(connection):
    replacement = rows_that_differ("int_sums", ["person_id", "what"])
    assert carry_out(connection, replacement) == [(1, "new"), (2, "new"), (3, "old"), (None, "new")]
    assert changed(connection) == [1, 2]
