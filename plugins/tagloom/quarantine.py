"""Rows that broke their declaration: count them, look at them, take their originals out, bring repaired rows back.

A repaired row becomes a delivery of its day (`repairs`), and the day is landed again, so that every later run of the
day gives the same rows. All functions work over an open warehouse.
"""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from tagloom.operations import create_operations_tables
from tagloom.reading.deliveries import REPAIRS, Delivery, DeliveryError
from tagloom.repairs import IDENTITY, ORIGIN, read_repairs, write_repairs
from tagloom.settings import Settings
from tagloom.sources import Source, Table, load_source

if TYPE_CHECKING:
    import duckdb

SUFFIXES = (".jsonl", ".csv")
"""Kinds of files that rows are exported to and taken back from."""

OWNER_ONLY = 0o600
"""Exported rows hold what the warehouse hides."""


class QuarantineError(ValueError):
    """What was asked for is not there, or a file of repaired rows cannot be used; the message names the cure."""


@dataclass(frozen=True)
class Filter:
    """Which rows are meant; None stands for all."""

    source: str | None = None
    table: str | None = None
    reason: str | None = None
    """Part of the reason, whatever its case."""
    day: date | None = None
    ids: tuple[str, ...] = ()
    with_repaired: bool = False
    """Whether rows count that have been repaired already."""


@dataclass(frozen=True)
class Entry:
    """One quarantined row, masked as it is stored."""

    quarantine_id: str
    source: str
    table: str
    source_file: str
    """Below the landing zone."""
    line: int
    """Physical line from 1, or number of the record."""
    day: date
    column: str
    """Empty when the row as a whole is wrong."""
    reason: str
    raw: str
    repaired: bool

    @property
    def problem(self) -> str:
        """Column and reason in one phrase."""
        return f"{self.column} {self.reason}".strip()


@dataclass(frozen=True)
class Group:
    """Rows of one table with one reason."""

    source: str
    table: str
    problem: str
    rows: int
    first_day: date
    last_day: date
    example: str
    """quarantine_id of the first one."""
    place: str
    """Its file and line."""


@dataclass(frozen=True)
class Relanding:
    """What landing a day again did to its quarantine."""

    source: str
    table: str
    day: date
    before: int
    after: int
    problem: str = ""
    """Why it did not land."""


def groups(connection: duckdb.DuckDBPyConnection, wanted: Filter) -> list[Group]:
    """How many rows lie there, by source, table and reason, most first."""
    create_operations_tables(connection)
    where, values = _where(wanted)
    found = connection.execute(
        f"""
        select source, table_name, trim(coalesce(column_name, '') || ' ' || reason) as problem, count(*) as rows,
            min(day), max(day), arg_min(quarantine_id, (day, source_file, line)),
            arg_min(source_file || ' line ' || line, (day, source_file, line))
        from operations.quarantine
        where {where}
        group by source, table_name, problem
        order by source, table_name, rows desc, problem
        """,
        values,
    ).fetchall()
    return [Group(*row) for row in found]


def entries(connection: duckdb.DuckDBPyConnection, wanted: Filter, limit: int | None = None) -> list[Entry]:
    """The rows themselves, in the order in which they were delivered.

    Raises QuarantineError when an id is not there.
    """
    create_operations_tables(connection)
    where, values = _where(wanted)
    found = connection.execute(
        f"""
        select quarantine_id, source, table_name, source_file, line, day, coalesce(column_name, ''), reason, raw,
            coalesce(repaired, false)
        from operations.quarantine
        where {where}
        order by source, table_name, day, source_file, line
        {"" if limit is None else f"limit {limit:d}"}
        """,
        values,
    ).fetchall()
    rows = [Entry(*row) for row in found]
    unknown = [identity for identity in wanted.ids if identity not in {row.quarantine_id for row in rows}]
    if unknown:
        raise QuarantineError(
            f"{', '.join(unknown)}: no such row lies in quarantine; `quarantine list` shows what does. A row that was "
            "landed again since has a place there only if it is still bad."
        )
    return rows


def original_rows(
    connection: duckdb.DuckDBPyConnection, settings: Settings, rows: Sequence[Entry]
) -> dict[str, dict[str, str | None]]:
    """quarantine_id -> declared column -> value as delivered, unmasked; `_raw` where the line cannot be taken apart.

    Reads each delivered file once. Raises QuarantineError when a file is no longer there.
    """
    from tagloom.reading.readers import open_deliveries

    found: dict[str, dict[str, str | None]] = {}
    for (source_name, table_name, file), group in groupby(
        rows, key=lambda row: (row.source, row.table, row.source_file)
    ):
        members = {row.line: row for row in group}
        path = settings.landing / file
        if not path.exists():
            raise QuarantineError(
                f"{path}: is no longer in the landing zone, so its original rows are gone; the masked ones remain."
            )
        table = _declared(settings, source_name, table_name)[1]
        delivery = Delivery(path, next(iter(members.values())).day, is_repair=_is_repair(file))
        columns = ", ".join(f'cast("{name}" as varchar) as "{name}"' for name in table.column_names)
        for opened in open_deliveries(connection, table, [delivery], settings.landing):
            with opened.reading():
                originals = connection.execute(
                    f"select _line, _torn, {columns} from {opened.relation} where list_contains($lines, _line)",
                    {"lines": list(members)},
                ).fetchall()
            for line, torn, *values in originals:
                found[members[line].quarantine_id] = dict(zip(table.column_names, values, strict=True)) | (
                    {"_raw": torn} if torn is not None else {}
                )
    lost = [row for row in rows if row.quarantine_id not in found]
    if lost:
        raise QuarantineError(
            f"{settings.landing / lost[0].source_file}: has no line {lost[0].line} any more: it was delivered anew. "
            f"Land {lost[0].day} of {lost[0].source} again first."
        )
    return found


