"""Lands one data interval of a source: good rows in raw_<source>, bad ones in quarantine, a line in landing_log.

For every run and table: rows read = landed + quarantined + duplicates.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from tagloom.deliveries import Delivery, DeliveryError, find_deliveries
from tagloom.drift import Difference, differences, record_differences
from tagloom.history import replace_period
from tagloom.operations import create_operations_tables
from tagloom.raw_tables import META_COLUMNS, create_raw_table, delivered_columns, stored_name
from tagloom.readers import Opened, open_deliveries
from tagloom.repairs import repaired_ids
from tagloom.retention import remove_expired
from tagloom.rules import TYPED, Fault, faults, is_bad, raw_text, torn_text, typed_value
from tagloom.settings import Settings
from tagloom.sources import Source, Table
from tagloom.sql_text import quoted

if TYPE_CHECKING:
    import duckdb

LANDED, UNCHANGED, NOTHING, STOPPED = "landed", "unchanged", "nothing delivered", "stopped"

KEPT_OF_STOPPED = 10_000
"""Of a delivery that is refused because too many rows are bad, so many of these rows are shown in quarantine."""

ARRIVED = "arrived"
"""Temporary table in which a snapshot waits until it is compared with the one before."""


@dataclass(frozen=True)
class Landing:
    """What one run did with one table of a source."""

    source: str
    table: str
    first_day: str
    end_day: str
    status: str
    files: int = 0
    bytes: int = 0
    rows_read: int = 0
    rows_landed: int = 0
    rows_quarantined: int = 0
    duplicates: int = 0
    rows_removed: int = 0
    restated_days: str = ""
    undeclared_columns: str = ""
    seconds: float = 0.0
    fingerprint: str = ""
    drift: tuple[str, ...] = ()
    """How the delivery differs from its declaration, in sentences that were not true of the delivery before."""

    def as_dict(self) -> dict:
        """Plain values, for XCom and asset extras."""
        return asdict(self)


class BadDeliveryError(DeliveryError):
    """More rows are bad than the source's tolerated share; nothing of the delivery was landed."""


@dataclass
class _Work:
    """What is to be read for one table, and what has come of it so far."""

    source: Source
    table: Table
    target: str
    """Qualified name of the table that rows are inserted into."""
    landed_at: datetime
    deliveries: list[Delivery]
    replaced_days: list[date]
    rows_read: int = 0
    rows_inserted: int = 0
    duplicates: int = 0
    rows_removed: int = 0
    opened: list[Opened] = field(default_factory=list)

    @property
    def days(self) -> list[date]:
        """Days of the deliveries, in order."""
        return sorted({delivery.day for delivery in self.deliveries} | set(self.replaced_days))

    @property
    def names(self) -> dict[str, str]:
        """What stands in error messages and statements."""
        return {"source": self.source.name, "table": self.table.name}


def land_source(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    source: Source,
    first_day: date,
    end_day: date,
    run_id: str,
) -> list[Landing]:
    """Land every table of a source for the days of delivery [first_day, end_day).

    Each table is brought up to date in one transaction, so a run that is repeated or killed leaves the same rows. Files
    that have landed and are the same, under the same declaration, are not read again; a day with a changed or removed
    file is landed anew.

    Raises DeliveryError when a file cannot be used, BadDeliveryError when too many of its rows are bad.
    """
    create_operations_tables(connection)
    landings = [_land_table(connection, settings, source, table, first_day, end_day, run_id) for table in source.tables]
    if source.is_on_arrival:
        _tell_watcher(connection, settings, source)
    return landings


