"""Fetches rows of a relational database as Parquet files, one a day, in bounded memory.

PostgreSQL sends its rows by COPY and Arrow parses them: exact, and several times faster than through Python objects.
Every other database that SQLAlchemy knows is streamed through its driver, and its columns are written as text: drivers
do not agree on what they say about types, and landing parses text anyway. docs/architecture.md has the figures.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import psycopg
import pyarrow as pa
import sqlalchemy
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tagloom.fetching.fetch import (
    ConnectionDetails,
    FetchError,
    day_start,
    days_between,
    delivery_path,
    short,
)
from tagloom.fetching.postgres_copy import copy_rows
from tagloom.fetching.query_files import execute, write_parquet
from tagloom.sources import DatabaseReader, Source, Table

LOG = logging.getLogger(__name__)

DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mssql": "mssql+pymssql",
    "oracle": "oracle+oracledb",
}
"""Airflow connection type -> SQLAlchemy dialect and driver; others are called the same in both, and extra
sqlalchemy_scheme overrides all."""

POSTGRES_SESSION = {
    "datestyle": "ISO",
    "bytea_output": "hex",
    "extra_float_digits": "3",
    "synchronize_seqscans": "off",
    "max_parallel_workers_per_gather": "0",
}
"""How values are written, whatever the server's settings say; the last two so that rows come in the same order again,
for quarantine knows a bad row by its place in the file."""

ROWS_AT_ONCE = 5_000
"""Rows that a driver hands over at a time."""


def fetch_rows(
    source: Source, table: Table, first_day: date, end_day: date, landing: Path, connection: ConnectionDetails
) -> list[Path]:
    """Fetch the table's rows into Parquet files and return these.

    With a watermark there is one file a day, of the rows whose watermark lies in that UTC day or in the table's
    overlap_days before it; times without zone are those of the source's time zone, and a date without time counts as
    the moment at which it ends there. Without a watermark there is one file for the last day, the whole table as it is
    now; a file that is already there is kept, since a database cannot be asked for what it held in the past. All rows
    come from one state of the database where it can give that (PostgreSQL, MySQL), else from one statement a file. No
    rows give a file without rows. Raises FetchError.
    """
    if table.reader.watermark is None:
        path = delivery_path(source, table, end_day - timedelta(days=1), landing)
        if path.exists():
            LOG.info("%s is there already and kept; delete it to fetch the table as it is now", path)
            return [path]
        wanted = {path: None}
    else:
        wanted = {delivery_path(source, table, day, landing): day for day in days_between(first_day, end_day)}
    what = f"{source.name}.{table.name} by connection {connection.connection_id!r}"
    try:
        _fetch(source, table, wanted, connection)
    except (OperationalError, psycopg.OperationalError) as error:
        said = short(getattr(error, "orig", error), connection)
        raise FetchError(f"{what}: {said}; check that the database runs, and the connection's fields") from error
    except (DBAPIError, psycopg.Error, pa.ArrowInvalid) as error:
        said = short(getattr(error, "orig", error), connection)
        raise FetchError(
            f"{what}: {said}; correct its table, query or watermark, or cast the column to text in its query",
            may_pass=False,
        ) from error
    except ModuleNotFoundError as error:
        raise FetchError(
            f"{what}: the driver {error.name!r} is not installed; add it to requirements.in, or name another one in "
            "the connection's extra, such as sqlalchemy_scheme: mysql+mysqldb",
            may_pass=False,
        ) from error
    except (NoSuchModuleError, ArgumentError) as error:
        raise FetchError(
            f"{what}: SQLAlchemy knows no database of type {connection.kind!r}; correct the connection's type, or "
            "install its dialect and name it in the connection's extra, such as sqlalchemy_scheme: duckdb",
            may_pass=False,
        ) from error
    except SQLAlchemyError as error:
        raise FetchError(f"{what}: {short(error, connection)}; check the connection and the query") from error
    return list(wanted)


def _fetch(source: Source, table: Table, wanted: dict[Path, date | None], connection: ConnectionDetails) -> None:
    engine = sqlalchemy.create_engine(_address(connection), poolclass=NullPool, connect_args=_arguments(connection))
    with engine.connect() as database:
        _prepare(database, source)
        by_copy = (engine.dialect.name, engine.dialect.driver) == ("postgresql", "psycopg")
        delivered = _delivered(table.reader)
        watermark = _watermark_column(database, source, table, delivered)
        for path, day in wanted.items():
            statement = delivered
            if day is not None:
                first, end = day - timedelta(days=table.overlap_days), day + timedelta(days=1)
                condition = _condition(engine.dialect.name, watermark, table, first, end, source.time_zone)
                statement += f"\nwhere {condition}"
            (copy_rows if by_copy else _stream_texts)(database, statement, path)


def _address(connection: ConnectionDetails) -> sqlalchemy.URL:
    scheme = connection.extra.get("sqlalchemy_scheme") or DRIVERS.get(connection.kind, connection.kind)
    query = {key: value for key, value in _options(connection).items() if isinstance(value, str)}
    if scheme.split("+")[0] == "sqlite":
        file = connection.host or f"/{connection.schema or ''}"
        # Read only: SQLite would otherwise make an empty database where the path is wrong.
        return sqlalchemy.URL.create(
            scheme, database=f"file:{quote(file)}", query={"mode": "ro", "uri": "true"} | query
        )
    if scheme.startswith("postgresql+psycopg"):
        query = {"connect_timeout": "30"} | query
    return sqlalchemy.URL.create(
        scheme,
        username=connection.login or None,
        password=connection.password or None,
        host=connection.host or None,
        port=connection.port,
        database=connection.schema or None,
        query=query,
    )


def _arguments(connection: ConnectionDetails) -> dict:
    return {key: value for key, value in _options(connection).items() if not isinstance(value, str)}


def _options(connection: ConnectionDetails) -> dict:
    return connection.options("sqlalchemy_scheme")


def _prepare(database: sqlalchemy.Connection, source: Source) -> None:
    """Make the session's answers independent of the server's configuration, and all of them from one moment."""
    match database.dialect.name:
        case "postgresql":
            for name, value in POSTGRES_SESSION.items():
                database.exec_driver_sql(f"set {name} = '{value}'")
            # Times that a query turns from with to without zone are then in the zone that landing takes them to be in.
            database.exec_driver_sql(f"set timezone = '{source.time_zone}'")
            database.commit()
            database.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        case "mysql" | "mariadb":
            database.execution_options(isolation_level="REPEATABLE READ")


def _delivered(reader: DatabaseReader) -> str:
    query = reader.query.strip().rstrip(";") if reader.query else f"select * from {reader.table}"
    # On a line of its own, so that a comment at the end of the query ends there.
    return f"select * from (\n{query}\n) delivered"


def _watermark_column(database: sqlalchemy.Connection, source: Source, table: Table, delivered: str) -> str | None:
    names = list(execute(database, f"{delivered} where 1 = 0").keys())
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise FetchError(
            f"{source.name}.{table.name}: the query gives two columns called {', '.join(doubled)}; rename one by `as`",
            may_pass=False,
        )
    if table.reader.watermark is None:
        return None
    header = table.column(table.reader.watermark).header
    found = [name for name in names if name == header] or [name for name in names if name.lower() == header.lower()]
    if not found:
        raise FetchError(
            f"{source.name}.{table.name}: the watermark {header!r} is not among the columns {', '.join(names)}; "
            "correct reader.watermark, or the column's delivered_as",
            may_pass=False,
        )
    column = database.dialect.identifier_preparer.quote(found[0])
    if database.dialect.name == "sqlite":
        wrong = f"typeof({column}) not in ('text', 'null') or ({column} is not null and datetime({column}) is null)"
        other = execute(database, f"select {column} from (\n{delivered}\n) checked where {wrong} limit 1").first()
        if other is not None:
            raise FetchError(
                f"{source.name}.{table.name}: the watermark {header!r} holds {other[0]!r}, which SQLite does not know "
                f"for a time; convert it in the query, such as datetime({header}, 'unixepoch') as {header}",
                may_pass=False,
            )
    return column


def _condition(dialect: str, column: str, table: Table, first_day: date, end_day: date, time_zone: str) -> str:
    """Which rows belong to the UTC days [first_day, end_day), by a quoted watermark column."""
    if table.column(table.reader.watermark).type == "date":
        first, end = (_first_date(day, time_zone) for day in (first_day, end_day))
        written = {"sqlite": "'{:%Y-%m-%d}'", "mssql": "'{:%Y%m%d}'"}.get(dialect, "date '{:%Y-%m-%d}'")
        column = f"date({column})" if dialect == "sqlite" else column
        return _between(column, written, first, end)
    instants = [day_start(day, "UTC") for day in (first_day, end_day)]
    locals_ = [instant.astimezone(ZoneInfo(time_zone)) for instant in instants]
    match dialect:
        case "postgresql":
            # A timestamp without zone, or a date, is compared as one of the session's zone, which is the source's.
            return _between(column, "timestamptz '{:%Y-%m-%d %H:%M:%S}+00'", *instants)
        case "sqlite":
            # Times are texts. datetime() makes those with an offset UTC and leaves the others as they are.
            zoned = f"({column} glob '*Z' or {column} glob '*[+-][0-9][0-9]:[0-9][0-9]')"
            written = "'{:%Y-%m-%d %H:%M:%S}'"
            moment = f"datetime({column})"
            by_instant, by_local = (_between(moment, written, *bounds) for bounds in (instants, locals_))
            return f"case when {zoned} then {by_instant} else {by_local} end"
        case "mssql":
            # The only form that no language setting of the server reads differently.
            return _between(column, "'{:%Y%m%d %H:%M:%S}'", *locals_)
        case _:
            return _between(column, "timestamp '{:%Y-%m-%d %H:%M:%S}'", *locals_)


def _between(column: str, written: str, first: date, end: date) -> str:
    return f"{column} >= {written.format(first)} and {column} < {written.format(end)}"


def _first_date(day: date, time_zone: str) -> date:
    """The first date, by the source's calendar, that ends after the UTC day has begun.

    A row with nothing but a date belongs to the UTC day in which its date ends: before that more of them may come.
    """
    return next(
        candidate
        for candidate in (day - timedelta(days=1), day)
        if day_start(candidate + timedelta(days=1), time_zone) > day_start(day, "UTC")
    )


def _stream_texts(database: sqlalchemy.Connection, statement: str, path: Path) -> None:
    with execute(database, statement, stream_results=True, max_row_buffer=ROWS_AT_ONCE) as result:
        schema = pa.schema([pa.field(name, pa.string()) for name in result.keys()])  # noqa: SIM118 - a result is no dict

        def batches() -> Iterator[pa.RecordBatch]:
            for rows in result.partitions(ROWS_AT_ONCE):
                columns = [_texts(column) for column in zip(*rows, strict=True)]
                yield pa.record_batch(columns, schema=schema)

        write_parquet(path, schema, batches())


def _texts(values: tuple) -> pa.Array:
    return pa.array([value if value is None or type(value) is str else as_text(value) for value in values], pa.string())


def as_text(value: object) -> str:
    """A driver's value as exact text: decimals plain, times with a zone in UTC, bytes as \\x and hex, lists as JSON."""
    match value:
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value, "f")
        case float():
            return repr(value)
        case datetime():
            return (value.astimezone(UTC) if value.tzinfo else value).isoformat(sep=" ")
        case bytes() | bytearray() | memoryview():
            return f"\\x{bytes(value).hex()}"
        case dict() | list() | tuple():
            return json.dumps(value, ensure_ascii=False, default=as_text)
        case _:
            return str(value)
