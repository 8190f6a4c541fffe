"""The quality book: what checks have found, scores of tables and layers, what landed and what waits in quarantine.

One SQLite file in the home, `settings.quality_book`. It can be read while a task has the warehouse open, so portal
and report read only this and the alert book. All moments are UTC, written as ISO 8601.

A score says how much of what is promised is true, 0 to 100: the share of checks that pass, a warning counting half; it
is halved when a check failed or could not be evaluated, so that below 50 always means that something is held.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from tagloom.settings import Settings

if TYPE_CHECKING:
    import duckdb

    from tagloom.quality import CheckResult

TABLES = """
create table if not exists check_results (
    run_id text not null,
    as_of_date text not null,
    layer text not null,
    contract text not null,
    table_name text not null,
    column_name text not null,
    check_name text not null,
    check_type text not null,
    outcome text not null,
    measured real,
    unit text not null,
    threshold text not null,
    owner text not null,
    milliseconds real not null,
    at text not null,
    what_to_do text not null,
    problem text not null,
    primary key (run_id, layer, contract, check_name)
) without rowid;
create index if not exists check_results_of_a_check on check_results (contract, check_name, as_of_date);
create table if not exists table_scores (
    run_id text not null,
    as_of_date text not null,
    layer text not null,
    table_name text not null,
    score real not null,
    checks integer not null,
    warned integer not null,
    failed integer not null,
    at text not null,
    primary key (run_id, layer, table_name)
) without rowid;
create index if not exists table_scores_of_a_table on table_scores (table_name, as_of_date);
create table if not exists layer_scores (
    run_id text not null,
    as_of_date text not null,
    layer text not null,
    score real not null,
    tables integer not null,
    checks integer not null,
    warned integer not null,
    failed integer not null,
    milliseconds real not null,
    at text not null,
    primary key (run_id, layer)
) without rowid;
create table if not exists landings (
    run_id text not null,
    source text not null,
    table_name text not null,
    data_interval text not null,
    landed_at text not null,
    status text not null,
    rows_read integer not null,
    landed integer not null,
    quarantined integer not null,
    duplicates integer not null,
    seconds real not null,
    primary key (landed_at, source, table_name, data_interval, run_id)
) without rowid;
create table if not exists quarantine_reasons (
    source text not null,
    table_name text not null,
    reason text not null,
    rows integer not null,
    newest text not null,
    primary key (source, table_name, reason)
) without rowid
"""

WAIT_SECONDS = 30
"""How long a writer waits for another one; each holds the book for milliseconds."""

KEEP_PASSED_DAYS = 90
"""Results of checks that passed are forgotten after so many days of data; scores, warnings and failures are kept."""

OVERLAP = timedelta(hours=1)
"""Landings so much older than the newest one known are copied again: the clock of a machine may have been set back."""


@dataclass(frozen=True)
class KeptResult:
    """What one check found in one run; the fields are those of `quality.CheckResult`."""

    run_id: str
    as_of_date: date
    layer: str
    contract: str
    table: str
    column: str
    name: str
    check_type: str
    outcome: str
    """passed, warned, failed or `not evaluated`."""
    measured: float | None
    unit: str
    threshold: str
    owner: str
    milliseconds: float
    at: datetime
    what_to_do: str
    problem: str


@dataclass(frozen=True)
class TableScore:
    """How well one table did in one run."""

    run_id: str
    as_of_date: date
    layer: str
    table: str
    """<schema>.<table>; the contract's file when that could not be read."""
    score: float
    checks: int
    warned: int
    failed: int
    """Checks that failed or told nothing."""
    at: datetime


@dataclass(frozen=True)
class LayerScore:
    """How well one layer did in one run: the mean of its tables' shares, halved when a check failed."""

    run_id: str
    as_of_date: date
    layer: str
    score: float
    tables: int
    checks: int
    warned: int
    failed: int
    milliseconds: float
    """Time of all its checks."""
    at: datetime


@dataclass(frozen=True)
class LandedTable:
    """What one run landed of one table."""

    run_id: str
    source: str
    table_name: str
    data_interval: str
    """A day, or `<first day>/<day after the last>` (ISO 8601)."""
    landed_at: datetime
    status: str
    rows_read: int
    landed: int
    quarantined: int
    duplicates: int
    seconds: float


@dataclass(frozen=True)
class QuarantineReason:
    """Why rows of a table wait in quarantine, not counting those that were repaired."""

    source: str
    table_name: str
    reason: str
    rows: int
    newest: date
    """Newest day of delivery with such a row."""


