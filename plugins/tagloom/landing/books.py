"""Keeps the books of landing: quarantine, landed files and the log; and judges whether a delivery may land at all."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tagloom.landing.drift import Difference
from tagloom.landing.work import STOPPED, Landing, Work, all_opened, below_landing, file_state, rows_read
from tagloom.settings import Settings
from tagloom.sources import Source

if TYPE_CHECKING:
    import duckdb

KEPT_OF_STOPPED = 10_000
"""Of a delivery that is refused because too many rows are bad, so many of these rows are shown in quarantine."""


QUARANTINE_ID = "left(md5($source || '.' || $table || ':' || _source_file || ':' || _line), 16)"
"""SQL of the id of a quarantined row: the same whenever the same line of the same file is read."""


def too_many_bad_rows(
    connection: duckdb.DuckDBPyConnection, works: list[Work], repaired: list[str], found: list[Difference]
) -> str:
    """Why the run must stop; empty when it may go on. Other files of the same days count too, repaired rows do not."""
    source, table = works[0].source, works[0].table
    files = [opened_file for opened in all_opened(works) for opened_file in opened.rows]
    days = sorted({day for work in works for day in work.days})
    names = {"source": source.name, "table": table.name}
    bad_now, bad_before, rows_before = connection.execute(
        f"""
        select
            (select count(*) from set_aside where not list_contains($repaired, {QUARANTINE_ID})),
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
    bad, rows = bad_now + bad_before, rows_read(works) + rows_before
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


def restated_days(connection: duckdb.DuckDBPyConnection, works: list[Work]) -> list[str]:
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


def _quarantine(
    connection: duckdb.DuckDBPyConnection, rows: str, names: dict[str, str], run_id: str, now: datetime
) -> None:
    """Write rows that were set aside into operations.quarantine; `rows` is a relation like set_aside."""
    connection.execute(
        f"""
        insert into operations.quarantine by name
        select {QUARANTINE_ID} as quarantine_id, $source as source, $table as table_name,
            _source_file as source_file, _line as line, _interval as day, column_name, reason, raw,
            $run_id as run_id, $now::timestamp as quarantined_at, false as repaired
        from {rows}
        """,
        {**names, "run_id": run_id, "now": now},
    )


def write_books(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    works: list[Work],
    repaired: list[str],
    declaration: str,
    run_id: str,
) -> None:
    """Write what was read: bad rows into quarantine, the files with their counts, which rows are repaired."""
    _clear_quarantine(connection, works)
    names = works[0].names
    _quarantine(connection, "set_aside", names, run_id, works[0].landed_at)
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
    rows_of_file = sum((opened.rows for opened in all_opened(works)), Counter())
    files = [
        (below_landing(settings, delivery), delivery.day, *file_state(delivery))
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
            "rows": [rows_of_file[file[0]] for file in files],
        },
    )


def _clear_quarantine(connection: duckdb.DuckDBPyConnection, works: list[Work]) -> None:
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
            "files": [file for opened in all_opened(works) for file in opened.rows],
        },
    )


def keep_stopped(
    connection: duckdb.DuckDBPyConnection, works: list[Work], landing: Landing, kept: object, run_id: str
) -> None:
    """After the roll-back: show in quarantine why the delivery was refused."""
    connection.execute("begin")
    try:
        _clear_quarantine(connection, works)
        connection.register("kept_rows", kept)
        _quarantine(connection, "kept_rows", works[0].names, run_id, works[0].landed_at)
        connection.unregister("kept_rows")
        write_log(connection, replace(landing, status=STOPPED, rows_removed=0), run_id)
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise


def write_log(connection: duckdb.DuckDBPyConnection, landing: Landing, run_id: str) -> None:
    """Add the line of one run and table to operations.landing_log."""
    row = asdict(landing) | {"table_name": landing.table, "run_id": run_id}
    row["logged_at"] = datetime.now(UTC).replace(tzinfo=None)
    del row["table"], row["drift"]
    connection.execute(
        f"insert into operations.landing_log ({', '.join(row)}) values ({', '.join('?' * len(row))})",
        list(row.values()),
    )


def tell_watcher(connection: duckdb.DuckDBPyConnection, settings: Settings, source: Source) -> None:
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
