"""Lands one data interval of a source: good rows in raw_<source>, bad ones in quarantine, a line in landing_log.

For every delivery: rows read = landed + quarantined + duplicates.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from tagloom.readers import DeliveryError, find_deliveries, fingerprint, read_deliveries
from tagloom.settings import Settings
from tagloom.sources import Column, Source, Table

if TYPE_CHECKING:
    import duckdb

LANDED, UNCHANGED, NOTHING, STOPPED = "landed", "unchanged", "nothing delivered", "stopped"

OPERATIONS_TABLES = """
create schema if not exists operations;
create table if not exists operations.landing_log (
    run_id varchar, source varchar, table_name varchar, first_day date, end_day date, status varchar, files integer,
    bytes bigint, rows_read bigint, rows_landed bigint, rows_quarantined bigint, duplicates bigint,
    undeclared_columns varchar, seconds double, fingerprint varchar, logged_at timestamp
);
create table if not exists operations.quarantine (
    source varchar, table_name varchar, source_file varchar, line bigint, day date, column_name varchar, reason varchar,
    raw varchar, run_id varchar
);
"""


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
    undeclared_columns: str = ""
    seconds: float = 0.0
    fingerprint: str = ""

    def as_dict(self) -> dict:
        """Plain values, for XCom and asset extras."""
        return asdict(self)


class BadDeliveryError(DeliveryError):
    """More rows are bad than the source's tolerated share; nothing of the delivery was landed."""


def land_source(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    source: Source,
    first_day: date,
    end_day: date,
    run_id: str,
) -> list[Landing]:
    """Land every table of a source for the days [first_day, end_day).

    Each table is replaced for these days in one transaction, so a run that is repeated or killed leaves the same rows.
    Files that are known from the last run over the same days, under the same declaration, are not read again.

    Raises DeliveryError when a file cannot be used, BadDeliveryError when too many of its rows are bad.
    """
    connection.execute(OPERATIONS_TABLES)
    return [_land_table(connection, settings, source, table, first_day, end_day, run_id) for table in source.tables]


def _land_table(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    source: Source,
    table: Table,
    first_day: date,
    end_day: date,
    run_id: str,
) -> Landing:
    started = time.monotonic()
    known = {"source": source.name, "table": table.name, "first_day": str(first_day), "end_day": str(end_day)}
    _create_raw_table(connection, source, table)
    deliveries = find_deliveries(settings.landing / source.name, table, first_day, end_day)
    if not deliveries and not _has_rows(connection, source, table, first_day, end_day):
        landing = Landing(**known, status=NOTHING)
        _log(connection, landing, run_id)
        return landing
    mark = fingerprint(source, table, deliveries)
    size = sum(delivery.path.stat().st_size for delivery in deliveries)
    if _is_known(connection, source, table, first_day, end_day, mark):
        return Landing(**known, status=UNCHANGED, files=len(deliveries), bytes=size, fingerprint=mark)

    undeclared = read_deliveries(connection, table, deliveries)
    _judge_rows(connection, source, table)
    whole, torn, bad, duplicates = connection.execute(
        """
        select (select count(*) from delivered), (select count(*) from torn), (select count(*) from bad),
            (select count(*) from repeated)
        """
    ).fetchall()[0]
    landing = Landing(
        **known,
        status=LANDED,
        files=len(deliveries),
        bytes=size,
        rows_read=whole + torn,
        rows_landed=whole - bad - duplicates,
        rows_quarantined=torn + bad,
        duplicates=duplicates,
        undeclared_columns=", ".join(undeclared),
        seconds=round(time.monotonic() - started, 3),
        fingerprint=mark,
    )
    share = landing.rows_quarantined / max(landing.rows_read, 1)
    if share > source.tolerated_bad_share:
        _store(connection, source, table, first_day, end_day, Landing(**{**asdict(landing), "status": STOPPED}), run_id)
        raise BadDeliveryError(_too_many_bad_rows(connection, source, table, landing, share))
    _store(connection, source, table, first_day, end_day, landing, run_id)
    return landing