def record(settings: Settings, connection: duckdb.DuckDBPyConnection, results: Iterable[CheckResult]) -> None:
    """Keep what a layer's checks have found, whatever it is, and copy what the warehouse knows of landing.

    `connection`: the open warehouse. A rerun replaces what its run said of the layer. Without results (after a landing)
    only landings and quarantine are copied.
    """
    results = list(results)
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    with _writing(settings) as book:
        _keep_results(book, results, now)
        _keep_scores(book, results, now)
        if results:
            _forget_passed(book)
        _copy_landings(book, connection)
        _copy_quarantine(book, connection)


def latest(settings: Settings) -> list[KeptResult]:
    """Results of the newest run of each layer, as they were recorded; those that stop or warn first."""
    rows = _read(
        settings,
        """
        with newest as (
            select run_id, layer, row_number() over (partition by layer order by at desc, run_id desc) as place
            from layer_scores
        )
        select check_results.* from check_results join newest using (run_id, layer)
        where place = 1
        order by case outcome when 'failed' then 1 when 'not evaluated' then 2 when 'warned' then 3 else 4 end,
            layer, contract, column_name, check_name
        """,
    )
    return [_kept(row) for row in rows]


def latest_tables(settings: Settings) -> list[TableScore]:
    """The score of each table in the newest run of its layer, the worst first."""
    rows = _read(
        settings,
        """
        with newest as (
            select run_id, layer, row_number() over (partition by layer order by at desc, run_id desc) as place
            from layer_scores
        )
        select table_scores.* from table_scores join newest using (run_id, layer)
        where place = 1
        order by score, layer, table_name
        """,
    )
    return [_table_score(row) for row in rows]


def layer_trend(settings: Settings, days: int) -> list[LayerScore]:
    """Each layer's score on each of the last `days` days of data (the newest run of a day), oldest first."""
    rows = _read(
        settings,
        """
        with runs as (
            select *, row_number() over (partition by layer, as_of_date order by at desc, run_id desc) as place
            from layer_scores
        )
        select * from runs
        where place = 1 and as_of_date > date((select max(as_of_date) from layer_scores), ?)
        order by as_of_date, layer
        """,
        [f"-{days} days"],
    )
    return [
        LayerScore(
            *(row["run_id"], date.fromisoformat(row["as_of_date"]), row["layer"], row["score"], row["tables"]),
            *(row["checks"], row["warned"], row["failed"], row["milliseconds"], datetime.fromisoformat(row["at"])),
        )
        for row in rows
    ]


def table_trend(settings: Settings, table: str, days: int) -> list[TableScore]:
    """A table's score on each of the last `days` days of data (the newest run of a day), oldest first.

    `table`: <schema>.<table>.
    """
    rows = _read(
        settings,
        """
        with runs as (
            select *, row_number() over (partition by as_of_date order by at desc, run_id desc) as place
            from table_scores where table_name = ?
        )
        select * from runs
        where place = 1 and as_of_date > date((select max(as_of_date) from layer_scores), ?)
        order by as_of_date
        """,
        [table, f"-{days} days"],
    )
    return [_table_score(row) for row in rows]


def table_trends(settings: Settings, days: int) -> dict[str, list[TableScore]]:
    """Every table -> what `table_trend` tells of it."""
    rows = _read(
        settings,
        """
        with runs as (
            select *, row_number() over (partition by table_name, as_of_date order by at desc, run_id desc) as place
            from table_scores
        )
        select * from runs
        where place = 1 and as_of_date > date((select max(as_of_date) from layer_scores), ?)
        order by table_name, as_of_date
        """,
        [f"-{days} days"],
    )
    found: dict[str, list[TableScore]] = {}
    for row in rows:
        found.setdefault(row["table_name"], []).append(_table_score(row))
    return found


def check_trend(settings: Settings, contract: str, name: str, days: int) -> list[tuple[date, float]]:
    """What one check measured on each of the last `days` days of data (the newest run of a day), oldest first."""
    rows = _read(
        settings,
        """
        with runs as (
            select as_of_date, measured, row_number() over (partition by as_of_date order by at desc) as place
            from check_results
            where contract = ? and check_name = ? and measured is not null
        )
        select as_of_date, measured from runs
        where place = 1 and as_of_date > date((select max(as_of_date) from layer_scores), ?)
        order by as_of_date
        """,
        [contract, name, f"-{days} days"],
    )
    return [(date.fromisoformat(row["as_of_date"]), row["measured"]) for row in rows]


