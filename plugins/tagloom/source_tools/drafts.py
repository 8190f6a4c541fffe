"""The first draft of a declaration from a sample file: every guess has a comment that says on what it rests."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date, datetime
from itertools import combinations
from pathlib import Path
from textwrap import wrap

from tagloom.source_tools.check import TO_FILL_IN
from tagloom.source_tools.guesses import ColumnGuess, KnownIdentifier, column_name, guess_column
from tagloom.source_tools.samples import Sample
from tagloom.source_tools.schema import EDITOR_LINE
from tagloom.source_tools.words import MOMENTS, OPERATIONS
from tagloom.sources import Source

SNAPSHOT_DAYS = 31
"""A file whose rows are from more days than this is rather a full export than what happened lately."""

KEY_COLUMNS = 12
"""A primary key of two columns is looked for among so many."""

WIDTH = 118


def known_identifiers(sources: Sequence[Source]) -> list[KnownIdentifier]:
    """The identifier columns that existing declarations have."""
    return [
        KnownIdentifier(source.name, column.name, table.identifiers[column.name], column.pattern)
        for source in sources
        for table in source.tables
        for column in table.columns
        if column.name in table.identifiers
    ]


def names_from(path: Path) -> tuple[str, str]:
    """(source, table) that a file's name suggests: its words without the day and without what it is compressed with."""
    stem = re.sub(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}", "", path.name.split(".")[0])
    name = column_name(stem, 1).strip("_")
    name = "records" if name == "column_1" else name
    return name, name


def draft_declaration(
    sample: Sample,
    name: str,
    table: str,
    identifier_types: Sequence[str],
    known: Sequence[KnownIdentifier],
    place: str | None = None,
) -> str:
    """A declaration of the table that a sample file shows. It passes `source check`; people correct and complete it.

    `place` is where the file lies below the source's landing folder, when it lies there.
    """
    columns = [
        guess_column(column, header, values, identifier_types, known, own_type)
        for column, header, values, own_type in zip(
            sample.names, sample.headers, sample.values, sample.own_types, strict=True
        )
    ]
    key, key_reason = _primary_key(columns, sample.values, sample.rows)
    event_time, time_reason = _event_time(columns)
    operation = _operation(columns, sample) if event_time else None
    grain, grain_reason = _grain(columns, sample, event_time, operation)
    path, path_reason = _path(place or sample.path.name)
    zone_reason = "a guess; the timestamps do not say their zone" if _has_local_times(columns) else ""
    lines = [
        _line("name", name),
        _line("title", TO_FILL_IN, "what people call the system"),
        _line("title_zh", TO_FILL_IN, "the same in Chinese"),
        _line("owner", TO_FILL_IN, "e-mail address of who is told when its deliveries are wrong"),
        _line("party", "first", "a guess. first: an own system; second: a partner's; third: bought or public"),
        _line("consent_basis", TO_FILL_IN, "why the data may be used, such as contract or consent"),
        _line("licence", TO_FILL_IN, "under which terms"),
        _line("time_zone", "UTC", zone_reason),
        _line("tolerated_bad_rows", 10, "so many bad rows never keep a delivery from landing"),
        "tables:",
        f"  - name: {table}",
        _line("title", TO_FILL_IN, "what a row is", indent=4),
        "    reader:",
        "      kind: files",
        _line("format", sample.format, indent=6),
        _line("path", path, path_reason, indent=6),
        *(_line(option, value, indent=6) for option, value in sample.reader.items()),
        _line("grain", grain, grain_reason, indent=4),
        _line("primary_key", key, key_reason, indent=4),
    ]
    if event_time:
        lines.append(_line("event_time", event_time, time_reason, indent=4))
    if operation:
        lines.append(_line("operation", operation, "says what was done to the row", indent=4))
    identifiers = {column.name: column.identifier_type for column in columns if column.identifier_type}
    if identifiers:
        lines.append("    # identifiers in one row must belong to one person; remove those that may not")
        lines.append(f"    identifiers: {_flow(identifiers)}")
    lines.append("    columns:")
    for column in columns:
        lines += wrap("; ".join(column.reasons), WIDTH, initial_indent="      # ", subsequent_indent="      # ")
        lines.append(f"      - {_flow(_column(column, column.name in key))}")
    notes = [f"# {note}\n" for note in sample.notes]
    if sample.torn:
        notes.append(f"# {sample.torn:,} rows could not be taken apart and are not among those looked at\n")
    head = (
        f"{EDITOR_LINE}# Drafted from {sample.rows:,} rows of {sample.path.name}. Correct what is guessed wrong; "
        "every key: docs/sources.md\n"
    )
    return head + "".join(notes) + "\n".join(lines) + "\n"


