"""Of rows with one primary key leaves one, by the rule of the declaration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import duckdb

from tagloom.landing.rules import raw_text
from tagloom.landing.work import Work
from tagloom.sources import Table

if TYPE_CHECKING:
    import numpy as np

SORTED_AT_A_TIME = 1 << 17
"""Hashes that are compared with their neighbours at a time."""


def remove_duplicates(connection: duckdb.DuckDBPyConnection, work: Work) -> None:
    """Of the rows of one day that have one primary key leave one, by the rule of the declaration.

    Exact copies are counted as duplicates. For grain change only these are removed: a key changes many times.
    """
    table = work.table
    content = [*table.column_names, *(["_extra"] if table.new_columns == "land" else [])]
    key = content if table.grain == "change" else table.primary_key
    keys = ", ".join(f'"{name}"' for name in (("_interval", *key) if len(work.days) > 1 else key))
    rows = f"from {work.target} where _interval >= date '{work.days[0]}' and _interval <= date '{work.days[-1]}'"
    # Nearly always no key is there twice, and numbers show it sooner than texts.
    repeated = _repeated(connection, f"select hash({keys}) as _hash {rows} order by _hash")
    if not len(repeated):
        return
    interval = "_interval" if len(work.days) > 1 else "any_value(_interval) as _interval"
    with _readable(connection, "repeated_hashes", repeated):
        connection.execute(
            f"""
            create or replace temp table repeated_keys as
            select {interval}, {", ".join(f'"{name}"' for name in key)}
            {rows} and hash({keys}) in (select _hash from repeated_hashes)
            group by {keys} having count(*) > 1
            """
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


def _repeated(connection: duckdb.DuckDBPyConnection, ascending: str) -> np.ndarray:
    """Numbers that a query of one ascending column has more than once.

    Sorting takes half the processor time of grouping, and what does not fit into memory waits on disk.
    """
    import numpy as np

    found = [np.zeros(0, dtype=np.uint64)]
    last = found[0]
    for batch in connection.sql(ascending).to_arrow_reader(SORTED_AT_A_TIME):
        numbers = np.concatenate([last, batch.column(0).to_numpy()])
        found.append(numbers[1:][numbers[1:] == numbers[:-1]])
        last = numbers[-1:]
    return np.unique(np.concatenate(found))


@contextmanager
def _readable(connection: duckdb.DuckDBPyConnection, name: str, hashes: np.ndarray) -> Iterator[None]:
    """Within this the hashes are a relation of that name, its column is _hash."""
    import pyarrow as pa

    connection.register(name, pa.table({"_hash": hashes}))
    try:
        yield
    finally:
        # A transaction that was aborted forgets nothing; the error that did it is the one to raise.
        with suppress(duckdb.TransactionException):
            connection.unregister(name)


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