def landings(settings: Settings, days: int) -> list[LandedTable]:
    """What landed in the last `days` days up to the newest landing, newest first."""
    rows = _read(
        settings,
        """
        select * from landings
        where datetime(landed_at) > datetime((select max(landed_at) from landings), ?)
        order by landed_at desc, source, table_name, data_interval
        """,
        [f"-{days} days"],
    )
    return [_landed(row) for row in rows]


def newest_landings(settings: Settings) -> list[LandedTable]:
    """The newest landing with rows of each table, by source and table: how fresh everything is."""
    rows = _read(
        settings,
        """
        with counted as (
            select *, row_number() over (partition by source, table_name order by landed_at desc) as place
            from landings where landed > 0
        )
        select * from counted where place = 1 order by source, table_name
        """,
    )
    return [_landed(row) for row in rows]


def quarantine(settings: Settings) -> list[QuarantineReason]:
    """Why rows wait in quarantine, by source and table; the most frequent reason of each first."""
    rows = _read(settings, "select * from quarantine_reasons order by source, table_name, rows desc, reason")
    return [
        QuarantineReason(
            *(row["source"], row["table_name"], row["reason"], row["rows"]), date.fromisoformat(row["newest"])
        )
        for row in rows
    ]


def score(outcomes: Sequence[str]) -> float:
    """Score of a table whose checks came out like this (`passed`, `warned`, others); 100 when there is no check."""
    return _score(_share(outcomes), outcomes)


def _score(share: float, outcomes: Sequence[str]) -> float:
    """Share, or half of it; rounded down, so that nothing with a fault is called 100, nor 50."""
    return math.floor(share * (5 if any(_stops(outcome) for outcome in outcomes) else 10)) / 10


def _share(outcomes: Sequence[str]) -> float:
    points = {"passed": 1.0, "warned": 0.5}
    return 100 * sum(points.get(outcome, 0.0) for outcome in outcomes) / len(outcomes) if outcomes else 100.0


def _stops(outcome: str) -> bool:
    return outcome not in ("passed", "warned")


def _keep_results(book: sqlite3.Connection, results: list[CheckResult], now: str) -> None:
    for run_id, layer in {(result.run_id, result.layer) for result in results}:
        for table in ("check_results", "table_scores", "layer_scores"):
            book.execute(f"delete from {table} where run_id = ? and layer = ?", [run_id, layer])
    # Two checks of one name in one contract are refused where contracts are read; a broken file has one result.
    book.executemany(
        "insert or replace into check_results (run_id, as_of_date, layer, contract, table_name, column_name, "
        "check_name, check_type, outcome, measured, unit, threshold, owner, milliseconds, at, what_to_do, problem) "
        "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(result.run_id, result.as_of_date.isoformat(), result.layer, result.contract, result.table),
                *(result.column, result.name, result.check_type, result.outcome, result.measured, result.unit),
                *(result.threshold, result.owner, result.milliseconds, now, result.what_to_do, result.problem),
            )
            for result in results
        ],
    )


def _forget_passed(book: sqlite3.Connection) -> None:
    book.execute(
        "delete from check_results where outcome = 'passed' "
        "and as_of_date < date((select max(as_of_date) from layer_scores), ?)",
        [f"-{KEEP_PASSED_DAYS} days"],
    )


def _keep_scores(book: sqlite3.Connection, results: list[CheckResult], now: str) -> None:
    layers: dict[tuple[str, str, str], dict[str, list[CheckResult]]] = {}
    for result in results:
        tables = layers.setdefault((result.run_id, result.as_of_date.isoformat(), result.layer), {})
        tables.setdefault(result.table or result.contract, []).append(result)
    for place, tables in layers.items():
        outcomes = {table: [result.outcome for result in found] for table, found in tables.items()}
        book.executemany(
            "insert into table_scores values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(*place, table, score(found), *_counts(found), now) for table, found in outcomes.items()],
        )
        everything = [outcome for found in outcomes.values() for outcome in found]
        mean = sum(_share(found) for found in outcomes.values()) / len(outcomes)
        milliseconds = sum(result.milliseconds for found in tables.values() for result in found)
        book.execute(
            "insert into layer_scores values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [*place, _score(mean, everything), len(tables), *_counts(everything), milliseconds, now],
        )


