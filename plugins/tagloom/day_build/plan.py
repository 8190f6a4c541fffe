"""From which finished build a day goes on, or why it is built in full."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tagloom import layer_state
from tagloom.affected import exists
from tagloom.day_build import small_tables
from tagloom.day_build.models import LAYERS, is_person_table, lookups, models_of, replaced_of
from tagloom.day_build.unchanged import keep_contents
from tagloom.lineage import load_manifest
from tagloom.settings import Settings

if TYPE_CHECKING:
    import duckdb

MOST_DAYS = 7
"""A build for a day further ahead is a full one: most windows would have moved over most persons."""

FULL_BUILD_AFTER = 28
"""Days after which a build is a full one again: it runs every data test and packs the tables."""

TABLES = (
    """
create schema if not exists operations;
create table if not exists operations.build_base (as_of_date date, definitions varchar, reached date, full_on date);
create table if not exists operations.base_coverage (
    source varchar, table_name varchar, covered_until timestamp, covered_day date
);
create table if not exists operations.base_identity (
    identifier_type varchar, identifier_hash varchar, person_id bigint
);
create table if not exists operations.base_persons (person_id bigint, row_hash ubigint);
create table if not exists operations.base_lookups (staging varchar, key varchar, row_hash ubigint);
create table if not exists operations.base_removals (source varchar, table_name varchar, rows_removed hugeint);
create table if not exists operations.updated_persons (person_id bigint);
create table if not exists operations.changed_rows (model varchar, person_id bigint);
create table if not exists operations.build_plan (as_of_date date, is_full boolean, reason varchar);
"""
    + small_tables.TABLES
)
"""base_*: as of the last finished build. updated_persons: persons of updates since then."""


@dataclass(frozen=True)
class Plan:
    """How a day is built."""

    as_of_date: date
    is_full: bool
    reason: str
    """Why so, in a sentence."""


@dataclass(frozen=True)
class Base:
    """A finished build from which the next one goes on."""

    as_of_date: date
    definitions: str
    reached: date
    """The latest day that any table may be of: a build that was killed, and updates, go ahead of the base."""
    full_on: date


def decide(connection: duckdb.DuckDBPyConnection, settings: Settings, manifest: dict, day: date, rebuild: bool) -> Plan:
    """How a day is to be built: from the base, if nothing speaks against it."""
    base = base_of(connection)
    reason = None
    if rebuild:
        reason = "a rebuild was asked for"
    elif base is None:
        reason = "there is no finished build to go on from"
    elif base.definitions != layer_state.definitions_fingerprint(settings):
        reason = f"SQL, a setting or an engine has changed since the build of {base.as_of_date}"
    elif day < base.reached:
        reason = f"the tables are of {base.reached}, and a build can only go on from a day before"
    elif (day - base.as_of_date).days > MOST_DAYS:
        reason = f"the build of {base.as_of_date} is more than {MOST_DAYS} days behind"
    elif (day - base.full_on).days > FULL_BUILD_AFTER:
        reason = f"the last full build, of {base.full_on}, is more than {FULL_BUILD_AFTER} days behind"
    else:
        missing = _missing_tables(connection, manifest)
        removed = _sources_with_removed_rows(connection, manifest)
        if missing:
            reason = f"there is no table {', '.join(missing)}"
        elif removed:
            reason = f"rows of {', '.join(removed)} were taken away or replaced"
    if reason:
        return Plan(day, True, reason)
    return Plan(day, False, f"going on from {base.as_of_date}")


def begin(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Note the plan for the layers to come, and that the tables are on their way to its day."""
    connection.begin()
    connection.execute("delete from operations.build_plan")
    connection.execute(
        "insert into operations.build_plan values (?, ?, ?)", [plan.as_of_date, plan.is_full, plan.reason]
    )
    if plan.is_full:
        # From here on the tables are of no one day, until the build is finished.
        connection.execute("delete from operations.build_base")
    else:
        connection.execute("update operations.build_base set reached = ?", [plan.as_of_date])
    connection.commit()


