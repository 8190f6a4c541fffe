"""Finds whom new rows are about: the records in them, whether identity mapping must look at them, and their persons."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from tagloom.sources import Source, Table

if TYPE_CHECKING:
    import duckdb

TABLES = """
create or replace table operations.new_records (
    source varchar, table_name varchar, record_hash varchar, first_seen_at timestamp
);
create table if not exists operations.affected_persons (person_id bigint);
"""
"""new_records: one row per set of identifiers that stand together in new rows, as in identity_observations."""


class StagingViewError(RuntimeError):
    """A staging view does not read its raw table, so that its new rows cannot be told from the old ones."""


@dataclass(frozen=True)
class Covered:
    """Which rows of a raw table the tags of their persons already follow."""

    until: datetime | None
    """Rows that landed up to this moment (_landed_at, UTC); None: no row yet."""
    day: date
    """Of these, rows of events up to this local day: later ones were not known yet."""


def newest_landing(connection: duckdb.DuckDBPyConnection, source: Source, table: Table) -> datetime | None:
    """When the newest row of a raw table landed (UTC), None when there is none."""
    if not exists(connection, source.raw_schema, table.name):
        return None
    return connection.execute(f'select max(_landed_at) from {source.raw_schema}."{table.name}"').fetchall()[0][0]


def newest_event_day(
    connection: duckdb.DuckDBPyConnection, source: Source, table: Table, covered: Covered, time_zone: str
) -> date | None:
    """Local day of the newest event among the new rows, but of none that is dated after the day of its delivery."""
    if table.event_time is None or not exists(connection, source.raw_schema, table.name):
        return None
    condition, parameters = is_new(table, covered, time_zone)
    day, zone = _local_day(table, time_zone)
    query = (
        f'select max({day}) from {source.raw_schema}."{table.name}" '
        f'where ({condition}) and cast("{table.event_time}" as date) <= _interval'
    )
    return connection.execute(query, parameters | zone).fetchall()[0][0]


def collect_new_records(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    table: Table,
    covered: Covered,
    as_of_date: date,
    time_zone: str,
) -> int:
    """Add the identifiers that stand together in new rows to operations.new_records and return how many sets there are.

    The staging view itself says how an identifier is written, only over the new rows of the raw table. Rows without any
    identifier, and events after as_of_date, are nobody's and add nothing.

    Raises StagingViewError when the view does not read the raw table.
    """
    if not exists(connection, source.raw_schema, table.name):
        return 0
    condition, parameters = is_new(table, covered, time_zone)
    columns = list(table.identifiers)
    known, first_seen = "true", "null"
    if table.event_time:
        day, zone = _local_day(table, time_zone)
        known, first_seen = f"{day} <= $as_of_date", f'min("{table.event_time}")'
        parameters |= {"as_of_date": as_of_date} | zone
    query = f"""
        insert into operations.new_records
        select $source, $table, {_record_hash(f"{source.name}.{table.name}", columns)}, cast({first_seen} as timestamp)
        from ({view_over(connection, source, table, condition)}) as new_rows
        where ({" or ".join(f"{column} is not null" for column in columns)}) and {known}
        group by {", ".join(columns)}
    """
    connection.execute(query, parameters | {"source": source.name, "table": table.name})
    return connection.execute(
        "select count(*) from operations.new_records where source = ? and table_name = ?", [source.name, table.name]
    ).fetchall()[0][0]


def are_known(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether identity mapping has seen every new record just so, and as early, so that it would come out the same."""
    unknown = connection.execute(
        """
        select 1
        from operations.new_records as new_records
        left join identity_mapping.identity_observations as observations
            on new_records.source = observations.source and new_records.record_hash = observations.record_hash
        where observations.record_hash is null or new_records.first_seen_at < observations.first_seen_at
        limit 1
        """
    ).fetchall()
    return not unknown


