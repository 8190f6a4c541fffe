"""Writes an export into a table of another database, whose rows are replaced in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, MetaData, Numeric, String, Table, create_engine
from sqlalchemy import inspect as inspect_database
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from tagloom.audiences.export_book import ExportError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tagloom.audiences.exports import Counts, Job

ROWS_AT_ONCE = 5_000

OURS = "published_version"
"""Column by which a table shows that an export made it: no other table is ever written to."""

_TYPES: dict[str, Any] = {
    "boolean": Boolean,
    "integer": BigInteger,
    "decimal": Numeric,
    "date": Date,
    "timestamp": DateTime,
    "text": lambda: String(500),
}


def replace_table(connection: duckdb.DuckDBPyConnection, job: Job, counts: Counts, address: str) -> None:
    """Put the rows of the temporary table `sent` in place of those that are there.

    Readers see the old rows or the new ones, never both. Raises ExportError when the database cannot be reached or
    there is a table of that name that no export made, or one with other columns.
    """
    try:
        engine = _engine(address)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise ExportError(f"The address of the database {job.config.destination} is not readable.") from error
    try:
        _replace(connection, job, engine)
    except SQLAlchemyError as error:
        # The statement and its parameters hold persons; the driver's first line says what was wrong.
        cause = str(getattr(error, "orig", None) or type(error).__name__).partition("\n")[0][:200]
        raise ExportError(f"The database {job.config.destination} did not take the rows: {cause}") from None
    finally:
        engine.dispose()


def _replace(connection: duckdb.DuckDBPyConnection, job: Job, engine: Engine) -> None:
    schema, _, name = job.config.table.rpartition(".")
    table = Table(name, MetaData(schema=schema or None), *_columns(job))
    with engine.begin() as target:
        inspector = inspect_database(target)
        if inspector.has_table(name, schema=schema or None):
            _check_ours(job, {column["name"] for column in inspector.get_columns(name, schema=schema or None)})
        else:
            table.create(target)
        target.execute(table.delete())
        rows = connection.execute("select * from sent order by person_id")
        names = [column[0] for column in rows.description]
        stamp = {OURS: job.snapshot.name, "as_of_date": job.snapshot.as_of_date}
        while batch := rows.fetchmany(ROWS_AT_ONCE):
            target.execute(table.insert(), [dict(zip(names, row, strict=True)) | stamp for row in batch])


def _columns(job: Job) -> list[Column]:
    def kind(name: str) -> Any:
        if name in ("person_id", "part"):
            return BigInteger() if name == "person_id" else String(40)
        return _TYPES["text" if name in job.masked else job.snapshot.tags[name].data_type]()

    return [
        *(Column(name, kind(name), primary_key=name == "person_id", autoincrement=False) for name in job.columns),
        Column(OURS, String(60)),
        Column("as_of_date", Date),
    ]


def _check_ours(job: Job, there: set[str]) -> None:
    wanted = {*job.columns, OURS, "as_of_date"}
    if OURS not in there:
        raise ExportError(f"The table {job.config.table} was made by somebody else; choose another name.")
    if there != wanted:
        other = ", ".join(sorted(there ^ wanted))
        raise ExportError(
            f"The table {job.config.table} has other columns than the export ({other}); drop it or choose another name."
        )


def _engine(address: str) -> Engine:
    url = make_url(address)
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    return create_engine(url)