def _create_raw_table(connection: duckdb.DuckDBPyConnection, source: Source, table: Table) -> None:
    wanted = {column.name: column.sql_type for column in table.columns} | {
        "_source_file": "varchar",
        "_line": "bigint",
        "_interval": "date",
        "_landed_at": "timestamp",
    }
    connection.execute(f"create schema if not exists {source.raw_schema}")
    columns = ", ".join(f'"{name}" {sql_type}' for name, sql_type in wanted.items())
    connection.execute(f'create table if not exists {source.raw_schema}."{table.name}" ({columns})')
    present = dict(
        connection.execute(
            "select column_name, lower(data_type) from duckdb_columns() where schema_name = ? and table_name = ?",
            [source.raw_schema, table.name],
        ).fetchall()
    )
    for name, sql_type in wanted.items():
        if name not in present:
            connection.execute(f'alter table {source.raw_schema}."{table.name}" add column "{name}" {sql_type}')
        elif present[name].replace(" ", "") != sql_type:
            raise DeliveryError(
                f"{source.name}.yml: tables.{table.name}.columns.{name}: is declared {sql_type}, but what is landed is "
                f"{present[name]}. Declare the old type, or drop {source.raw_schema}.{table.name} and land it again."
            )


def _has_rows(
    connection: duckdb.DuckDBPyConnection, source: Source, table: Table, first_day: date, end_day: date
) -> bool:
    # A snapshot that was not delivered stays as it is; an event file that was taken back must go.
    if table.grain == "snapshot":
        return False
    return bool(
        connection.execute(
            f'select 1 from {source.raw_schema}."{table.name}" where _interval >= ? and _interval < ? limit 1',
            [first_day, end_day],
        ).fetchall()
    )


def _is_known(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    table: Table,
    first_day: date,
    end_day: date,
    mark: str,
) -> bool:
    overlapping = connection.execute(
        """
        select first_day, end_day, fingerprint, status
        from operations.landing_log
        where source = ? and table_name = ? and (? or (first_day < ? and end_day > ?)) and status <> ?
        order by logged_at desc
        limit 1
        """,
        [source.name, table.name, table.grain == "snapshot", end_day, first_day, NOTHING],
    ).fetchall()
    return overlapping == [(first_day, end_day, mark, LANDED)]


def _judge_rows(connection: duckdb.DuckDBPyConnection, source: Source, table: Table) -> None:
    """Fill the temporary tables `bad` and `repeated` with the row ids of `delivered` that do not land.

    bad: id, faulty_column, reason (null when the row only repeats a key). repeated: id of exact copies, dropped.
    """
    described = connection.execute("describe delivered").fetchall()
    is_text = {name: data_type == "VARCHAR" for name, data_type, *_ in described}
    faults = [fault for column in table.columns for fault in _faults(column, is_text[column.name], source.time_zone)]
    any_fault = " or ".join(f"({condition})" for _, condition, _ in faults) or "false"
    column_case = " ".join(f"when {condition} then '{name}'" for name, condition, _ in faults)
    reason_case = " ".join(f"when {condition} then {reason}" for _, condition, reason in faults)
    connection.execute(
        f"""
        create or replace temp table bad as
        select rowid as id, case when false then '' {column_case} end as faulty_column,
            case when false then '' {reason_case} end as reason
        from delivered
        where {any_fault}
        """
    )
    key = ", ".join(f'"{name}"' for name in table.primary_key)
    same = ", ".join(f'"{name}"' for name in table.column_names) if table.duplicates == "drop_exact" else key
    connection.execute(
        f"""
        create or replace temp table repeated as
        with keys_seen_twice as (
            select {key}
            from delivered
            where rowid not in (select id from bad)
            group by {key}
            having count(*) > 1
        ),
        in_order as (
            select delivered.rowid as id,
                row_number() over (partition by {same} order by _interval, _source_file, _line) as place,
                row_number() over (partition by {key} order by _interval, _source_file, _line) as place_in_key
            from delivered
            inner join keys_seen_twice using ({key})
            where delivered.rowid not in (select id from bad)
        )
        select id, place > 1 as is_exact
        from in_order
        where place_in_key > 1
        """
    )
    if table.duplicates == "drop_exact":
        connection.execute(
            "insert into bad select id, null, null from repeated where not is_exact; "
            "delete from repeated where not is_exact"
        )
    else:
        connection.execute("insert into bad select id, null, null from repeated; delete from repeated")


def _faults(column: Column, is_text: bool, time_zone: str) -> list[tuple[str, str, str]]:
    """(column, SQL condition, SQL text of the reason); the first that holds is the one reported."""
    name = f'"{column.name}"'
    faults = []
    if column.required:
        faults.append((column.name, f"nullif({name}, '') is null" if is_text else f"{name} is null", "'is missing'"))
    if not (is_text and column.type == "text"):
        given = f"nullif({name}, '')" if is_text else name
        faults.append(
            (
                column.name,
                f"{given} is not null and {_typed(column, is_text, time_zone)} is null",
                f"'is no {column.type}'",
            )
        )
    if column.pattern:
        pattern = column.pattern.replace("'", "''")
        given = f"nullif({name}, '')" if is_text else f"{name}::varchar"
        faults.append((column.name, f"not regexp_full_match({given}, '{pattern}')", f"'does not match {pattern}'"))
    return faults


