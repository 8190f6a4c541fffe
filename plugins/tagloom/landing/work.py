"""What one run has to read for a table, and what has come of it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from tagloom.landing.raw_tables import stored_name
from tagloom.reading.deliveries import Delivery
from tagloom.reading.readers import Opened
from tagloom.settings import Settings
from tagloom.sources import Source, Table

if TYPE_CHECKING:
    import duckdb

LANDED, UNCHANGED, NOTHING, STOPPED = "landed", "unchanged", "nothing delivered", "stopped"

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


@dataclass
class Work:
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


def plan(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    source: Source,
    table: Table,
    deliveries: list[Delivery],
    first_day: date,
    end_day: date,
    declaration: str,
) -> list[Work]:
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
        delivered.setdefault(delivery.day, {})[below_landing(settings, delivery)] = delivery
    to_read: list[Delivery] = []
    replaced: list[date] = []
    for day in sorted(delivered.keys() | landed.keys()):
        before, now = landed.get(day, {}), delivered.get(day, {})
        changed = [
            file for file, state in before.items() if file not in now or (*file_state(now[file]), declaration) != state
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
        return [Work(source, table, stored_name(source, table), landed_at, to_read, replaced)]
    return [
        Work(source, table, ARRIVED, landed_at, [delivery for delivery in to_read if delivery.day == day], [day])
        for day in sorted({delivery.day for delivery in to_read})
    ]


def declaration_mark(source: Source, table: Table) -> str:
    """Changes when the declaration changes what lands."""
    shown = table.model_dump_json(exclude={"title": True, "identifiers": True, "columns": {"__all__": {"description"}}})
    return hashlib.sha256(f"{shown} {source.time_zone}".encode()).hexdigest()[:16]


def file_state(delivery: Delivery) -> tuple[int, int]:
    """Size in bytes and time of the last change in ns: another state is another delivery."""
    status = delivery.path.stat()
    return status.st_size, status.st_mtime_ns


def below_landing(settings: Settings, delivery: Delivery) -> str:
    """Name of a delivered file in the books: its path below the landing zone."""
    return delivery.path.relative_to(settings.landing).as_posix()


def rows_read(works: list[Work]) -> int:
    """Rows read for all of them."""
    return sum(work.rows_read for work in works)


def all_opened(works: list[Work]) -> list[Opened]:
    """What was opened for any of them."""
    return [opened for work in works for opened in work.opened]
