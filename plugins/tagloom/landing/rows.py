"""Brings the rows of deliveries into the raw table, and sets aside those that break their declaration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagloom.landing.duplicates import remove_duplicates
from tagloom.landing.history import replace_period
from tagloom.landing.raw_tables import META_COLUMNS, delivered_columns, stored_name
from tagloom.landing.rules import TYPED, Fault, faults, is_bad, raw_text, torn_text, typed_value
from tagloom.landing.work import ARRIVED, Work, all_opened
from tagloom.reading.deliveries import DeliveryError
from tagloom.reading.readers import Opened, open_deliveries
from tagloom.settings import Settings
from tagloom.sources import Source, Table
from tagloom.sql_text import quoted

if TYPE_CHECKING:
    import duckdb


def prepare_set_aside(connection: duckdb.DuckDBPyConnection) -> None:
    """Empty the temporary table of rows that do not land."""
    connection.execute(
        "create or replace temp table set_aside (_source_file varchar, _line bigint, _interval date, "
        "column_name varchar, reason varchar, raw varchar)"
    )


def read(connection: duckdb.DuckDBPyConnection, settings: Settings, work: Work) -> None:
    """Bring the rows of the deliveries into the raw table, the bad ones into set_aside."""
    if work.table.grain == "snapshot":
        columns = ", ".join(
            f'"{name}" {sql_type}' for name, sql_type in (delivered_columns(work.table) | META_COLUMNS).items()
        )
        connection.execute(f"create or replace temp table {ARRIVED} ({columns})")
    elif work.replaced_days:
        (work.rows_removed,) = connection.execute(
            f"delete from {work.target} where _interval in (select unnest($days::date[]))", {"days": work.replaced_days}
        ).fetchall()[0]
    work.opened = open_deliveries(connection, work.table, work.deliveries, settings.landing)
    for opened in work.opened:
        refuse_new_columns(work.source, work.table, [work])
        _insert(connection, settings, work, opened)
    remove_duplicates(connection, work)
    if work.table.grain == "snapshot":
        _say_what_is_true(connection, work)


def _insert(connection: duckdb.DuckDBPyConnection, settings: Settings, work: Work, opened: Opened) -> None:
    columns = [*work.table.column_names, *(["_extra"] if work.table.new_columns == "land" else [])]
    typed = [
        f'"{TYPED}{column.name}"' if column.type != "text" else _text(opened, column.name)
        for column in work.table.columns
    ]
    typed += ["_extra"] if work.table.new_columns == "land" else []
    listed = ", ".join(f'{value} as "{name}"' for name, value in zip(columns, typed, strict=True))
    # The order of rows in the raw table says nothing; without it inserting needs less memory.
    connection.execute("set preserve_insertion_order = false")
    with opened.reading():
        (inserted,) = connection.execute(
            f"""
            insert into {work.target} by name
            select {listed}, _source_file, _line, _interval, $now::timestamp as _landed_at
            from ({_checked_rows(work, opened)})
            where ({is_bad(work.table, opened.is_text)}) is not true
            """,
            {"now": work.landed_at},
        ).fetchall()[0]
    if inserted < opened.rows.total():
        # Only a delivery with bad rows is read a second time: a copy of every row beforehand would cost all the others.
        _set_bad_rows_aside(connection, settings, work, opened, opened.rows.total() - inserted)
    work.rows_read += opened.rows.total()
    work.rows_inserted += inserted


def _set_bad_rows_aside(
    connection: duckdb.DuckDBPyConnection, settings: Settings, work: Work, opened: Opened, bad_rows: int
) -> None:
    """Read the deliveries again for the rows that did not land; raise DeliveryError when they are others meanwhile."""
    found = faults(work.table, opened.is_text)
    torn = torn_text(work.table)
    set_aside = 0
    for again in open_deliveries(connection, work.table, opened.deliveries, settings.landing):
        with again.reading():
            (rows,) = connection.execute(
                f"""
                insert into set_aside
                select _source_file, _line, _interval, {_first(found, "column")}, {_first(found, "reason")},
                    case when _torn_reason is not null then {torn} else {raw_text(work.table)} end
                from ({_checked_rows(work, again)})
                where {is_bad(work.table, again.is_text)}
                """
            ).fetchall()[0]
        set_aside += rows
    if set_aside != bad_rows:
        raise DeliveryError(
            f"{opened.deliveries[0].path}: was changed while it was being read; have it delivered under a temporary "
            "name and renamed when it is whole, then run again."
        )


def _checked_rows(work: Work, opened: Opened) -> str:
    """Query that adds the typed value of every column that is not text to what was delivered."""
    typed = [
        f'{typed_value(column, opened.is_text[column.name], work.source.time_zone)} as "{TYPED}{column.name}"'
        for column in work.table.columns
        if column.type != "text" or not opened.is_text[column.name]
    ]
    return f"select {', '.join(['*', *typed])} from {opened.relation}"


def _text(opened: Opened, name: str) -> str:
    return f'"{name}"' if opened.is_text[name] else f'"{TYPED}{name}"'


def _first(found: list[Fault], what: str) -> str:
    if what == "column":
        cases = " ".join(
            f"when {fault.condition} then {quoted(fault.column) if fault.column else 'null'}" for fault in found
        )
    else:
        cases = " ".join(f"when {fault.condition} then {fault.reason}" for fault in found)
    return f"case {cases} end"


def _say_what_is_true(connection: duckdb.DuckDBPyConnection, work: Work) -> None:
    (day,) = work.days
    stored = stored_name(work.source, work.table)
    (next_day,) = connection.execute(
        "select min(day) from operations.landed_files where source = $source and table_name = $table and day > $day",
        {**work.names, "day": day},
    ).fetchall()[0]
    replace_period(connection, stored, ARRIVED, work.table.primary_key, delivered_columns(work.table), day, next_day)


def refuse_new_columns(source: Source, table: Table, works: list[Work]) -> None:
    """Raise DeliveryError for columns that nobody declared, where the declaration does not allow them."""
    undeclared = sorted({name for opened in all_opened(works) for name in opened.undeclared})
    if table.new_columns == "refuse" and undeclared:
        raise DeliveryError(
            f"{source.name}.{table.name}: the delivery has columns that nobody declared: {', '.join(undeclared)}. "
            f"Declare them in sources/{source.name}.yml, or set new_columns to ignore or land."
        )
