"""Writes frames as the files that source systems deliver, in the format, columns and places their declarations name."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterable
from datetime import date, datetime
from pathlib import Path

import duckdb
import openpyxl
import pandas as pd
from tagloom.sources import Column, Source, Table

TIME_ZONE = "America/New_York"
"""The stores' time zone: a snapshot carries their last day."""

TRUTH = "truth"
"""Frames of this name are no source; they go to `write_truth`."""

BROKEN_LINE = "broken_line"
"""A frame for a CSV file may have this column: where it is not null, the line is written as it says instead."""

_EXCEL_DATE = (2018, 1, 1, 0, 0, 0)


class LandingError(ValueError):
    """A frame and the declaration of its table do not fit; the message names table and column."""


def write_landing(
    world: dict[str, pd.DataFrame],
    landing: Path,
    sources: Iterable[Source],
    snapshot_date: date | None = None,
    report: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write each frame of the world below <landing>/<source>/ as its declaration says; return the paths, in order.

    world: frames by "<source>.<table>" with the declared columns; values are cast to the declared types, and money
        may come as float. Timestamps are UTC without a zone. "truth.*" is left out: no pipeline may read it.
    snapshot_date: the day that snapshots carry; without it the last day in TIME_ZONE of pos.basket_lines.
    Event tables give one file per UTC day of their event time. Every file appears whole or not at all, and has the
    same bytes whenever the frames are the same.
    Raises LandingError when a table is not declared, a column is missing or unknown, or a value cannot be cast.
    """
    tables = {f"{source.name}.{table.name}": (source, table) for source in sources for table in source.tables}
    delivered = {name: frame for name, frame in world.items() if name.split(".")[0] != TRUTH}
    for name in delivered:
        if name not in tables:
            raise LandingError(f"{name}: no source declares this table; declared are {', '.join(sorted(tables))}")
    written = []
    for name, frame in delivered.items():
        source, table = tables[name]
        # One thread keeps the order of rows, and with it the bytes, the same.
        with duckdb.connect(config={"threads": 1, "preserve_insertion_order": True}) as connection:
            _load(connection, name, frame, table)
            if table.grain == "event":
                paths = _write_days(connection, name, table, landing / source.name)
            else:
                day = snapshot_date or last_local_day(world)
                rows = "select * exclude (broken_line) from delivery order by place"
                paths = [_write(connection, rows, table, landing / source.name, day, ())]
        written += paths
        if report:
            report(f"{name}: {len(frame):,} rows in {len(paths):,} {table.format} file{'s' if len(paths) > 1 else ''}")
    return written


def write_truth(world: dict[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Write the "truth.*" frames as <folder>/<name>.parquet, all columns as text."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with duckdb.connect(config={"threads": 1}) as connection:
        for name, truth in world.items():
            if name.split(".")[0] != TRUTH:
                continue
            connection.register("truth", truth)
            path = folder / f"{name.split('.')[1]}.parquet"
            _replace(path, lambda part: _copy(connection, _TRUTH_ROWS, part, "format parquet"))
            paths.append(path)
    return paths


def last_local_day(world: dict[str, pd.DataFrame]) -> date:
    """The day, in TIME_ZONE, of the last basket. Raises LandingError when the world has no baskets."""
    if "pos.basket_lines" not in world:
        raise LandingError("snapshot_date must be given for a world without pos.basket_lines")
    last = world["pos.basket_lines"]["sold_at"].max()
    return last.tz_localize("UTC").tz_convert(TIME_ZONE).date()


_TRUTH_ROWS = "select columns(*)::varchar from truth"


def _load(connection: duckdb.DuckDBPyConnection, name: str, frame: pd.DataFrame, table: Table) -> None:
    """Make the table `delivery`: the declared columns in declared types and order, place and broken_line."""
    missing = [column for column in table.column_names if column not in frame]
    unknown = [column for column in frame if column not in (*table.column_names, BROKEN_LINE)]
    if missing or unknown:
        problems = [f"lacks {', '.join(missing)}"] if missing else []
        problems += [f"has {', '.join(unknown)}, which is not declared"] if unknown else []
        raise LandingError(f"{name}: the frame {' and '.join(problems)}")
    if BROKEN_LINE in frame and table.format != "csv":
        raise LandingError(f"{name}: broken lines can be written to CSV only, not to {table.format}")
    connection.register("frame", frame)
    columns = ", ".join(_cast(column, frame[column.name]) for column in table.columns)
    broken_line = f"{BROKEN_LINE}::varchar" if BROKEN_LINE in frame else "null::varchar"
    try:
        connection.execute(
            f"create table delivery as "
            f"select {columns}, {broken_line} as broken_line, row_number() over () as place from frame"
        )
    except duckdb.ConversionException as error:
        raise LandingError(f"{name}: a value does not fit its declared type: {error}") from error
    connection.unregister("frame")


def _cast(column: Column, values: pd.Series) -> str:
    # A number column of pandas with gaps is a float: 5.0 must not become the text '5.0'.
    whole = "::bigint" if column.sql_type == "varchar" and pd.api.types.is_float_dtype(values) else ""
    return f'"{column.name}"{whole}::{column.sql_type} as "{column.name}"'


def _write_days(connection: duckdb.DuckDBPyConnection, name: str, table: Table, folder: Path) -> list[Path]:
    if table.event_time is None:
        raise LandingError(f"{name}: an event table without event_time cannot be split into days")
    keys = ", ".join(f'"{column}"' for column in (table.event_time, *table.primary_key))
    # Sorted once, so that the days that follow read a few row groups each.
    connection.execute(
        f'create table sorted as select *, "{table.event_time}"::date as day from delivery order by {keys}'
    )
    broken: dict[date, list[str]] = {}
    lines = "select day, broken_line from sorted where broken_line is not null order by place"
    for day, line in connection.execute(lines).fetchall():
        broken.setdefault(day, []).append(line)
    days = [day for (day,) in connection.execute("select distinct day from sorted order by day").fetchall()]
    if None in days:
        raise LandingError(f"{name}: a row without {table.event_time} belongs to no day")
    names = ", ".join(f'"{column}"' for column in table.column_names)
    return [
        _write(
            connection,
            f"select {names} from sorted where day = date '{day}' and broken_line is null order by {keys}",
            table,
            folder,
            day,
            broken.get(day, ()),
        )
        for day in days
    ]


def _write(
    connection: duckdb.DuckDBPyConnection,
    rows: str,
    table: Table,
    folder: Path,
    day: date,
    broken_lines: Iterable[str],
) -> Path:
    names = ", ".join(f'"{column}"' for column in table.column_names)
    query = f"select {names} from ({rows})"
    path = folder / table.path.replace("{date}", day.isoformat()).replace("*", "part-0")
    path.parent.mkdir(parents=True, exist_ok=True)
    match table.format:
        case "csv":
            _replace(path, lambda part: _write_csv(connection, query, part, list(broken_lines)))
        case "jsonl":
            _replace(path, lambda part: _copy(connection, query, part, "format json"))
        case "parquet":
            _replace(path, lambda part: _copy(connection, query, part, "format parquet, compression zstd"))
        case "excel":
            content = _workbook(connection, query, table)
            _replace(path, lambda part: part.write_bytes(content))
    return path


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write under a name that no declared path matches, then give it its own: nobody ever sees half a file."""
    part = path.with_name(f"{path.name}.part")
    write(part)
    part.replace(path)


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path, options: str) -> None:
    target = str(path).replace("'", "''")
    connection.execute(f"copy ({query}) to '{target}' ({options})")


def _write_csv(connection: duckdb.DuckDBPyConnection, query: str, path: Path, broken_lines: list[str]) -> None:
    _copy(connection, query, path, "format csv, header")
    if not broken_lines:
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, broken_line in enumerate(broken_lines, start=1):
        # Spread over the file: an error in the middle shows whether the line number is reported rightly.
        lines.insert(1 + (len(lines) - 1) * number // (len(broken_lines) + 1), f"{broken_line}\n")
    path.write_text("".join(lines), encoding="utf-8")


def _workbook(connection: duckdb.DuckDBPyConnection, query: str, table: Table) -> bytes:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(table.name)
    sheet.append(table.column_names)
    for row in connection.execute(query).fetchall():
        sheet.append(row)
    content = io.BytesIO()
    book.save(content)
    return _without_clock(content.getvalue())


def _without_clock(workbook: bytes) -> bytes:
    """Replace the moments of writing inside a workbook by a fixed one, so that the same rows give the same bytes."""
    fixed = datetime(*_EXCEL_DATE).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    result = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook)) as old,
        zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", fixed, content)
            entry = zipfile.ZipInfo(name, date_time=_EXCEL_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, content)
    return result.getvalue()