def find_affected_persons(connection: duckdb.DuckDBPyConnection, *, compare_with_before: bool) -> int:
    """Fill operations.affected_persons with the persons of the new records and return how many there are.

    With `compare_with_before`, also everybody whose identifiers belong to another person than in
    operations.identity_before: both the person they were and the person they are.
    """
    moved = """
        union
        select unnest([before.person_id, mapped.person_id]) as person_id
        from operations.identity_before as before
        full join identity_mapping.identity_map as mapped
            on before.identifier_type = mapped.identifier_type and before.identifier_hash = mapped.identifier_hash
        where before.person_id is distinct from mapped.person_id
    """
    connection.execute(
        f"""
        create or replace table operations.affected_persons as
        select person_id
        from (
            select identity_map.person_id
            from operations.new_records as new_records
            inner join identity_mapping.identity_observations as observations
                on new_records.source = observations.source and new_records.record_hash = observations.record_hash
            inner join identity_mapping.identity_map as identity_map
                on observations.identifier_type = identity_map.identifier_type
                and observations.identifier_hash = identity_map.identifier_hash
            {moved if compare_with_before else ""}
        )
        where person_id is not null
        group by person_id
        order by person_id
        """
    )
    return connection.execute("select count(*) from operations.affected_persons").fetchall()[0][0]


def exists(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> bool:
    """Whether there is such a table or view."""
    return bool(
        connection.execute(
            "select 1 from information_schema.tables where table_schema = ? and table_name = ?", [schema, name]
        ).fetchall()
    )


def is_new(table: Table, covered: Covered, time_zone: str) -> tuple[str, dict]:
    """Condition over the raw table for rows that are not covered, and its parameters."""
    if covered.until is None:
        return "true", {}
    condition, parameters = "_landed_at > $covered_until", {"covered_until": covered.until}
    if table.event_time is None:
        return condition, parameters
    parameters["covered_day"] = covered.day
    if table.column(table.event_time).type == "date":
        return f'{condition} or "{table.event_time}" > $covered_day', parameters
    # The end of the day as one moment in UTC: compared with the bare column, so that DuckDB can skip what is older.
    end_of_day = "timezone('UTC', timezone($midnight_zone, cast($covered_day as timestamp) + interval 1 day))"
    return f'{condition} or "{table.event_time}" >= {end_of_day}', parameters | {"midnight_zone": time_zone}


def _local_day(table: Table, time_zone: str) -> tuple[str, dict]:
    """The local day of an event, as macros/facts/local_date.sql counts it, and its parameters."""
    if table.column(table.event_time).type == "date":
        return f'"{table.event_time}"', {}
    return f"cast(timezone($zone, timezone('UTC', \"{table.event_time}\")) as date)", {"zone": time_zone}


def view_over(connection: duckdb.DuckDBPyConnection, source: Source, table: Table, condition: str) -> str:
    """The select of the staging view, over those rows of the raw table that meet the condition.

    Raises StagingViewError when there is no such view or it does not read the raw table.
    """
    view = f"stg_{source.name}__{table.name}"
    found = connection.execute(
        "select sql from duckdb_views() where schema_name = 'staging' and view_name = ?", [view]
    ).fetchall()
    if not found:
        raise StagingViewError(f"staging.{view} does not exist; run build_tags once, which makes it.")
    select = re.sub(r"^\s*create view .*? as\s+", "", found[0][0].strip().rstrip(";"), count=1, flags=re.I | re.S)
    raw_table = rf'(?<![\w."])"?{source.raw_schema}"?\."?{table.name}"?(?![\w."])'
    new_rows = f'(select * from {source.raw_schema}."{table.name}" where {condition})'
    select, replaced = re.subn(raw_table, lambda _: new_rows, select)
    if not replaced:
        raise StagingViewError(
            f"models/staging/{source.name}/{view}.sql does not read source('{source.name}', '{table.name}'), so its "
            "new rows cannot be found. Read the raw table in it, or take `identifiers` out of the declaration."
        )
    return select


def _record_hash(table: str, columns: list[str]) -> str:
    """The same SQL that macros/identity/record_hash.sql makes: an HMAC with the keys of `prepare_connection`."""
    values = " || '|' || ".join(f"coalesce({column}, '')" for column in columns)
    return identifier_hash("record", f"'{table}|' || {values}")


def identifier_hash(identifier_type: str, column: str) -> str:
    """The same SQL that macros/identity/identifier_hash.sql makes."""
    message = f"encode('{identifier_type}:' || {column})"
    inner = f"unhex(sha256(getvariable('identity_key_inner') || {message}))"
    return f"sha256(getvariable('identity_key_outer') || {inner})"