def _land_table(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    source: Source,
    table: Table,
    first_day: date,
    end_day: date,
    run_id: str,
) -> Landing:
    started = time.monotonic()
    create_raw_table(connection, source, table)
    deliveries = find_deliveries(settings.landing / source.name, table, first_day, end_day)
    size = sum(delivery.path.stat().st_size for delivery in deliveries)
    declaration = _declaration_mark(source, table)
    states = {_below_landing(settings, delivery): _file_state(delivery) for delivery in deliveries}
    landing = Landing(
        source.name,
        table.name,
        str(first_day),
        str(end_day),
        status=NOTHING,
        files=len(deliveries),
        bytes=size,
        fingerprint=hashlib.sha256(f"{declaration} {sorted(states.items())}".encode()).hexdigest(),
    )
    works = _plan(connection, settings, source, table, deliveries, first_day, end_day, declaration)
    if not works:
        if deliveries:
            return replace(landing, status=UNCHANGED)
        _log(connection, landing, run_id)
        return landing

    connection.execute("begin")
    try:
        _prepare_set_aside(connection)
        for work in works:
            _read(connection, settings, work)
        found = differences(connection, table, [opened for work in works for opened in work.opened], _rows_read(works))
        _refuse_new_columns(source, table, works)
        (quarantined,) = connection.execute("select count(*) from set_aside").fetchall()[0]
        landing = replace(
            landing,
            status=LANDED,
            rows_read=_rows_read(works),
            rows_landed=sum(work.rows_inserted for work in works),
            rows_quarantined=quarantined,
            duplicates=sum(work.duplicates for work in works),
            rows_removed=sum(work.rows_removed for work in works),
            restated_days=", ".join(_restated_days(connection, works)),
            undeclared_columns=", ".join(sorted({name for item in _opened(works) for name in item.undeclared})),
        )
        repaired = repaired_ids(settings.landing, source.name, table.name)
        problem = _too_many_bad_rows(connection, works, repaired, found)
        if problem:
            kept = connection.sql(f"select * from set_aside limit {KEPT_OF_STOPPED}").to_arrow_table()
            connection.execute("rollback")
            _keep_stopped(connection, works, landing, kept, run_id)
            raise BadDeliveryError(problem)
        _write_books(connection, settings, works, repaired, declaration, run_id)
        new_sentences = record_differences(connection, source, table, found, run_id)
        remove_expired(connection, settings, source, table)
        landing = replace(landing, drift=tuple(new_sentences), seconds=round(time.monotonic() - started, 3))
        _log(connection, landing, run_id)
        connection.execute("commit")
    except BadDeliveryError:
        raise
    except BaseException:
        connection.execute("rollback")
        raise
    return landing


# --- What is to be done ----------------------------------------------------------------------------------------------


def _plan(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    source: Source,
    table: Table,
    deliveries: list[Delivery],
    first_day: date,
    end_day: date,
    declaration: str,
) -> list[_Work]:
    """What must be read: nothing when everything has landed; for snapshots one piece of work a day."""
    landed: dict[date, dict[str, tuple]] = {}
    for day, file, *state in connection.execute(
        "select day, source_file, bytes, modified_at, declaration from operations.landed_files "
        "where source = ? and table_name = ? and day >= ? and day < ?",
        [source.name, table.name, first_day, end_day],
    ).fetchall():
        landed.setdefault(day, {})[file] = tuple(state)
    delivered: dict[date, dict[str, Delivery]] = {}
    for delivery in deliveries:
        delivered.setdefault(delivery.day, {})[_below_landing(settings, delivery)] = delivery
    to_read: list[Delivery] = []
    replaced: list[date] = []
    for day in sorted(delivered.keys() | landed.keys()):
        before, now = landed.get(day, {}), delivered.get(day, {})
        changed = [
            file for file, state in before.items() if file not in now or (*_file_state(now[file]), declaration) != state
        ]
        gone = before.keys() - now.keys()
        may_be_taken_back = table.grain != "snapshot" and "{date}" in table.path
        if gone and not may_be_taken_back and not now.keys() - before.keys():
            # The landing zone was tidied up, or a file without a day in its name was written again; what it said stays.
            continue
        if changed or (table.grain == "snapshot" and now.keys() - before.keys()):
            replaced.append(day)
            to_read += now.values()
        else:
            to_read += [delivery for file, delivery in now.items() if file not in before]
    if not to_read and not replaced:
        return []
    landed_at = datetime.now(UTC).replace(tzinfo=None)
    if table.grain != "snapshot":
        return [_Work(source, table, stored_name(source, table), landed_at, to_read, replaced)]
    return [
        _Work(source, table, ARRIVED, landed_at, [delivery for delivery in to_read if delivery.day == day], [day])
        for day in sorted({delivery.day for delivery in to_read})
    ]


def _declaration_mark(source: Source, table: Table) -> str:
    """Changes when the declaration changes what lands."""
    shown = table.model_dump_json(exclude={"title": True, "identifiers": True, "columns": {"__all__": {"description"}}})
    return hashlib.sha256(f"{shown} {source.time_zone}".encode()).hexdigest()[:16]


def _file_state(delivery: Delivery) -> tuple[int, int]:
    status = delivery.path.stat()
    return status.st_size, status.st_mtime_ns


def _below_landing(settings: Settings, delivery: Delivery) -> str:
    return delivery.path.relative_to(settings.landing).as_posix()


# --- Reading ---------------------------------------------------------------------------------------------------------


def _prepare_set_aside(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "create or replace temp table set_aside (_source_file varchar, _line bigint, _interval date, "
        "column_name varchar, reason varchar, raw varchar)"
    )


def _read(connection: duckdb.DuckDBPyConnection, settings: Settings, work: _Work) -> None:
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
        _refuse_new_columns(work.source, work.table, [work])
        _insert(connection, settings, work, opened)
    _remove_duplicates(connection, work)
    if work.table.grain == "snapshot":
        _say_what_is_true(connection, work)


