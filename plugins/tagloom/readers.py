"""Reads delivered files into one temporary table of text or typed columns, without judging a single value."""

from __future__ import annotations

import csv
import hashlib
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from tagloom.sources import Source, Table

DATE_IN_PATH = r"([0-9]{4}-[0-9]{2}-[0-9]{2})"


class DeliveryError(ValueError):
    """A delivered file cannot be used as a whole; the message names it and the cure."""


@dataclass(frozen=True)
class Delivery:
    """One delivered file and the day it belongs to."""

    path: Path
    day: date


def find_deliveries(folder: Path, table: Table, first_day: date, end_day: date) -> list[Delivery]:
    """Files of a table whose day is in [first_day, end_day), by day and name.

    A snapshot replaces what was there before, so only the newest day's files count.
    Raises DeliveryError when a file is named after a day that does not exist.
    """
    pattern = re.compile(re.escape(table.path).replace(r"\{date\}", DATE_IN_PATH).replace(r"\*", "[^/]*"))
    found = []
    for path in folder.glob(table.path.replace("{date}", "*")):
        match = pattern.fullmatch(path.relative_to(folder).as_posix())
        if match and first_day <= (day := _day(match.group(1), path)) < end_day:
            found.append(Delivery(path, day))
    found.sort(key=lambda delivery: (delivery.day, str(delivery.path)))
    if table.grain == "snapshot" and found:
        found = [delivery for delivery in found if delivery.day == found[-1].day]
    return found


def _day(text: str, path: Path) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise DeliveryError(f"{path}: {text} is no day of the calendar; rename or remove the file.") from error


def fingerprint(source: Source, table: Table, deliveries: list[Delivery]) -> str:
    """Changes when the declaration or any delivered file does."""
    facts = [table.model_dump_json(), str(source.tolerated_bad_share)]
    for delivery in deliveries:
        status = delivery.path.stat()
        facts.append(f"{delivery.path} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def read_deliveries(connection: duckdb.DuckDBPyConnection, table: Table, deliveries: list[Delivery]) -> list[str]:
    """Fill the temporary tables `delivered` and `torn` and return the names of columns that nobody declared.

    delivered: declared columns as delivered (text, or the file's own type), _source_file, _line (from 1, a header
    counts), _interval (date). torn: lines that cannot be split into columns, with _source_file, _line, _interval, raw
    and reason.

    Raises DeliveryError when a file lacks a declared column or cannot be read at all.
    """
    connection.execute(
        "create or replace temp table torn "
        "(_source_file varchar, _line bigint, _interval date, raw varchar, reason varchar)"
    )
    texts = ", ".join(f'"{name}" varchar' for name in table.column_names)
    connection.execute(
        f"create or replace temp table delivered ({texts}, _source_file varchar, _line bigint, _interval date)"
    )
    connection.execute(
        "create or replace temp table delivery_days as select unnest($files) as file, unnest($days) as day",
        {
            "files": [str(delivery.path) for delivery in deliveries],
            "days": [delivery.day for delivery in deliveries],
        },
    )
    try:
        # No delivery at all means that files which had landed were taken back.
        return _READERS[table.format](connection, table, deliveries) if deliveries else []
    except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.IOException, UnicodeDecodeError) as error:
        files = deliveries[0].path if len(deliveries) == 1 else f"{deliveries[0].path.parent} ({len(deliveries)} files)"
        reason = " ".join(str(error).split("\n\n")[0].split())
        raise DeliveryError(f"{files}: cannot be read as {table.format}: {reason}") from error


def _read_csv(connection: duckdb.DuckDBPyConnection, table: Table, deliveries: list[Delivery]) -> list[str]:
    by_header: dict[tuple[str, ...], list[str]] = {}
    for delivery in deliveries:
        try:
            with delivery.path.open(encoding="utf-8-sig", newline="") as file:
                header = tuple(name.strip() for name in next(csv.reader(file), []))
        except UnicodeDecodeError as error:
            raise DeliveryError(f"{delivery.path}: is not UTF-8: {error}. Ask the source for UTF-8.") from error
        _require_columns(table, header, delivery.path)
        by_header.setdefault(header, []).append(str(delivery.path))
    for header, files in by_header.items():
        columns = ", ".join("'{}': 'varchar'".format(name.replace("'", "''")) for name in header)
        connection.execute(
            f"""
            create or replace temp table numbered as
            select *, row_number() over () as _row
            from read_csv(
                $files, header = true, columns = {{{columns}}}, delim = ',', quote = '"', escape = '"',
                auto_detect = false, filename = '_file',
                store_rejects = true, rejects_table = 'rejected_lines', rejects_scan = 'rejected_scans'
            )
            """,
            {"files": files},
        )
        connection.execute(
            """
            insert into torn
            select scans.file_path, lines.line, delivery_days.day, any_value(lines.csv_line),
                'does not fit the header: ' || string_agg(distinct lower(lines.error_type::varchar), ', ')
            from rejected_lines as lines
            inner join (select distinct scan_id, file_id, file_path from rejected_scans) as scans
                on lines.scan_id = scans.scan_id and lines.file_id = scans.file_id
            inner join delivery_days on scans.file_path = delivery_days.file
            group by all
            """
        )
        connection.execute("drop table rejected_lines; drop table rejected_scans")
        # The reader numbers the records it kept; a line number also counts the header and the torn lines before it.
        connection.execute(
            f"""
            insert into delivered
            with records as (
                select *, _row - min(_row) over (partition by _file) + 1 as _record
                from numbered
            ),
            torn_so_far as (
                select _source_file, _line, row_number() over (partition by _source_file order by _line) as torn_lines
                from torn
            ),
            torn_before as (
                select _source_file, _line - 1 - torn_lines as records_before, max(torn_lines) as torn_lines
                from torn_so_far
                group by all
            )
            select {_columns(table)}, records._file, records._record + 1 + coalesce(torn_before.torn_lines, 0),
                delivery_days.day
            from records
            inner join delivery_days on records._file = delivery_days.file
            asof left join torn_before
                on records._file = torn_before._source_file and records._record > torn_before.records_before
            """
        )
        connection.execute("drop table numbered")
    return sorted({name for header in by_header for name in header} - set(table.column_names))