def plan_of(connection: duckdb.DuckDBPyConnection, day: date) -> Plan:
    """What the first layer has decided for this day."""
    found = connection.execute("select * from operations.build_plan where as_of_date = ?", [day]).fetchall()
    return Plan(*found[0]) if found else Plan(day, True, f"{LAYERS[0]} was built without a plan for {day}")


def base_of(connection: duckdb.DuckDBPyConnection) -> Base | None:
    """The last finished build."""
    found = connection.execute("select as_of_date, definitions, reached, full_on from operations.build_base").fetchall()
    return Base(*found[0]) if found else None


def finish(connection: duckdb.DuckDBPyConnection, settings: Settings, day: date) -> None:
    """Make the tables of all layers, now built and checked for the day, the base of the next build."""
    connection.execute(TABLES)
    manifest = load_manifest(settings.dbt_target / "manifest.json")
    plan = plan_of(connection, day)
    before = base_of(connection)
    full_on = before.full_on if before and not plan.is_full else day
    if not exists(connection, "operations", "coming_coverage"):
        layer_state.cover_what_landed(connection)
    connection.begin()
    for table in ("build_base", "base_coverage", "base_identity", "base_persons", "base_lookups", "base_removals"):
        connection.execute(f"delete from operations.{table}")
    for table in ("updated_persons", "changed_rows", "build_plan"):
        connection.execute(f"delete from operations.{table}")
    connection.execute("insert into operations.base_coverage from operations.coming_coverage")
    connection.execute(
        "insert into operations.base_identity "
        "select identifier_type, identifier_hash, person_id from identity_mapping.identity_map"
    )
    connection.execute(
        "insert into operations.base_persons select person_id, hash(persons) from identity_mapping.persons as persons"
    )
    for staging, key in sorted(lookups(manifest)):
        connection.execute(
            f"insert into operations.base_lookups select '{staging}', {key}, hash(looked_up) "
            f"from staging.{staging} as looked_up"
        )
    connection.execute(f"insert into operations.base_removals {_REMOVALS}")
    keep_contents(connection, manifest)
    small_tables.remember(connection, manifest)
    connection.execute(
        "insert into operations.build_base values (?, ?, ?, ?)",
        [day, layer_state.definitions_fingerprint(settings), day, full_on],
    )
    connection.commit()


def note_update(connection: duckdb.DuckDBPyConnection, day: date) -> None:
    """Say that an update has brought operations.affected_persons to a day: the next build looks at them all."""
    connection.execute(TABLES)
    connection.execute("insert into operations.updated_persons select person_id from operations.affected_persons")
    connection.execute("update operations.build_base set reached = greatest(reached, ?)", [day])


_REMOVALS = (
    "select source, table_name, sum(rows_removed) from operations.landing_log where status = 'landed' "
    "group by source, table_name"
)


def _missing_tables(connection: duckdb.DuckDBPyConnection, manifest: dict) -> list[str]:
    return sorted(
        f"{layer}.{node['name']}"
        for layer in LAYERS
        for node in models_of(manifest, layer).values()
        if is_person_table(node) and not exists(connection, layer, node["name"])
    )


def _sources_with_removed_rows(connection: duckdb.DuckDBPyConnection, manifest: dict) -> list[str]:
    """Tables behind large facts of which rows were taken away since the base: which facts they were is not known."""
    behind = {
        tuple(staging.removeprefix("stg_").split("__", 1))
        for node in models_of(manifest, "intermediate").values()
        for staging in (replaced_of(node) or {}).get("facts", {})
    }
    rows = connection.execute(
        f"""
        select now.source, now.table_name
        from ({_REMOVALS}) as now(source, table_name, rows_removed)
        left join operations.base_removals as base using (source, table_name)
        where now.rows_removed > coalesce(base.rows_removed, 0)
        order by all
        """
    ).fetchall()
    return [f"{source}.{table}" for source, table in rows if (source, table) in behind]
