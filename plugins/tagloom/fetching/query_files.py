"""What the ways to fetch from a database share: a statement goes out as it is, rows come in as a Parquet file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import sqlalchemy

from tagloom.fetching.fetch import whole_file

GROUP_ROWS, GROUP_BYTES = 120_000, 32 << 20
"""A row group of the Parquet file is written as soon as it has so many rows or so many bytes of memory."""


def execute(database: sqlalchemy.Connection, statement: str, **options: object) -> sqlalchemy.CursorResult:
    """Run a statement as it was written.

    Without parameters drivers leave % and : alone.
    """
    return database.exec_driver_sql(statement, execution_options={"no_parameters": True} | options)


def write_parquet(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write record batches of one schema to a file that appears whole or not at all; no batch gives a file of no rows.

    Memory is bounded by one row group.
    """
    with whole_file(path) as file, pa.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        group, rows, size = [], 0, 0
        for batch in batches:
            group.append(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            if rows >= GROUP_ROWS or size >= GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(group, schema), row_group_size=rows)
                group, rows, size = [], 0, 0
        writer.write_table(pa.Table.from_batches(group, schema), row_group_size=max(rows, 1))
