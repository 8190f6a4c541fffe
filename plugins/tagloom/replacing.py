"""How a run replaces some rows of a table instead of making the table again; dbt's table_of_persons follows it.

A run that is no full build says for each model which rows go and over which facts their successors are computed. The
models' SQL stays what it is: in the compiled text the tables that a model reads are put through a filter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

OLD, NEW = "old_rows", "new_rows"
"""Names by which conditions and statements speak of the table and of the rows that were computed."""

TABLES = """
create schema if not exists operations;
create or replace table operations.replacements (
    model varchar, reads varchar, first varchar, statements varchar, kept varchar
);
create table if not exists operations.changed_rows (model varchar, person_id bigint);
"""
"""changed_rows: persons of whom rows of a table were replaced since the last finished build."""


@dataclass(frozen=True)
class Replacement:
    """What happens to the rows of one table of persons."""

    model: str
    reads: dict[str, str] = field(default_factory=dict)
    """Model that it reads -> the select that is read in its place; others are read as they are."""
    first: tuple[str, ...] = ()
    """What is executed before the new rows are computed."""
    statements: tuple[str, ...] = ()
    """What is executed when the new rows are computed and before they go in, in the same transaction."""
    kept: str = "true"
    """Condition over the new rows: those that go in."""


def rows_of_persons(model: str, persons: str, facts: Iterable[tuple[str, str]]) -> Replacement:
    """Replace the rows of persons, computed over the facts of these persons alone.

    persons: a select of their ids. facts: (schema, name) of the tables of persons that the model reads.
    """
    belongs = f"person_id in ({persons})"
    return Replacement(
        model,
        {name: f"select * from {schema}.{name} where {belongs}" for schema, name in facts},
        statements=(f"delete from {OLD} where {belongs}",),
        kept=belongs,
    )


def facts_of_persons(model: str, persons: str, facts: Iterable[tuple[str, str]]) -> Replacement:
    """The same for a table of facts that has rows of nobody, too, which are always replaced.

    `persons` is looked at when the tables that the model reads are as they will be.
    """
    found = f"operations.affected_{model}"
    belongs = f"(person_id is null or person_id in (select person_id from {found}))"
    return Replacement(
        model,
        {
            name: f"select * from {schema}.{name} where person_id in (select person_id from {found}) "
            f"union all select * from {schema}.{name} where person_id is null"
            for schema, name in facts
        },
        first=(f"create or replace table {found} as select distinct person_id from ({persons})",),
        statements=(
            f"insert into operations.changed_rows select '{model}', person_id from {found} where person_id is not null",
            # One after the other: DuckDB looks at less of the table than for both with `or`.
            f"delete from {OLD} where person_id is null",
            f"delete from {OLD} where person_id in (select person_id from {found})",
        ),
        kept=belongs,
    )


def rows_that_differ(model: str, columns: list[str]) -> Replacement:
    """Compute every row and replace those of the persons of whom any is not what it was; nobody's rows always."""
    listed = ", ".join(columns)
    changed = f"select person_id from operations.changed_rows where model = '{model}'"
    differing = f"""
        insert into operations.changed_rows
        select distinct '{model}', person_id
        from (
            select person_id, hash({listed}) as row_hash, -1 as copies from {OLD} where person_id is not null
            union all
            select person_id, hash({listed}), 1 from {NEW} where person_id is not null
        )
        group by person_id, row_hash
        having sum(copies) <> 0
    """
    belongs = f"(person_id is null or person_id in ({changed}))"
    return Replacement(model, statements=(differing, f"delete from {OLD} where {belongs}"), kept=belongs)


def write_replacements(connection: duckdb.DuckDBPyConnection, replacements: list[Replacement]) -> None:
    """Say what the next run replaces; a model that is not among them is made as a whole."""
    connection.execute(TABLES)
    for replacement in replacements:
        connection.execute(
            "insert into operations.replacements values (?, ?, ?, ?, ?)",
            [
                replacement.model,
                json.dumps(replacement.reads),
                json.dumps(replacement.first),
                json.dumps(replacement.statements),
                replacement.kept,
            ],
        )
