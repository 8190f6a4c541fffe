"""The raw tables of a source: what is stored, and what readers of `raw_<source>.<table>` see of it.

| grain | stored | `raw_<source>.<table>` | history |
|---|---|---|---|
| event | `<table>` | the same | - |
| event, overlap_days > 0 | `<table>_deliveries` | view: of rows with one key the one delivered last | - |
| snapshot | `<table>_history` | view: the rows of the newest delivery | stored |
| change | `<table>_changes` | view: the last change of each key, without deleted ones | view `<table>_history` |

A history has _valid_from and _valid_to (null: still valid): days of delivery for snapshots, moments for changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagloom.reading.deliveries import DeliveryError
from tagloom.sources import Source, Table
from tagloom.sql_text import quoted

if TYPE_CHECKING:
    import duckdb

META_COLUMNS = {"_source_file": "varchar", "_line": "bigint", "_interval": "date", "_landed_at": "timestamp"}
"""Where a row came from: file below the landing zone, line in it, UTC day of delivery, moment of landing (UTC)."""


def stored_name(source: Source, table: Table) -> str:
    """Qualified name of the table that rows are stored in."""
    return f'{source.raw_schema}."{_stored(table)}"'


def visible_name(source: Source, table: Table) -> str:
    """Qualified name of what staging reads."""
    return f'{source.raw_schema}."{table.name}"'


def delivered_columns(table: Table) -> dict[str, str]:
    """Name -> type of every column that a delivery fills."""
    columns = {column.name: column.sql_type for column in table.columns}
    return columns | ({"_extra": "varchar"} if table.new_columns == "land" else {})


def create_raw_table(connection: duckdb.DuckDBPyConnection, source: Source, table: Table) -> None:
    """Create what the declaration asks for, or bring it up to date; rows that are there stay.

    Raises DeliveryError when the declaration contradicts what is stored.
    """
    connection.execute(f"create schema if not exists {source.raw_schema}")
    wanted = delivered_columns(table) | META_COLUMNS
    if table.grain == "snapshot":
        wanted |= {"_valid_from": "date", "_valid_to": "date"}
    kinds = dict(
        connection.execute(
            "select table_name, table_type from information_schema.tables "
            "where table_catalog = current_database() and table_schema = ?",
            [source.raw_schema],
        ).fetchall()
    )
    stored = _stored(table)
    _move_stored_rows(connection, source, table, kinds)
    if stored not in kinds:
        listed = ", ".join(f'"{name}" {sql_type}' for name, sql_type in wanted.items())
        connection.execute(f"create table {stored_name(source, table)} ({listed})")
    else:
        _add_columns(connection, source, table, wanted)
    for name, query in _views(source, table).items():
        connection.execute(f'create or replace view {source.raw_schema}."{name}" as {query}')


def _stored(table: Table) -> str:
    if table.grain == "snapshot":
        return f"{table.name}_history"
    if table.grain == "change":
        return f"{table.name}_changes"
    return f"{table.name}_deliveries" if table.overlap_days else table.name


def _move_stored_rows(
    connection: duckdb.DuckDBPyConnection, source: Source, table: Table, kinds: dict[str, str]
) -> None:
    """Follow a declaration whose grain or overlap has changed; `kinds` is kept up to date."""
    stored = _stored(table)
    others = {table.name, *(f"{table.name}_{suffix}" for suffix in ("deliveries", "history", "changes"))} - {stored}
    before = [name for name in others if kinds.get(name) == "BASE TABLE"]
    for name in (*others, stored):
        if kinds.get(name) == "VIEW":
            connection.execute(f'drop view {source.raw_schema}."{name}"')
            del kinds[name]
    if not before or stored in kinds:
        return
    was_event = before[0] in (table.name, f"{table.name}_deliveries")
    if not was_event or table.grain == "change":
        raise DeliveryError(
            f"{source.name}.yml: tables.{table.name}.grain: is {table.grain} now, but {source.raw_schema}.{before[0]} "
            f"holds rows of another grain. Rename that table, clear its days in operations.landed_files and land again."
        )
    connection.execute(f'alter table {source.raw_schema}."{before[0]}" rename to "{stored}"')
    kinds[stored] = kinds.pop(before[0])
    if table.grain == "snapshot":
        connection.execute(f"alter table {stored_name(source, table)} add column _valid_from date")
        connection.execute(f"update {stored_name(source, table)} set _valid_from = _interval")


def _add_columns(connection: duckdb.DuckDBPyConnection, source: Source, table: Table, wanted: dict[str, str]) -> None:
    present = dict(
        connection.execute(
            "select column_name, lower(data_type) from duckdb_columns() "
            "where database_name = current_database() and schema_name = ? and table_name = ?",
            [source.raw_schema, _stored(table)],
        ).fetchall()
    )
    for name, sql_type in wanted.items():
        if name not in present:
            connection.execute(f'alter table {stored_name(source, table)} add column "{name}" {sql_type}')
        elif present[name].replace(" ", "") != sql_type:
            raise DeliveryError(
                f"{source.name}.yml: tables.{table.name}.columns.{name}: is declared {sql_type}, but what is landed is "
                f"{present[name]}. Declare the old type, or drop {stored_name(source, table)} and land it again."
            )


def _views(source: Source, table: Table) -> dict[str, str]:
    """Name -> query of the views over the stored rows."""
    names = ", ".join(f'"{name}"' for name in delivered_columns(table) | META_COLUMNS)
    key = ", ".join(f'"{name}"' for name in table.primary_key)
    rows = stored_name(source, table)
    if table.grain == "snapshot":
        return {table.name: f"select {names} from {rows} where _valid_to is null"}
    if table.grain == "change":
        deleted = f'"{table.operation}" in ({", ".join(quoted(value) for value in table.deletions)})'
        order = f'"{table.event_time}", _interval, _source_file, _line'
        newest_first = ", ".join(f"{part} desc" for part in order.split(", "))
        current = f"""
            select {names}
            from (select *, row_number() over (partition by {key} order by {newest_first}) as _place from {rows})
            where _place = 1 and not coalesce({deleted}, false)
        """
        history = f"""
            select {names}, _valid_from, _valid_to
            from (
                select *, "{table.event_time}" as _valid_from,
                    lead("{table.event_time}") over (partition by {key} order by {order}) as _valid_to
                from {rows}
            )
            where not coalesce({deleted}, false)
        """
        return {table.name: current, f"{table.name}_history": history}
    if table.overlap_days:
        return {
            table.name: f"""
                select {names}
                from (
                    select *, row_number() over (
                        partition by {key} order by _interval desc, _source_file desc, _line desc
                    ) as _place
                    from {rows}
                )
                where _place = 1
            """
        }
    return {}