def _insert(connection: duckdb.DuckDBPyConnection, settings: Settings, work: _Work, opened: Opened) -> None:
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
    connection: duckdb.DuckDBPyConnection, settings: Settings, work: _Work, opened: Opened, bad_rows: int
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


def _checked_rows(work: _Work, opened: Opened) -> str:
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


def _rows_read(works: list[_Work]) -> int:
    return sum(work.rows_read for work in works)


def _opened(works: list[_Work]) -> list[Opened]:
    return [opened for work in works for opened in work.opened]


def _refuse_new_columns(source: Source, table: Table, works: list[_Work]) -> None:
    undeclared = sorted({name for opened in _opened(works) for name in opened.undeclared})
    if table.new_columns == "refuse" and undeclared:
        raise DeliveryError(
            f"{source.name}.{table.name}: the delivery has columns that nobody declared: {', '.join(undeclared)}. "
            f"Declare them in sources/{source.name}.yml, or set new_columns to ignore or land."
        )


# --- Duplicates ------------------------------------------------------------------------------------------------------


def _remove_duplicates(connection: duckdb.DuckDBPyConnection, work: _Work) -> None:
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


# --- Snapshots -------------------------------------------------------------------------------------------------------


def _say_what_is_true(connection: duckdb.DuckDBPyConnection, work: _Work) -> None:
    (day,) = work.days
    stored = stored_name(work.source, work.table)
    (next_day,) = connection.execute(
        "select min(day) from operations.landed_files where source = $source and table_name = $table and day > $day",
        {**work.names, "day": day},
    ).fetchall()[0]
    replace_period(connection, stored, ARRIVED, work.table.primary_key, delivered_columns(work.table), day, next_day)


# --- Judging the whole -----------------------------------------------------------------------------------------------


def _too_many_bad_rows(
    connection: duckdb.DuckDBPyConnection, works: list[_Work], repaired: list[str], found: list[Difference]
) -> str:
    """Why the run must stop; empty when it may go on. Other files of the same days count too, repaired rows do not."""
    source, table = works[0].source, works[0].table
    files = [opened_file for opened in _opened(works) for opened_file in opened.rows]
    days = sorted({day for work in works for day in work.days})
    names = {"source": source.name, "table": table.name}
    bad_now, bad_before, rows_before = connection.execute(
        f"""
        select
            (select count(*) from set_aside where not list_contains($repaired, {_IDENTITY})),
            (
                select count(*) from operations.quarantine
                where source = $source and table_name = $table and list_contains($days, day)
                    and not list_contains($files, source_file) and not list_contains($repaired, quarantine_id)
            ),
            (
                select coalesce(sum(rows_read), 0) from operations.landed_files
                where source = $source and table_name = $table and list_contains($days, day)
                    and not list_contains($files, source_file)
            )
        """,
        {**names, "repaired": repaired, "days": days, "files": files},
    ).fetchall()[0]
    bad, rows = bad_now + bad_before, _rows_read(works) + rows_before
    share = bad / max(rows, 1)
    if bad_now == 0 or bad <= source.tolerated_bad_rows or share <= source.tolerated_bad_share:
        return ""
    reasons = connection.execute(
        """
        select coalesce(column_name || ' ', '') || reason, count(*), min_by(_source_file, (_source_file, _line)),
            min_by(_line, (_source_file, _line))
        from set_aside group by all order by 2 desc, 1 limit 3
        """
    ).fetchall()
    worst = "; ".join(f"{reason} ({count:,} rows, first {file} line {line})" for reason, count, file, line in reasons)
    drift = "".join(f" {difference.sentence}" for difference in found)
    return (
        f"{source.name}.{table.name}: {bad:,} of {rows:,} rows are bad "
        f"({share:.1%}), more than the tolerated {source.tolerated_bad_share:.1%}: {worst}.{drift} "
        "Nothing of this delivery was landed; the rows are in operations.quarantine. "
        f"Ask {source.owner} for a new delivery or raise tolerated_bad_share in sources/{source.name}.yml."
    )


def _restated_days(connection: duckdb.DuckDBPyConnection, works: list[_Work]) -> list[str]:
    """Days of rows that were delivered on a later day than the one they belong to, newest first."""
    table = works[0].table
    if table.event_time is None or table.grain == "snapshot":
        return []
    late = connection.execute(
        f"""
        select cast("{table.event_time}" as date) as day, count(*)
        from {works[0].target}
        where _landed_at = $now and cast("{table.event_time}" as date) < _interval
        group by all order by day desc limit 31
        """,
        {"now": works[0].landed_at},
    ).fetchall()
    return [f"{day} ({rows:,} rows)" for day, rows in late]


# --- The books -------------------------------------------------------------------------------------------------------

