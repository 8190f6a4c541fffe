"""Drift: how what a system delivers has come to differ from its declaration, told before a model breaks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tagloom.reading.headers import likely_renames
from tagloom.reading.readers import Opened
from tagloom.sources import DatabaseReader, Source, Table

if TYPE_CHECKING:
    import duckdb

RETYPED_SHARE = 0.5
"""When more than this share of a delivery's rows has no value of the declared type, the column has changed."""

_KINDS = {
    "integer": ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    "number": ("FLOAT", "DOUBLE", "DECIMAL", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UINTEGER", "UBIGINT"),
    "decimal": ("DECIMAL", "DOUBLE", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"),
    "boolean": ("BOOLEAN",),
    "date": ("DATE",),
    "timestamp": ("TIMESTAMP", "DATE"),
}
"""Declared type -> beginnings of DuckDB types that a typed file may hold it in; text takes any."""


@dataclass(frozen=True)
class Difference:
    """One way in which a delivery differs from its declaration."""

    kind: str
    """new, missing, retyped or renamed."""
    column: str
    sentence: str


def differences(
    connection: duckdb.DuckDBPyConnection, table: Table, opened: list[Opened], rows_read: int
) -> list[Difference]:
    """Compare what was read with the declaration; the temporary table `set_aside` says what was wrong with the rows."""
    new = {name for item in opened for name in item.undeclared}
    missing = {name for item in opened for name in item.missing}
    found = []
    headers = {name: table.column(name).header for name in sorted(missing)}
    renames = likely_renames(list(headers.values()), sorted(new))
    new -= set(renames.values())
    for name, header in headers.items():
        if header in renames:
            sentence = (
                f"Column {header} is missing; perhaps it is called {renames[header]} now "
                f"(then say delivered_as: {renames[header]}). Until then it is null."
            )
            found.append(Difference("renamed", name, sentence))
        else:
            sentence = f"Column {header} is missing; it is null until it comes back."
            found.append(Difference("missing", name, sentence))
    policy = {
        "ignore": "its values do not land until it is declared",
        "land": "its values land in _extra until it is declared",
        "refuse": "deliveries are refused until it is declared",
    }[table.new_columns]
    found += [Difference("new", name, f"Column {name} is new and not declared; {policy}.") for name in sorted(new)]
    return found + _retyped(connection, table, opened, rows_read)


def _retyped(
    connection: duckdb.DuckDBPyConnection, table: Table, opened: list[Opened], rows_read: int
) -> list[Difference]:
    found = {}
    wrong = connection.execute(
        "select column_name, count(*) from set_aside where reason like 'is no %' group by all order by all"
    ).fetchall()
    for name, rows in wrong:
        if rows > RETYPED_SHARE * rows_read:
            found[name] = (
                f"Column {table.column(name).header} has changed: {rows:,} of {rows_read:,} values are no "
                f"{table.column(name).type}."
            )
    for item in opened:
        for name, delivered in item.types.items():
            declared = table.column(name).type
            if delivered == "VARCHAR" and isinstance(table.reader, DatabaseReader):
                continue  # what has no exact type in its driver comes as text, and is judged value by value
            fitting = _KINDS.get(declared.partition("(")[0])
            if fitting and not delivered.startswith(fitting):
                found[name] = (
                    f"Column {table.column(name).header} is delivered as {delivered.lower()}, declared {declared}; "
                    "values that do not convert go to quarantine."
                )
    return [Difference("retyped", name, sentence) for name, sentence in sorted(found.items())]


def record_differences(
    connection: duckdb.DuckDBPyConnection, source: Source, table: Table, found: list[Difference], run_id: str
) -> list[str]:
    """Keep what is different now in operations.column_drift; return the sentences that are new."""
    known = connection.execute(
        "select kind, column_name from operations.column_drift where source = ? and table_name = ?",
        [source.name, table.name],
    ).fetchall()
    connection.execute(
        "delete from operations.column_drift where source = ? and table_name = ?", [source.name, table.name]
    )
    now = datetime.now(UTC).replace(tzinfo=None)
    for difference in found:
        connection.execute(
            "insert into operations.column_drift values (?, ?, ?, ?, ?, ?, ?)",
            [source.name, table.name, difference.kind, difference.column, difference.sentence, run_id, now],
        )
    return [
        f"{source.name}.{table.name}: {difference.sentence}"
        for difference in found
        if (difference.kind, difference.column) not in known
    ]
