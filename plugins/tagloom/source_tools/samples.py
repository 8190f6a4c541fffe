"""Finds out what is in a file that nobody has declared yet: format, headers, and the values below them."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tagloom.reading.deliveries import Delivery, DeliveryError
from tagloom.source_tools.guesses import column_names
from tagloom.sources import Column, FileReader, FormatName, Table

if TYPE_CHECKING:
    import duckdb

SAMPLE_ROWS = 20_000
"""So many rows are looked at."""

HEADER_LINES = 100
"""The header is looked for, and the delimiter judged, in so many lines."""

SUFFIXES = {
    **{f".{name}": name for name in get_args(FormatName)},
    **{".txt": "csv", ".tab": "tsv", ".ndjson": "jsonl", ".xlsx": "excel", ".xlsm": "excel"},
}

COMPRESSED = (".gz", ".zst")

NOTHING = {"NULL", "null", "Null", "N/A", "n/a", "NA", "#N/A", "NaN", "nan", "None", "\\N", "-", "--"}
"""Texts by which systems mean that nothing is known."""

DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Sample:
    """A file and what it holds."""

    path: Path
    format: str
    reader: dict[str, object]
    """Keys of the reader that the file needs besides kind, format and path, such as its encoding."""
    headers: list[str]
    """What the delivery calls the columns; in JSON dotted paths."""
    names: list[str]
    """What the columns are to be called."""
    values: list[list[str | None]]
    """For each column the values of the first SAMPLE_ROWS rows, as text."""
    own_types: list[str | None]
    """Declared type that a typed file gives each column; None where values are text."""
    torn: int = 0
    """Rows that could not be taken apart."""
    notes: list[str] = field(default_factory=list)
    """What people should know about the file as a whole."""

    @property
    def rows(self) -> int:
        """How many rows were looked at."""
        return len(self.values[0]) if self.values else 0


def format_of(path: Path) -> str:
    """The format that a file's name tells.

    Raises DeliveryError when it tells none.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSED]
    for suffix in reversed(suffixes):
        if suffix in SUFFIXES:
            return SUFFIXES[suffix]
    raise DeliveryError(
        f"{path}: its name does not tell its format; call it something{', something'.join(sorted(SUFFIXES))}, "
        "or say --format."
    )


def read_sample_of(path: Path, format_name: str | None = None) -> Sample:
    """Read the beginning of a file.

    Raises DeliveryError when it cannot be read, or holds no columns.
    """
    if not path.is_file():
        raise DeliveryError(f"{path}: there is no such file.")
    format_name = format_name or format_of(path)
    headers, reader, notes = _HEADERS[format_name](path)
    if not headers:
        raise DeliveryError(f"{path}: holds no columns.")
    doubled = [name for name, count in Counter(headers).items() if count > 1]
    if doubled:
        raise DeliveryError(f"{path}: has the column {', '.join(doubled)} twice; nobody can tell them apart.")
    names = column_names(headers)
    return _read_values(path, format_name, headers, names, reader, notes)


def sample_day(path: Path) -> date:
    """The day in the file's name, else the UTC day on which it was last written."""
    match = re.search(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", path.name)
    try:
        return date.fromisoformat(match.group()) if match else _written_on(path)
    except ValueError:
        return _written_on(path)


def _written_on(path: Path) -> date:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).date()


def _read_values(
    path: Path, format_name: str, headers: list[str], names: list[str], reader: dict, notes: list[str]
) -> Sample:
    import duckdb

    from tagloom.reading.readers import open_deliveries

    table = _sample_table(path, format_name, headers, names, reader)
    texts = ", ".join(f'cast("{name}" as varchar) as "{name}"' for name in names)
    rows: list[tuple] = []
    own_types: list[str | None] = [None] * len(names)
    with duckdb.connect() as connection:
        connection.execute("set time zone 'UTC'")
        for opened in open_deliveries(connection, table, [Delivery(path, sample_day(path))], path.parent):
            with opened.reading():
                rows += connection.execute(
                    f"select _torn_reason, {texts} from {opened.relation} limit {SAMPLE_ROWS}"
                ).fetchall()
        if format_name == "parquet":
            own_types = _parquet_types(connection, path, headers)
    whole = [row[1:] for row in rows if row[0] is None]
    values = [[row[position] for row in whole] for position in range(len(names))]
    nothing = sorted(NOTHING & {value for column in values for value in column if value is not None})
    if nothing and format_name != "parquet":
        reader = {**reader, "null_values": nothing}
        values = [[None if value in NOTHING else value for value in column] for column in values]
    return Sample(path, format_name, reader, headers, names, values, own_types, len(rows) - len(whole), notes)


def _sample_table(path: Path, format_name: str, headers: list[str], names: list[str], reader: dict) -> Table:
    """A declaration that takes every row as it is."""
    return Table(
        name="sample",
        title="sample",
        reader=FileReader(kind="files", format=format_name, path=path.name, **reader),
        grain="event",
        primary_key=names[:1],
        columns=[
            Column(name=name, type="text", delivered_as=header if header != name else None)
            for name, header in zip(names, headers, strict=True)
        ],
    )


def _parquet_types(connection: duckdb.DuckDBPyConnection, path: Path, headers: list[str]) -> list[str | None]:
    types = {name: kind for name, kind, *_ in connection.execute(_DESCRIBE, {"file": str(path)}).fetchall()}
    return [_declared_type(types[header]) for header in headers]


_DESCRIBE = "describe select * from read_parquet($file, hive_partitioning = false)"


def _declared_type(sql_type: str) -> str | None:
    """The declared type of a DuckDB type; None for text, which must be looked at."""
    if sql_type.startswith("DECIMAL"):
        return sql_type.lower().replace(" ", "")
    if sql_type.startswith("TIMESTAMP"):
        return "timestamp"
    if sql_type.endswith("INT") or sql_type == "INTEGER":
        return "integer"
    return {"DOUBLE": "number", "FLOAT": "number", "BOOLEAN": "boolean", "DATE": "date"}.get(sql_type)


