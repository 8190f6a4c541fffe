"""Repaired rows are deliveries: files in the landing zone that every later run reads together with the rest of the day.

A repair stands for one row of one delivered file as it was. When that file is delivered anew, its lines hold other
rows, so the repair no longer excuses what is wrong there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from tagloom.fetching.fetch import whole_file
from tagloom.reading.deliveries import REPAIRS

IDENTITY = "_quarantine_id"
"""Key of a repaired row that says which row of operations.quarantine it stands for."""

ORIGIN = ("_origin_file", "_origin_bytes", "_origin_modified")
"""Keys of a repaired row: the delivered file it stood in (below the landing zone), its size and time (ns) at repair."""


def repairs_file(landing: Path, source: str, table: str, day: date) -> Path:
    """The file with all repaired rows of a table and a day."""
    return landing / source / REPAIRS / table / f"{day.isoformat()}_repairs.jsonl"


def write_repairs(
    landing: Path, source: str, table: str, day: date, rows: dict[str, dict], origin: dict[str, str]
) -> Path:
    """Add repaired rows to those of the day, in one step that a killed process leaves undone; return the file.

    rows: quarantine id -> declared column -> value as it would be delivered. origin: quarantine id -> delivered file,
    below `landing`. A row that was repaired before is replaced.
    """
    file = repairs_file(landing, source, table, day)
    records = {record[IDENTITY]: record for record in read_repairs([file])}
    for identity, row in rows.items():
        facts = _file_facts(landing, origin[identity])
        records[identity] = {**row, IDENTITY: identity, **dict(zip(ORIGIN, (origin[identity], *facts), strict=True))}
    with whole_file(file) as stream:
        for identity in sorted(records):
            stream.write((json.dumps(records[identity], ensure_ascii=False) + "\n").encode())
    return file


def read_repairs(files: Iterable[Path]) -> list[dict]:
    """The rows of repair files, with the keys that tell where they come from; files that do not exist hold none."""
    return [
        json.loads(line)
        for file in files
        if file.exists()
        # Not splitlines: a value may hold one of the other signs that it takes for line ends.
        for line in file.read_text(encoding="utf-8").split("\n")
        if line.strip()
    ]


def repaired_ids(landing: Path, source: str, table: str) -> list[str]:
    """Ids of quarantined rows whose repair is in the landing zone and whose file is still the one it was made for."""
    files = sorted((landing / source / REPAIRS / table).glob("[0-9]*.jsonl"))
    now: dict[str, tuple] = {}
    found = []
    for record in read_repairs(files):
        file, *then = (record.get(key) for key in ORIGIN)
        if file not in now:
            now[file] = _file_facts(landing, file)
        if now[file] == tuple(then):
            found.append(record[IDENTITY])
    return sorted(set(found))


def _file_facts(landing: Path, file: str) -> tuple[int | None, int | None]:
    try:
        status = (landing / file).stat()
    except FileNotFoundError:
        return None, None
    return status.st_size, status.st_mtime_ns
