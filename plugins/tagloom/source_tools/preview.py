"""Shows what a delivery would land as: it is landed in a warehouse of its own that is forgotten afterwards."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tagloom.landing.raw_tables import visible_name
from tagloom.reading.deliveries import Delivery, DeliveryError, find_deliveries
from tagloom.samples import mask
from tagloom.settings import Settings
from tagloom.sources import Source, Table

if TYPE_CHECKING:
    import duckdb

    from tagloom.landing.work import Landing

TEXT_FORMATS = ("csv", "tsv", "jsonl", "json")


@dataclass
class TablePreview:
    """What one table's delivery would land as."""

    table: str
    day: date | None = None
    """Day of the delivery; None when nothing was ever delivered."""
    files: list[str] = field(default_factory=list)
    """Place below the landing zone, size, encoding and delimiter of each file."""
    rows_read: int = 0
    rows_landed: int = 0
    rows_quarantined: int = 0
    duplicates: int = 0
    reasons: list[tuple[str, int, str]] = field(default_factory=list)
    """(what is wrong, rows, place of the first one), most first."""
    drift: list[str] = field(default_factory=list)
    """How the delivery differs from the declaration."""
    columns: list[str] = field(default_factory=list)
    rows: list[tuple] = field(default_factory=list)
    """First rows, personal columns masked."""
    hint: str = ""
    """What to do when nothing has been delivered."""
    problem: str = ""
    """Why nothing of it would land."""


def preview(settings: Settings, source: Source, day: date | None = None, rows: int = 10) -> list[TablePreview]:
    """Land the newest delivery of each table, or that of a day, aside, and say what came of it."""
    return [_preview_table(settings, source, table, day, rows) for table in source.tables]


def _preview_table(settings: Settings, source: Source, table: Table, day: date | None, rows: int) -> TablePreview:
    import duckdb

    from tagloom.landing.land import land_source

    seen = TablePreview(table.name)
    first, end = (day, day + timedelta(days=1)) if day else (date.min, date.max)
    try:
        deliveries = find_deliveries(settings.landing / source.name, table, first, end)
        if not deliveries:
            if table.is_fetched:
                seen.hint = f"run ingest_{source.name} to fetch it; it comes as {source.name}/{table.path}"
            return seen
        seen.day = deliveries[-1].day
        seen.files = [_describe(settings, table, delivery) for delivery in deliveries if delivery.day == seen.day]
        # Whether the delivery would be refused is asked below, when all its rows have been seen.
        alone = source.model_copy(update={"tables": [table], "tolerated_bad_share": 1.0, "retention_days": None})
        with (
            tempfile.TemporaryDirectory(prefix="tagloom-") as folder,
            duckdb.connect(config=_limits(settings, folder)) as connection,
        ):
            connection.execute("set time zone 'UTC'")
            aside = replace(settings, home=Path(folder))
            [landing] = land_source(connection, aside, alone, seen.day, seen.day + timedelta(days=1), "preview")
            _fill(seen, connection, source, table, landing, rows)
    except DeliveryError as error:
        seen.problem = str(error)
    return seen


def _limits(settings: Settings, folder: str) -> dict[str, str | int]:
    return {"memory_limit": settings.memory_limit, "threads": settings.threads, "temp_directory": folder}


def _fill(
    seen: TablePreview,
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    table: Table,
    landing: Landing,
    rows: int,
) -> None:
    seen.rows_read, seen.rows_landed = landing.rows_read, landing.rows_landed
    seen.rows_quarantined, seen.duplicates = landing.rows_quarantined, landing.duplicates
    seen.reasons = connection.execute(
        """
        select trim(coalesce(column_name, '') || ' ' || reason), count(*),
            arg_min(source_file || ' line ' || line, (source_file, line))
        from operations.quarantine
        group by all
        order by 2 desc, 1
        """
    ).fetchall()
    seen.drift = [text for (text,) in connection.execute("select sentence from operations.column_drift").fetchall()]
    seen.columns = table.column_names
    listed = ", ".join(f'"{name}"' for name in seen.columns)
    first = connection.execute(
        f"select {listed} from {visible_name(source, table)} order by _interval, _source_file, _line limit {rows:d}"
    ).fetchall()
    hidden = [table.column(name).personal_data != "none" for name in seen.columns]
    seen.rows = [
        tuple(
            mask(value) if is_hidden and value is not None else value
            for value, is_hidden in zip(row, hidden, strict=True)
        )
        for row in first
    ]
    share = seen.rows_quarantined / max(seen.rows_read, 1)
    if seen.rows_quarantined > source.tolerated_bad_rows and share > source.tolerated_bad_share:
        seen.problem = (
            f"{share:.1%} of the rows are bad, more than the tolerated {source.tolerated_bad_share:.1%}, so nothing of "
            "the delivery would land"
        )


def _describe(settings: Settings, table: Table, delivery: Delivery) -> str:
    path = delivery.path
    facts = [f"{path.stat().st_size:,} bytes"]
    if delivery.is_repair:
        facts.append("repaired rows")
    elif table.format in TEXT_FORMATS:
        facts += _text_facts(table, path)
    return f"{path.relative_to(settings.landing).as_posix()} ({', '.join(facts)})"


def _text_facts(table: Table, path: Path) -> list[str]:
    from tagloom.reading.decoding import read_sample
    from tagloom.reading.delimited import read_layout

    if table.format not in ("csv", "tsv"):
        return [read_sample(path, table.file_format.encoding).encoding]
    layout = read_layout(path, table)
    if layout is None:
        return ["empty"]
    delimiter = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}.get(layout.delimiter, layout.delimiter)
    return [layout.encoding, f"{delimiter}-separated", f"{len(layout.header)} columns"]