def _counts(outcomes: list[str]) -> tuple[int, int, int]:
    """Checks, of these warned, of these failed."""
    return len(outcomes), outcomes.count("warned"), sum(map(_stops, outcomes))


def _copy_landings(book: sqlite3.Connection, connection: duckdb.DuckDBPyConnection) -> None:
    if not _is_there(connection, "landing_log"):
        return
    newest = book.execute("select max(landed_at) from landings").fetchone()[0]
    since = datetime.fromisoformat(newest).replace(tzinfo=None) - OVERLAP if newest else datetime(1970, 1, 1)
    rows = connection.execute(
        """
        select run_id, source, table_name, first_day, end_day, logged_at, status, rows_read, rows_landed,
            rows_quarantined, duplicates, seconds
        from operations.landing_log where logged_at >= ?
        """,
        [since],
    ).fetchall()
    book.executemany(
        "insert or ignore into landings values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(run_id, source, table, _interval(first_day, end_day)),
                *(logged_at.replace(tzinfo=UTC).isoformat(timespec="microseconds"), status),
                *(number or 0 for number in numbers),
            )
            for run_id, source, table, first_day, end_day, logged_at, status, *numbers in rows
        ],
    )


def _interval(first_day: date, end_day: date) -> str:
    return f"{first_day}" if end_day - first_day <= timedelta(days=1) else f"{first_day}/{end_day}"


def _copy_quarantine(book: sqlite3.Connection, connection: duckdb.DuckDBPyConnection) -> None:
    if not _is_there(connection, "quarantine"):
        return
    rows = connection.execute(
        """
        select source, table_name, coalesce(column_name || ' ', '') || reason as why, count(*),
            max(coalesce(day, cast(quarantined_at as date)))
        from operations.quarantine where not coalesce(repaired, false)
        group by all
        """
    ).fetchall()
    book.execute("delete from quarantine_reasons")
    book.executemany(
        "insert into quarantine_reasons values (?, ?, ?, ?, ?)",
        [(source, table, why, count, f"{day}") for source, table, why, count, day in rows],
    )


def _is_there(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    return bool(
        connection.execute(
            "select 1 from duckdb_tables() where database_name = current_database() "
            "and schema_name = 'operations' and table_name = ?",
            [table],
        ).fetchone()
    )


@contextmanager
def _writing(settings: Settings) -> Iterator[sqlite3.Connection]:
    settings.quality_book.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(settings.quality_book, timeout=WAIT_SECONDS, isolation_level=None)) as book:
        book.execute("pragma journal_mode = wal")
        # Immediate: two that read first and write then would both be refused.
        book.execute("begin immediate")
        try:
            for statement in TABLES.split(";"):
                book.execute(statement)
            yield book
        except BaseException:
            book.execute("rollback")
            raise
        book.execute("commit")


def _read(settings: Settings, query: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
    """Rows of a query; none when nothing was ever recorded."""
    if not settings.quality_book.exists():
        return []
    address = f"{settings.quality_book.as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=WAIT_SECONDS)) as book:
        book.row_factory = sqlite3.Row
        if not book.execute("select 1 from sqlite_master where name = 'check_results'").fetchone():
            return []
        return book.execute(query, values).fetchall()


def _kept(row: sqlite3.Row) -> KeptResult:
    return KeptResult(
        *(row["run_id"], date.fromisoformat(row["as_of_date"]), row["layer"], row["contract"], row["table_name"]),
        *(row["column_name"], row["check_name"], row["check_type"], row["outcome"], row["measured"], row["unit"]),
        *(row["threshold"], row["owner"], row["milliseconds"], datetime.fromisoformat(row["at"])),
        *(row["what_to_do"], row["problem"]),
    )


def _table_score(row: sqlite3.Row) -> TableScore:
    return TableScore(
        *(row["run_id"], date.fromisoformat(row["as_of_date"]), row["layer"], row["table_name"], row["score"]),
        *(row["checks"], row["warned"], row["failed"], datetime.fromisoformat(row["at"])),
    )


def _landed(row: sqlite3.Row) -> LandedTable:
    return LandedTable(
        *(row["run_id"], row["source"], row["table_name"], row["data_interval"]),
        *(datetime.fromisoformat(row["landed_at"]), row["status"], row["rows_read"], row["landed"]),
        *(row["quarantined"], row["duplicates"], row["seconds"]),
    )
