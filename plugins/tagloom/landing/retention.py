"""Deletes what is older than a source's declaration allows to keep: raw rows, quarantine and delivered files."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from tagloom.landing.raw_tables import stored_name
from tagloom.reading.deliveries import find_deliveries
from tagloom.settings import Settings
from tagloom.sources import Source, Table

if TYPE_CHECKING:
    import duckdb


def remove_expired(connection: duckdb.DuckDBPyConnection, settings: Settings, source: Source, table: Table) -> None:
    """Delete deliveries more than retention_days older than the newest one, inside the caller's transaction.

    What is still true stays: of a snapshot the current rows, of changes the last one of each key. Files are deleted
    although the transaction may yet fail: their rows are no longer wanted in any case.
    """
    if source.retention_days is None:
        return
    names = {"source": source.name, "table": table.name}
    (newest,) = connection.execute(
        "select max(day) from operations.landed_files where source = $source and table_name = $table", names
    ).fetchall()[0]
    if newest is None:
        return
    first_kept = newest - timedelta(days=source.retention_days)
    stored = stored_name(source, table)
    expired = "_interval < $first_kept"
    if table.grain == "snapshot":
        expired = "_valid_to <= $first_kept"
    elif table.grain == "change":
        key = ", ".join(f'"{name}"' for name in table.primary_key)
        expired += f"""
            and rowid not in (
                select max_by(rowid, ("{table.event_time}", _interval, _source_file, _line))
                from {stored}
                group by {key}
            )
        """
    connection.execute(f"delete from {stored} where {expired}", {"first_kept": first_kept})
    for books in ("quarantine", "landed_files"):
        connection.execute(
            f"delete from operations.{books} where source = $source and table_name = $table and day < $first_kept",
            {**names, "first_kept": first_kept},
        )
    for delivery in find_deliveries(settings.landing / source.name, table, date.min, first_kept):
        delivery.path.unlink(missing_ok=True)