def _typed(column: Column, is_text: bool, time_zone: str) -> str:
    name = f'"{column.name}"'
    if is_text and column.type == "text":
        return f"nullif({name}, '')"
    given = f"nullif(trim({name}), '')" if is_text else name
    typed = f"try_cast({given} as {column.sql_type})"
    if column.type == "timestamp" and time_zone != "UTC":
        return f"timezone('UTC', timezone('{time_zone}', {typed}))"
    return typed


def _store(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    table: Table,
    first_day: date,
    end_day: date,
    landing: Landing,
    run_id: str,
) -> None:
    described = connection.execute("describe delivered").fetchall()
    is_text = {name: data_type == "VARCHAR" for name, data_type, *_ in described}
    typed = ", ".join(
        f'{_typed(column, is_text[column.name], source.time_zone)} as "{column.name}"' for column in table.columns
    )
    raw_table = f'{source.raw_schema}."{table.name}"'
    days = "true" if table.grain == "snapshot" else "_interval >= $first_day and _interval < $end_day"
    span = {"first_day": first_day, "end_day": end_day}
    connection.execute("begin")
    try:
        if landing.status == LANDED:
            connection.execute(f"delete from {raw_table} where {days}", span if table.grain == "event" else {})
            connection.execute(
                f"insert into {raw_table} by name select {typed}, _source_file, _line, _interval, "
                "$now::timestamp as _landed_at from delivered "
                "where rowid not in (select id from bad) and rowid not in (select id from repeated)",
                {"now": _now()},
            )
        connection.execute(
            "delete from operations.quarantine where source = $source and table_name = $table "
            "and ($snapshot or (day >= $first_day and day < $end_day))",
            {"source": source.name, "table": table.name, "snapshot": table.grain == "snapshot", **span},
        )
        connection.execute(
            f"""
            insert into operations.quarantine
            select $source, $table, _source_file, _line, _interval, faulty_column, reason, raw, $run_id
            from ({_quarantined_rows(table)})
            """,
            {"source": source.name, "table": table.name, "run_id": run_id},
        )
        _log(connection, landing, run_id)
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise


def _quarantined_rows(table: Table) -> str:
    """Bad rows with their raw text; what a personal column held is hidden, in a torn line all of it."""
    shown = ", ".join(
        f"'{column.name}': "
        + (
            f"case when \"{column.name}\" is not null then '•••' end"
            if column.personal_data == "direct"
            else f'"{column.name}"::varchar'
        )
        for column in table.columns
    )
    is_personal = any(column.personal_data == "direct" for column in table.columns)
    torn = "'(' || length(raw) || ' characters, hidden because they may be personal)'" if is_personal else "raw"
    return f"""
        select _source_file, _line, _interval, faulty_column,
            coalesce(reason, 'repeats the primary key of an earlier row') as reason,
            to_json({{{shown}}})::varchar as raw
        from delivered
        inner join bad on delivered.rowid = bad.id
        union all
        select _source_file, _line, _interval, null, reason, {torn} from torn
    """


def _too_many_bad_rows(
    connection: duckdb.DuckDBPyConnection, source: Source, table: Table, landing: Landing, share: float
) -> str:
    reasons = connection.execute(
        """
        select coalesce(column_name || ' ', '') || reason, count(*), any_value(source_file), min(line)
        from operations.quarantine
        where source = ? and table_name = ?
        group by all order by 2 desc, 1 limit 3
        """,
        [source.name, table.name],
    ).fetchall()
    worst = "; ".join(f"{reason} ({count:,} rows, first {file} line {line})" for reason, count, file, line in reasons)
    return (
        f"{source.name}.{table.name}: {landing.rows_quarantined:,} of {landing.rows_read:,} rows are bad "
        f"({share:.1%}), more than the tolerated {source.tolerated_bad_share:.1%}: {worst}. "
        "Nothing of this delivery was landed; the rows are in operations.quarantine. "
        f"Ask {source.owner} for a new delivery or raise tolerated_bad_share in sources/{source.name}.yml."
    )


def _log(connection: duckdb.DuckDBPyConnection, landing: Landing, run_id: str) -> None:
    connection.execute(
        "insert into operations.landing_log values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [run_id, *asdict(landing).values(), _now()],
    )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
