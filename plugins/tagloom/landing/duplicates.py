"""Of rows with one primary key leaves one, by the rule of the declaration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagloom.landing.rules import raw_text
from tagloom.landing.work import Work
from tagloom.sources import Table

if TYPE_CHECKING:
    import duckdb


def remove_duplicates(connection: duckdb.DuckDBPyConnection, work: Work) -> None:
    """Of the rows of one day that have one primary key leave one, by the rule of the declaration.

    Exact copies are counted as duplicates. For grain change only these are removed: a key changes many times.
    """
    table = work.table
    content = [*table.column_names, *(["_extra"] if table.new_columns == "land" else [])]
    key = content if table.grain == "change" else table.primary_key
    keys = ", ".join(f'"{name}"' for name in (("_interval", *key) if len(work.days) > 1 else key))
    rows = f"from {work.target} where _interval >= $first_day and _interval <= $last_day"
    days = {"first_day": work.days[0], "last_day": work.days[-1]}
    # Nearly always no key is there twice, and counting numbers shows it in half the time of counting texts.
    connection.execute(
        f"create or replace temp table repeated_hashes as "
        f"select hash({keys}) as _hash {rows} group by _hash having count(*) > 1",
        days,
    )
    if not connection.execute("select 1 from repeated_hashes limit 1").fetchall():
        return
    interval = "_interval" if len(work.days) > 1 else "any_value(_interval) as _interval"
    connection.execute(
        f"""
        create or replace temp table repeated_keys as
        select {interval}, {", ".join(f'"{name}"' for name in key)}
        {rows} and hash({keys}) in (select _hash from repeated_hashes)
        group by {keys} having count(*) > 1
        """,
        days,
    )
    same_key = " and ".join(
        f'stored."{name}" is not distinct from repeated_keys."{name}"' for name in ("_interval", *key)
    )
    contents = ", ".join(f'"{name}"' for name in ("_interval", *content))
    connection.execute(
        f"""
        create or replace temp table losers as
        select _loser, _copy > 1 as _is_copy, _landed_at = $now as _is_new, _winner
        from (
            select stored.rowid as _loser, stored._landed_at,
                row_number() over (partition by {_of("stored", keys)} order by {_order(table)}) as _place,
                row_number() over (partition by {_of("stored", contents)} order by {_order(table)}) as _copy,
                first_value(stored._source_file || ' line ' || stored._line)
                    over (partition by {_of("stored", keys)} order by {_order(table)}) as _winner
            from {work.target} as stored
            inner join repeated_keys on {same_key}
        )
        where _place > 1
        """,
        {"now": work.landed_at},
    )
    if table.duplicates == "quarantine" and table.grain != "change":
        connection.execute(
            f"""
            insert into set_aside
            select _source_file, _line, _interval, null, 'repeats the primary key of another row with other content',
                json_merge_patch({raw_text(table)}, json_object('(the row that landed)', losers._winner))
            from {work.target} as stored
            inner join losers on stored.rowid = losers._loser and losers._is_new and not losers._is_copy
            """
        )
        counted = "_is_copy"
    else:
        counted = "true"
    new, duplicates, old = connection.execute(
        f"""
        select count(*) filter (where _is_new), count(*) filter (where _is_new and {counted}),
            count(*) filter (where not _is_new)
        from losers
        """
    ).fetchall()[0]
    connection.execute(f"delete from {work.target} where rowid in (select _loser from losers)")
    work.rows_inserted -= new
    work.duplicates += duplicates
    work.rows_removed += old


def _order(table: Table) -> str:
    """Which of the rows with one key comes first, so that it stays."""
    place = "stored._source_file, stored._line"
    if table.duplicates == "quarantine" or table.grain == "change":
        return f"stored._landed_at, {place}"
    time_first = f'stored."{table.event_time}", ' if table.event_time else ""
    order = f"{time_first}{place}"
    if table.duplicates == "keep_first":
        return order
    return ", ".join(f"{part} desc nulls last" for part in order.split(", "))


def _of(table: str, names: str) -> str:
    return ", ".join(f"{table}.{name}" for name in names.split(", "))