def _primary_key(columns: list[ColumnGuess], values: list[list[str | None]], rows: int) -> tuple[list[str], str]:
    unique = [column for column in columns if column.is_unique]
    if unique:
        best = min(unique, key=lambda column: (not _looks_like_key(column), columns.index(column)))
        others = [column.name for column in unique if column is not best and column.type in ("text", "integer")]
        also = f"; unique too: {', '.join(others[:3])}" if others else ""
        return [best.name], f"unique in {rows:,} rows{also}"
    filled = [position for position, column in enumerate(columns) if column.required and column.type != "number"]
    likely = sorted(filled, key=lambda place: (not _looks_like_key(columns[place]), -columns[place].distinct))
    for first, second in combinations(likely[:KEY_COLUMNS], 2):
        if len(set(zip(values[first], values[second], strict=True))) == rows:
            pair = [columns[place].name for place in sorted((first, second))]
            return pair, f"together unique in {rows:,} rows; no column is so alone"
    fallback = [columns[place].name for place in filled] or [columns[0].name]
    distinct = len(set(zip(*(values[place] for place in filled), strict=True))) if filled else 0
    if distinct == rows:
        return fallback, f"all columns that are never empty: no two of them are unique in {rows:,} rows"
    return fallback, f"to be corrected: only {distinct:,} of {rows:,} rows differ in it"


def _looks_like_key(column: ColumnGuess) -> bool:
    words = set(column.name.split("_"))
    return column.type in ("text", "integer") and bool(words & {"id", "number", "no", "key", "code", "uuid"})


def _event_time(columns: list[ColumnGuess]) -> tuple[str | None, str]:
    times = [
        column
        for column in columns
        if column.type in ("timestamp", "date") and column.required and column.personal_data == "none"
    ]
    if not times:
        return None, ""

    def order(column: ColumnGuess) -> tuple:
        words = column.name.split("_")
        said = min((MOMENTS.index(word) for word in words if word in MOMENTS), default=len(MOMENTS))
        return column.type != "timestamp", said, columns.index(column)

    best = min(times, key=order)
    others = [column.name for column in times if column is not best]
    return best.name, "never empty" + (f"; or {', '.join(others[:3])}" if others else "")


def _operation(columns: list[ColumnGuess], sample: Sample) -> str | None:
    for column, values in zip(columns, sample.values, strict=True):
        found = {value.strip().lower() for value in values if value}
        if column.required and len(found) > 1 and any(found <= words for words in OPERATIONS):
            return column.name
    return None


def _grain(
    columns: list[ColumnGuess], sample: Sample, event_time: str | None, operation: str | None
) -> tuple[str, str]:
    if operation:
        return "change", f"{operation} holds operations"
    if not event_time:
        return "snapshot", "a guess, as no column says when a row happened; event: each delivery adds rows"
    position = sample.names.index(event_time)
    days = {day for value in sample.values[position] if (day := _day(value, columns[position].format))}
    if days and (max(days) - min(days)).days > SNAPSHOT_DAYS:
        return "snapshot", f"a guess, as {event_time} runs from {min(days)} to {max(days)}; event: deliveries add rows"
    return "event", "a guess: each delivery adds its rows; snapshot: it says all that is true"


def _day(value: str | None, shape: str | None) -> date | None:
    try:
        if shape:
            return datetime.strptime(value.strip(), shape).date()
        year, month, day = re.split(r"[-/T ]", value.strip())[:3]
        return date(int(year), int(month), int(day))
    except (AttributeError, ValueError):
        return None


def _path(place: str) -> tuple[str, str]:
    """The glob that finds files named like the sample."""
    name = re.sub(r"([*?\[\]])", "?", place)
    if re.search(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", name):
        return re.sub(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "{date}", name, count=1), "below <landing>/<name of the source>/"
    compact = re.sub(r"[0-9]{8,14}", "*", name, count=1)
    reason = "no YYYY-MM-DD in the name, so a file belongs to the UTC day on which it was last written"
    return compact, reason


def _has_local_times(columns: list[ColumnGuess]) -> bool:
    return any(column.type == "timestamp" and "each says its time zone" not in column.reasons for column in columns)


def _column(column: ColumnGuess, is_key: bool) -> dict[str, object]:
    entry: dict[str, object] = {"name": column.name}
    if column.header != column.name:
        entry["delivered_as"] = column.header
    entry["type"] = column.type
    if column.format:
        entry["format"] = column.format
    if column.required or is_key:
        entry["required"] = True
    if column.pattern:
        entry["pattern"] = column.pattern
    if column.personal_data != "none":
        entry["personal_data"] = column.personal_data
    return entry | {"description": ""}


def _line(key: str, value: object, comment: str = "", indent: int = 0) -> str:
    text = f"{' ' * indent}{key}: {_scalar(value)}"
    if not comment:
        return text
    if len(text) + len(comment) + 4 > WIDTH:
        return f"{' ' * indent}# {comment}\n{text}"
    return f"{text:<36}  # {comment}"


def _flow(entry: dict) -> str:
    return "{" + ", ".join(f"{key}: {_scalar(value)}" for key, value in entry.items()) + "}"


def _scalar(value: object) -> str:
    """A value as YAML; texts that YAML could take for something else are quoted as JSON, which YAML is able to read."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    if not isinstance(value, str):
        return str(value)
    words = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
    if re.fullmatch(r"[^\W\d_][\w ./-]*", value) and value.lower() not in words and value == value.strip():
        return value
    return json.dumps(value, ensure_ascii=False)