def export(connection: duckdb.DuckDBPyConnection, settings: Settings, rows: Sequence[Entry], file: Path) -> None:
    """Write rows with their original values to a .jsonl or .csv file that only its owner can read.

    Keys that begin with "_" tell what is wrong; `replay` needs _quarantine_id of them and no other.
    """
    _require_suffix(file)
    tables = sorted({(row.source, row.table) for row in rows})
    if file.suffix == ".csv" and len(tables) > 1:
        listed = ", ".join(f"{source}.{table}" for source, table in tables)
        raise QuarantineError(
            f"{file}: rows of {len(tables)} tables ({listed}) have different columns; choose one with --source and "
            "--table, or write .jsonl."
        )
    originals = original_rows(connection, settings, rows)
    records = [
        {
            IDENTITY: row.quarantine_id,
            "_table": f"{row.source}.{row.table}",
            "_place": f"{row.source_file} line {row.line}",
            "_problem": row.problem,
            "_raw": None,
            **originals[row.quarantine_id],
        }
        for row in rows
    ]
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY), "w", encoding="utf-8") as stream:
        if file.suffix == ".csv":
            writer = csv.DictWriter(stream, list(dict.fromkeys(key for record in records for key in record)))
            writer.writeheader()
            writer.writerows(records)
        else:
            stream.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    draft.replace(file)


def read_repaired(file: Path) -> dict[str, dict[str, str | None]]:
    """quarantine_id -> column -> value, from a file that `export` wrote and somebody corrected.

    Raises QuarantineError naming the line that cannot be used.
    """
    _require_suffix(file)
    rows: dict[str, dict[str, str | None]] = {}
    for line, record in _records(file):
        identity = record.get(IDENTITY)
        if not identity:
            raise QuarantineError(f"{file}: line {line}: lacks {IDENTITY}, which says whose repair it is.")
        if identity in rows:
            raise QuarantineError(f"{file}: line {line}: {identity} stands there twice; keep one of the two.")
        rows[identity] = {name: _text(value) for name, value in record.items() if not name.startswith("_")}
    if not rows:
        raise QuarantineError(f"{file}: holds no row.")
    return rows


def still_bad(settings: Settings, source: Source, table: Table, day: date, rows: dict[str, dict]) -> dict[str, str]:
    """quarantine_id -> what is still wrong with the repaired row, for those that would be set aside again.

    The rows are landed in a warehouse of their own that is forgotten afterwards.
    """
    import duckdb

    from tagloom.landing.land import land_source

    unknown = {
        identity: f"{', '.join(extra)} is no column of {source.name}.{table.name}"
        for identity, row in rows.items()
        if (extra := [name for name in row if name not in table.column_names])
    }
    tried = {identity: row for identity, row in rows.items() if identity not in unknown}
    if not tried:
        return unknown
    tolerant = source.model_copy(update={"tables": [table], "tolerated_bad_share": 1.0})
    with tempfile.TemporaryDirectory(prefix="tagloom-") as folder, duckdb.connect() as connection:
        connection.execute("set time zone 'UTC'")
        trial = replace(settings, home=Path(folder) / "home", landing=Path(folder) / "landing")
        write_repairs(trial.landing, source.name, table.name, day, tried, dict.fromkeys(tried, ""))
        land_source(connection, trial, tolerant, day, day + timedelta(days=1), "trial")
        faults = connection.execute("select line, column_name, reason from operations.quarantine").fetchall()
    # The file holds them in the order of their ids, one a line.
    in_order = sorted(tried)
    return unknown | {in_order[line - 1]: f"{column or ''} {reason}".strip() for line, column, reason in faults}