def _read_jsonl(connection: duckdb.DuckDBPyConnection, table: Table, deliveries: list[Delivery]) -> list[str]:
    # One text column, cut at line ends only: a broken line then stays whole and can be shown as it came.
    connection.execute(
        """
        create or replace temp table numbered as
        select line, _file, row_number() over () as _row
        from read_csv(
            $files, header = false, columns = {'line': 'varchar'}, delim = '\x01', quote = '', escape = '',
            auto_detect = false, filename = '_file', max_line_size = 16000000
        )
        """,
        {"files": [str(delivery.path) for delivery in deliveries]},
    )
    connection.execute(
        """
        create or replace temp table lines as
        select line, _file, _row - min(_row) over (partition by _file) + 1 as _line,
            delivery_days.day as _interval,
            case when json_valid(line) then json_type(line) end as kind
        from numbered
        inner join delivery_days on numbered._file = delivery_days.file
        """
    )
    connection.execute(
        "insert into torn select _file, _line, _interval, line, 'the line is not a JSON object' "
        "from lines where kind is distinct from 'OBJECT' and trim(coalesce(line, '')) <> ''"
    )
    values = ", ".join(f"json_extract_string(line, '$.{name}')" for name in table.column_names)
    connection.execute(
        f"insert into delivered select {values}, _file, _line, _interval from lines where kind = 'OBJECT'"
    )
    keys = connection.execute(
        "select distinct unnest(json_keys(line)) from lines where kind = 'OBJECT' using sample 10000 rows"
    ).fetchall()
    connection.execute("drop table numbered; drop table lines")
    names = {name for (name,) in keys}
    if names:
        _require_columns(table, [*names, *(c.name for c in table.columns if not c.required)], deliveries[0].path.parent)
    return sorted(names - set(table.column_names))


def _read_parquet(connection: duckdb.DuckDBPyConnection, table: Table, deliveries: list[Delivery]) -> list[str]:
    files = [str(delivery.path) for delivery in deliveries]
    schema = connection.execute(
        "select distinct file_name, name from parquet_schema($files) where type is not null", {"files": files}
    ).fetchall()
    names_of: dict[str, list[str]] = {}
    for file, name in schema:
        names_of.setdefault(file, []).append(name)
    for file in files:
        _require_columns(table, names_of.get(file, []), Path(file))
    connection.execute(
        f"""
        create or replace temp table delivered as
        select {_columns(table)}, _file as _source_file, file_row_number + 1 as _line,
            delivery_days.day as _interval
        from read_parquet(
            $files, filename = '_file', file_row_number = true, union_by_name = true, hive_partitioning = false
        )
        inner join delivery_days on _file = delivery_days.file
        """,
        {"files": files},
    )
    return sorted({name for _, name in schema} - set(table.column_names))


def _read_excel(connection: duckdb.DuckDBPyConnection, table: Table, deliveries: list[Delivery]) -> list[str]:
    # Here and not above: pandas takes longer to import than everything else, and every parse of the DAGs would pay it.
    import pandas as pd

    extra: set[str] = set()
    for delivery in deliveries:
        try:
            frame = pd.read_excel(delivery.path, dtype=object)
        except (ValueError, KeyError, OSError) as error:
            raise DeliveryError(f"{delivery.path}: cannot be read as a workbook: {error}") from error
        frame.columns = [str(name).strip() for name in frame.columns]
        _require_columns(table, list(frame.columns), delivery.path)
        extra |= set(frame.columns) - set(table.column_names)
        texts = frame[table.column_names].apply(lambda column: column.map(_cell_text)).astype("string")
        texts = texts.assign(_source_file=str(delivery.path), _line=range(2, len(texts) + 2), _interval=delivery.day)
        connection.register("workbook", texts)
        connection.execute("insert into delivered select * from workbook")
        connection.unregister("workbook")
    return sorted(extra)


def _cell_text(cell: object) -> str | None:
    if cell is None or (isinstance(cell, float) and cell != cell):
        return None
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def _columns(table: Table) -> str:
    return ", ".join(f'"{name}"' for name in table.column_names)


def _require_columns(table: Table, names: list[str] | tuple[str, ...], path: Path) -> None:
    missing = [name for name in table.column_names if name not in names]
    if missing:
        raise DeliveryError(
            f"{path}: lacks the declared column{'s' if len(missing) > 1 else ''} {', '.join(missing)} "
            f"(it has {', '.join(names) or 'no header'}). Ask the source for the old layout or change its declaration."
        )


_READERS = {"csv": _read_csv, "jsonl": _read_jsonl, "parquet": _read_parquet, "excel": _read_excel}