# --- Headers ---------------------------------------------------------------------------------------------------------


def _delimited_header(path: Path) -> tuple[list[str], dict[str, object], list[str]]:
    from tagloom.reading.decoding import read_sample

    sample = read_sample(path)
    text = sample.text.decode("utf-8", "replace")
    lines = text.splitlines()[:HEADER_LINES]
    delimiter, header_line, headers = _most_even(lines)
    reader: dict[str, object] = {}
    if format_of_name(path) != "tsv" or delimiter != "\t":
        reader["delimiter"] = delimiter
    if sample.encoding != "utf-8":
        reader["encoding"] = sample.encoding
    notes = []
    if header_line:
        reader["skip_lines"] = header_line
        notes.append(f"the header is on line {header_line + 1}")
    if any(not header for header in headers):
        notes.append("columns without a name are left out")
    return [header for header in headers if header], reader, notes


def format_of_name(path: Path) -> str | None:
    """The format that a file's name tells, None when it tells none."""
    try:
        return format_of(path)
    except DeliveryError:
        return None


def _most_even(lines: list[str]) -> tuple[str, int, list[str]]:
    """(delimiter, index of the header line, headers) of the delimiter that cuts the lines most evenly."""
    best: tuple[float, int, str, int, list[str]] | None = None
    for place, delimiter in enumerate(DELIMITERS):
        records = [(number, record) for number, record in _records(lines, delimiter) if any(record)]
        widths = Counter(len(record) for _, record in records)
        if not widths:
            continue
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
        header_line, header = next((number, record) for number, record in records if len(record) == width)
        # Of the lines and not of the records: a quote that is none swallows what follows it.
        score = (count / len(lines) if width > 1 else 0.0, width, -place)
        if best is None or score > (best[0], best[1], -DELIMITERS.index(best[2])):
            best = (score[0], width, delimiter, header_line, [name.strip().removeprefix("\ufeff") for name in header])
    return (best[2], best[3], best[4]) if best else (",", 0, [])


def _records(lines: list[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter)
    before = 0
    try:
        for record in reader:
            yield before, record
            before = reader.line_num
    except csv.Error:
        return


def _json_lines_header(path: Path) -> tuple[list[str], dict[str, object], list[str]]:
    from tagloom.reading.decoding import read_sample

    sample = read_sample(path)
    keys: dict[str, None] = {}
    for line in sample.text.decode("utf-8", "replace").split("\n"):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict):
            keys |= dict.fromkeys(_paths(record))
    return _without_parents(keys), {} if sample.encoding == "utf-8" else {"encoding": sample.encoding}, []


def _json_header(path: Path) -> tuple[list[str], dict[str, object], list[str]]:
    from tagloom.reading.decoding import read_blocks, read_sample

    encoding = read_sample(path).encoding
    text = b"".join(block.text for block in read_blocks(path, encoding)).decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise DeliveryError(f"{path}: is no JSON document: {error}.") from error
    place, records = max(_lists(document), key=lambda found: len(found[1]), default=("", []))
    if not records:
        raise DeliveryError(f"{path}: holds no list of records.")
    keys: dict[str, None] = {}
    for record in records[:SAMPLE_ROWS]:
        keys |= dict.fromkeys(_paths(record))
    reader: dict[str, object] = {"records": place} if place else {}
    return _without_parents(keys), reader | ({} if encoding == "utf-8" else {"encoding": encoding}), []


def _lists(node: object, place: str = "") -> Iterator[tuple[str, list[dict]]]:
    """(dotted path, records) of every list of objects in a document."""
    if isinstance(node, list):
        records = [item for item in node if isinstance(item, dict)]
        if records:
            yield place, records
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _lists(value, f"{place}.{key}" if place else key)


def _paths(record: dict, before: str = "") -> Iterator[str]:
    """Dotted paths of the values in an object; what the collector adds (_received_at ...) is left out."""
    for key, value in record.items():
        if not key or (not before and key.startswith("_")):
            continue
        if isinstance(value, dict) and value:
            yield from _paths(value, f"{before}{key}.")
        else:
            yield f"{before}{key}"


def _without_parents(keys: dict[str, None]) -> list[str]:
    """An object that is null in one record and has keys in another is its keys."""
    return [key for key in keys if not any(other.startswith(f"{key}.") for other in keys)]


def _parquet_header(path: Path) -> tuple[list[str], dict[str, object], list[str]]:
    import duckdb

    try:
        with duckdb.connect() as connection:
            return [name for name, *_ in connection.execute(_DESCRIBE, {"file": str(path)}).fetchall()], {}, []
    except duckdb.Error as error:
        raise DeliveryError(f"{path}: cannot be read as parquet: {str(error).splitlines()[0]}") from error


def _excel_header(path: Path) -> tuple[list[str], dict[str, object], list[str]]:
    from openpyxl import load_workbook

    from tagloom.reading.workbooks import read_header

    headers = read_header(path, _sample_table(path, "excel", ["unknown"], ["unknown"], {}))
    if not headers:
        return [], {}, []
    workbook = load_workbook(path, read_only=True)
    try:
        _, *others = workbook.sheetnames
    finally:
        workbook.close()
    notes = [f"only the first sheet counts; the others are {', '.join(others)}"] if others else []
    return [header for header in headers if header], {}, notes


_HEADERS = {
    "csv": _delimited_header,
    "tsv": _delimited_header,
    "jsonl": _json_lines_header,
    "json": _json_header,
    "parquet": _parquet_header,
    "excel": _excel_header,
}