def replay_rows(
    connection: duckdb.DuckDBPyConnection, settings: Settings, repaired: dict[str, dict]
) -> tuple[dict[str, str], list[Relanding]]:
    """Land repaired rows: those that are right become deliveries, and their days are landed again.

    Returns quarantine_id -> what is still wrong, for the rows that were left where they are, and what became of the
    days. Doing it twice gives the same tables.
    """
    rows = entries(connection, Filter(ids=tuple(repaired), with_repaired=True))
    problems: dict[str, str] = {}
    days: list[tuple[str, str, date]] = []
    for (source_name, table_name, day), group in groupby(rows, key=lambda row: (row.source, row.table, row.day)):
        members = {row.quarantine_id: row for row in group}
        source, table = _declared(settings, source_name, table_name)
        given = {identity: repaired[identity] for identity in members}
        wrong = still_bad(settings, source, table, day, given)
        problems |= wrong
        right = {identity: row for identity, row in given.items() if identity not in wrong}
        if right:
            behind = {identity: _behind(settings, members[identity]) for identity in right}
            write_repairs(
                settings.landing,
                source_name,
                table_name,
                day,
                {behind[identity][0]: row for identity, row in right.items()},
                dict(behind.values()),
            )
            days.append((source_name, table_name, day))
    return problems, [_land_again(connection, settings, *place) for place in days]


def replay_days(connection: duckdb.DuckDBPyConnection, settings: Settings, wanted: Filter) -> list[Relanding]:
    """Land every day again that has quarantined rows of the kind, such as after a declaration was corrected."""
    create_operations_tables(connection)
    where, values = _where(wanted)
    places = connection.execute(
        f"select distinct source, table_name, day from operations.quarantine where {where} order by all", values
    ).fetchall()
    return [_land_again(connection, settings, *place) for place in places]


def _behind(settings: Settings, row: Entry) -> tuple[str, str]:
    """(quarantine_id, delivered file) of the delivered row: a repair that is bad itself stands for an earlier row."""
    if not _is_repair(row.source_file):
        return row.quarantine_id, row.source_file
    record = read_repairs([settings.landing / row.source_file])[row.line - 1]
    return record[IDENTITY], record[ORIGIN[0]]


def _is_repair(file: str) -> bool:
    return Path(file).parts[1:2] == (REPAIRS,)


def _land_again(
    connection: duckdb.DuckDBPyConnection, settings: Settings, source_name: str, table_name: str, day: date
) -> Relanding:
    from tagloom.landing.land import land_source

    of_table = Filter(source=source_name, table=table_name, day=day)
    before = _count(connection, of_table)
    problem = ""
    try:
        source, _ = _declared(settings, source_name, table_name)
        run_id = f"replay__{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
        land_source(connection, settings, source, day, day + timedelta(days=1), run_id)
    except DeliveryError as error:
        # The other days are none the worse for it.
        problem = str(error)
    return Relanding(source_name, table_name, day, before, _count(connection, of_table), problem)


def _count(connection: duckdb.DuckDBPyConnection, wanted: Filter) -> int:
    where, values = _where(wanted)
    return connection.execute(f"select count(*) from operations.quarantine where {where}", values).fetchall()[0][0]


def _declared(settings: Settings, source_name: str, table_name: str) -> tuple[Source, Table]:
    path = settings.sources / f"{source_name}.yml"
    if not path.exists():
        raise QuarantineError(f"{path}: is not there, so nothing says how rows of {source_name} are read.")
    source = load_source(path)
    if table_name not in [table.name for table in source.tables]:
        raise QuarantineError(f"{path}: declares no table {table_name}, so nothing says how its rows are read.")
    return source, source.table(table_name)


def _where(wanted: Filter) -> tuple[str, dict]:
    conditions, values = ["true"], {}
    for column, value in (("source", wanted.source), ("table_name", wanted.table), ("day", wanted.day)):
        if value is not None:
            conditions.append(f"{column} = ${column}")
            values[column] = value
    if wanted.reason:
        conditions.append("contains(lower(coalesce(column_name, '') || ' ' || reason), $reason)")
        values["reason"] = wanted.reason.lower()
    if wanted.ids:
        conditions.append("list_contains($ids, quarantine_id)")
        values["ids"] = list(wanted.ids)
    if not wanted.with_repaired:
        conditions.append("not coalesce(repaired, false)")
    return " and ".join(conditions), values


def _require_suffix(file: Path) -> None:
    if file.suffix not in SUFFIXES:
        raise QuarantineError(f"{file}: must end in {' or '.join(SUFFIXES)}.")


def _records(file: Path) -> Iterator[tuple[int, dict]]:
    """(line, record) of a .jsonl or .csv file."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            text = stream.read()
    except UnicodeDecodeError as error:
        raise QuarantineError(f"{file}: is not UTF-8: {error}. Save it as UTF-8.") from error
    if file.suffix == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        for record in reader:
            if None in record or None in record.values():
                raise QuarantineError(f"{file}: line {reader.line_num}: has more or fewer columns than the header.")
            yield reader.line_num, record
        return
    yield from _json_lines(file, text.split("\n"))


def _json_lines(file: Path, lines: Iterable[str]) -> Iterator[tuple[int, dict]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise QuarantineError(f"{file}: line {number}: is no JSON: {error}.") from error
        if not isinstance(record, dict):
            raise QuarantineError(f"{file}: line {number}: is no JSON object.")
        yield number, record


def _text(value: object) -> str | None:
    """A value as it would stand in a delivery."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