_IDENTITY = "left(md5($source || '.' || $table || ':' || _source_file || ':' || _line), 16)"
"""SQL of the id of a quarantined row: the same whenever the same line of the same file is read."""


def _write_books(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    works: list[_Work],
    repaired: list[str],
    declaration: str,
    run_id: str,
) -> None:
    _clear_quarantine(connection, works)
    names = works[0].names
    now = works[0].landed_at
    connection.execute(
        f"""
        insert into operations.quarantine by name
        select {_IDENTITY} as quarantine_id, $source as source, $table as table_name, _source_file as source_file,
            _line as line, _interval as day, column_name, reason, raw, $run_id as run_id,
            $now::timestamp as quarantined_at, false as repaired
        from set_aside
        """,
        {**names, "run_id": run_id, "now": now},
    )
    # A repair is a file of its own: the row that it stands for may have been set aside by an earlier run.
    connection.execute(
        """
        update operations.quarantine
        set repaired = list_contains($repaired, quarantine_id)
        where source = $source and table_name = $table
            and repaired is distinct from list_contains($repaired, quarantine_id)
        """,
        {**names, "repaired": repaired},
    )
    connection.execute(
        """
        delete from operations.landed_files
        where source = $source and table_name = $table and list_contains($replaced, day)
        """,
        {**names, "replaced": [day for work in works for day in work.replaced_days]},
    )
    rows_read = sum((opened.rows for opened in _opened(works)), Counter())
    files = [
        (_below_landing(settings, delivery), delivery.day, *_file_state(delivery))
        for work in works
        for delivery in work.deliveries
    ]
    connection.execute(
        """
        insert into operations.landed_files by name
        with files as (
            select unnest($files) as source_file, unnest($days) as day, unnest($sizes) as bytes,
                unnest($times) as modified_at, unnest($rows) as rows_read
        ),
        bad as (
            select _source_file as source_file, count(*) as rows_quarantined from set_aside group by all
        )
        select $source as source, $table as table_name, files.*, $declaration as declaration,
            coalesce(bad.rows_quarantined, 0) as rows_quarantined, $run_id as run_id
        from files
        left join bad using (source_file)
        """,
        {
            **names,
            "declaration": declaration,
            "run_id": run_id,
            **{name: [file[place] for file in files] for place, name in enumerate(("files", "days", "sizes", "times"))},
            "rows": [rows_read[file[0]] for file in files],
        },
    )


def _clear_quarantine(connection: duckdb.DuckDBPyConnection, works: list[_Work]) -> None:
    """Forget what an earlier run said about the days and files that are read now."""
    connection.execute(
        """
        delete from operations.quarantine
        where source = $source and table_name = $table
            and (list_contains($replaced, day) or list_contains($files, source_file))
        """,
        {
            **works[0].names,
            "replaced": [day for work in works for day in work.replaced_days],
            "files": [file for opened in _opened(works) for file in opened.rows],
        },
    )


def _keep_stopped(
    connection: duckdb.DuckDBPyConnection, works: list[_Work], landing: Landing, kept: object, run_id: str
) -> None:
    """After the roll-back: show in quarantine why the delivery was refused."""
    connection.execute("begin")
    try:
        _clear_quarantine(connection, works)
        connection.register("kept_rows", kept)
        connection.execute(
            f"""
            insert into operations.quarantine by name
            select {_IDENTITY} as quarantine_id, $source as source, $table as table_name, _source_file as source_file,
                _line as line, _interval as day, column_name, reason, raw, $run_id as run_id,
                $now::timestamp as quarantined_at, false as repaired
            from kept_rows
            """,
            {**works[0].names, "run_id": run_id, "now": works[0].landed_at},
        )
        connection.unregister("kept_rows")
        _log(connection, replace(landing, status=STOPPED, rows_removed=0), run_id)
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise


def _log(connection: duckdb.DuckDBPyConnection, landing: Landing, run_id: str) -> None:
    row = asdict(landing) | {"table_name": landing.table, "run_id": run_id}
    row["logged_at"] = datetime.now(UTC).replace(tzinfo=None)
    del row["table"], row["drift"]
    connection.execute(
        f"insert into operations.landing_log ({', '.join(row)}) values ({', '.join('?' * len(row))})",
        list(row.values()),
    )


def _tell_watcher(connection: duckdb.DuckDBPyConnection, settings: Settings, source: Source) -> None:
    """Write down which files have landed, where the watcher can read it without opening the warehouse."""
    landed = connection.execute(
        "select source_file, bytes, modified_at from operations.landed_files where source = ? order by all",
        [source.name],
    ).fetchall()
    folder = settings.home / "arrivals"
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{source.name}.{os.getpid()}"
    draft.write_text(json.dumps({file: state for file, *state in landed}), encoding="utf-8")
    draft.replace(folder / f"{source.name}.json")
