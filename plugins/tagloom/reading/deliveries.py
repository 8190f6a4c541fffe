"""Finds the files that were delivered for a table, and the day that each belongs to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from tagloom.sources import Table

REPAIRS = "_repairs"
"""Folder below a source's landing folder: <table>/<date>_<name>.jsonl, rows that somebody corrected by hand."""

_DATE = r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
_UNFINISHED_STARTS = (".", "_tmp")
_UNFINISHED_ENDS = (".part", ".tmp", ".open")


class DeliveryError(ValueError):
    """A delivered file cannot be used as a whole; the message names it and the cure."""


@dataclass(frozen=True)
class Delivery:
    """One delivered file and the UTC day it belongs to."""

    path: Path
    day: date
    is_repair: bool = False
    """Whether it holds corrected rows: JSON lines with the declared column names, whatever the table's format."""


def find_deliveries(folder: Path, table: Table, first_day: date, end_day: date) -> list[Delivery]:
    """Files of a table below its source's landing folder whose day is in [first_day, end_day), by day and name.

    The day stands in the path where the table's path says {date}; otherwise it is the UTC day on which the file was
    last written. Repairs come after the files of their day. Files that are still being written are left alone: their
    name, or that of a folder above them, begins with "." or "_tmp", or ends in .part, .tmp or .open.

    Raises DeliveryError when a file is named after a day that does not exist.
    """
    patterns = [
        (folder / _constant_folder(table.path), as_regular_expression(table.path), False),
        (folder / REPAIRS / table.name, re.compile(rf"{REPAIRS}/{re.escape(table.name)}/{_DATE}_[^/]*\.jsonl"), True),
    ]
    found = []
    for start, pattern, is_repair in patterns:
        for path in _files(start):
            place = path.relative_to(folder).as_posix()
            match = pattern.fullmatch(place)
            if not match or place.startswith(f"{REPAIRS}/") != is_repair or is_unfinished(place):
                continue
            day = _day_in_name(match.group(1), path) if match.groups() else _day_of_writing(path)
            if day and first_day <= day < end_day:
                found.append(Delivery(path, day, is_repair))
    return sorted(found, key=lambda delivery: (delivery.day, delivery.is_repair, str(delivery.path)))


def _constant_folder(pattern: str) -> str:
    folders = pattern.split("/")[:-1]
    variable = (place for place, name in enumerate(folders) if re.search(r"[*?{\[]", name))
    return "/".join(folders[: next(variable, len(folders))])


def as_regular_expression(pattern: str) -> re.Pattern[str]:
    """A glob as Path.glob knows it, but with ** for any depth, files included, and {date} as a group."""
    meanings = {"{date}": _DATE, "**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\{date\}|\*\*/|\*\*|\*|\?|\[!?[^]/]+\])", pattern)
    return re.compile(
        "".join(
            meanings.get(part) or (re.sub(r"^\[!", "[^", part) if part.startswith("[") else re.escape(part))
            for part in parts
        )
    )


def _files(start: Path) -> Iterator[Path]:
    # A partner's folder is often a link or a mount; a link back to its own parent must not lead in circles.
    seen = set()
    for folder, inner, names in os.walk(start, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        yield from (Path(folder, name) for name in names)


def is_unfinished(place: str) -> bool:
    """Whether a path below the landing folder, with slashes, is of a file that is still being written."""
    names = place.split("/")
    return any(name.startswith(_UNFINISHED_STARTS) for name in names) or names[-1].endswith(_UNFINISHED_ENDS)


def _day_in_name(text: str, path: Path) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise DeliveryError(f"{path}: {text} is no day of the calendar; rename or remove the file.") from error


def _day_of_writing(path: Path) -> date | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
    except FileNotFoundError:  # taken away since the folder was listed
        return None
