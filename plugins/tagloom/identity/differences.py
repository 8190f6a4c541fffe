"""How persons, tags, audiences and metrics differ between what was put aside and what was built anew in a copy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tagloom.identity.identifiers import masked
from tagloom.transform import LAYERS

if TYPE_CHECKING:
    import duckdb

IDENTITY = LAYERS[1]


@dataclass(frozen=True)
class Persons:
    """How the persons differ."""

    before: int
    after: int
    merged: int
    """Persons of before that are one with others after."""
    merged_into: int
    """Persons that they became."""
    split: int
    """Persons of before whose identifiers are of several persons after."""
    split_into: int
    gone: int
    """Persons of before none of whose identifiers is anybody's after."""
    new: int
    """Persons after none of whose identifiers was anybody's."""
    moved_identifiers: int
    """Identifiers that are of another person, of somebody or of nobody after."""


@dataclass(frozen=True)
class Change:
    """How a number differs."""

    name: str
    before: float | None
    after: float | None
    entered: int = 0
    """Of an audience: members that were none before."""
    left: int = 0


@dataclass(frozen=True)
class Simulation:
    """What another policy or decisions would change."""

    as_of_date: date
    policy_before: str
    policy_after: str
    persons: Persons
    examples: tuple[tuple[str, str, str], ...]
    """What happens, with which identifiers, why."""
    tags: tuple[tuple[str, int], ...] | None
    """Tag and persons whose value differs, most first; None when tags were not compared."""
    audiences: tuple[Change, ...] | None
    metrics: tuple[Change, ...]
    """Those that differ."""


def keep_before(connection: duckdb.DuckDBPyConnection, only_identity: bool) -> None:
    """Put aside, in the schema `before`, what is compared after the copy is built anew."""
    connection.execute("drop schema if exists before cascade")
    connection.execute("create schema before")
    tables = [(IDENTITY, "identity_map"), (IDENTITY, "identity_metrics"), ("seeds", "identity_policy")]
    if not only_identity:
        tables += [("tag_integration", "person_tags"), *(("serving", name) for name in _audiences(connection))]
    for schema, name in tables:
        connection.execute(f'create table before."{name}" as from {schema}."{name}"')
    connection.execute(
        "create table before.last_run as "
        f"select coalesce(max(run_number), 0) as run_number from {IDENTITY}.identity_changes"
    )


def _audiences(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute(
        "select table_name from duckdb_tables() where schema_name = 'serving' "
        "and starts_with(table_name, 'audience_') order by table_name"
    ).fetchall()
    return [name for (name,) in rows]


def compare(connection: duckdb.DuckDBPyConnection, day: date, only_identity: bool) -> Simulation:
    """How the copy differs from what `keep_before` put aside; `day` is the one that it is built for."""
    versions = [
        connection.execute(f"select max(policy_version) from {schema}.identity_policy").fetchall()[0][0]
        for schema in ("before", "seeds")
    ]
    return Simulation(
        day,
        *versions,
        persons=compare_persons(connection),
        examples=_examples(connection),
        tags=None if only_identity else compare_tags(connection),
        audiences=None
        if only_identity
        else tuple(_compare_audience(connection, name) for name in _audiences(connection)),
        metrics=_compare_metrics(connection, day),
    )


def compare_persons(connection: duckdb.DuckDBPyConnection) -> Persons:
    """Compare before.identity_map with identity_mapping.identity_map, by their identifiers."""
    row = connection.execute(
        f"""
        with pairs as (
            select before.person_id as old, mapped.person_id as new, count(*) as identifiers
            from before.identity_map as before
            full join {IDENTITY}.identity_map as mapped using (identifier_key)
            group by all
        ),
        olds as (
            select old, count(new) as parts from pairs where old is not null group by old
        ),
        news as (
            select new, count(old) as parts from pairs where new is not null group by new
        )
        select
            (select count(*) from olds),
            (select count(*) from news),
            (select count(distinct old) from pairs where new in (select new from news where parts > 1)),
            (select count(*) from news where parts > 1),
            (select count(*) from olds where parts > 1),
            (select count(distinct new) from pairs where old in (select old from olds where parts > 1)),
            (select count(*) from olds where parts = 0),
            (select count(*) from news where parts = 0),
            (select coalesce(sum(identifiers), 0)::bigint from pairs where old is distinct from new)
        """
    ).fetchall()[0]
    return Persons(*row)


def compare_tags(connection: duckdb.DuckDBPyConnection) -> tuple[tuple[str, int], ...]:
    """Tags whose values differ for persons that are in before.person_tags and in tag_integration.person_tags."""
    columns = [
        name
        for (name,) in connection.execute(
            """
            select column_name from duckdb_columns()
            where schema_name in ('before', 'tag_integration') and table_name = 'person_tags'
                and column_name <> 'person_id'
            group by column_name having count(*) = 2 order by column_name
            """
        ).fetchall()
    ]
    counts = ", ".join(f'count_if(one."{name}" is distinct from other."{name}")' for name in columns)
    row = connection.execute(
        f"select {counts} from before.person_tags as one inner join tag_integration.person_tags as other "
        "using (person_id)"
    ).fetchall()[0]
    changed = [(name, number) for name, number in zip(columns, row, strict=True) if number]
    return tuple(sorted(changed, key=lambda one: (-one[1], one[0])))


def _compare_audience(connection: duckdb.DuckDBPyConnection, name: str) -> Change:
    [(key,)] = connection.execute(
        "select first(column_name order by column_index) from duckdb_columns() "
        "where schema_name = 'serving' and table_name = ?",
        [name],
    ).fetchall()
    row = connection.execute(
        f"""
        select count(one."{key}"), count(other."{key}"), count_if(one."{key}" is null), count_if(other."{key}" is null)
        from before."{name}" as one full join serving."{name}" as other on one."{key}" = other."{key}"
        """
    ).fetchall()[0]
    return Change(name.removeprefix("audience_"), *row)


def _compare_metrics(connection: duckdb.DuckDBPyConnection, day: date) -> tuple[Change, ...]:
    rows = connection.execute(
        f"""
        select metric, one.value, other.value
        from (from before.identity_metrics where as_of_date = $day) as one
        full join (from {IDENTITY}.identity_metrics where as_of_date = $day) as other using (metric)
        where one.value is distinct from other.value
            -- These count what happened on the day: in the copy the simulation itself happened, too.
            and not starts_with(metric, 'changes_') and metric <> 'churn'
        order by metric
        """,
        {"day": day},
    ).fetchall()
    return tuple(Change(*row) for row in rows)


def _examples(connection: duckdb.DuckDBPyConnection) -> tuple[tuple[str, str, str], ...]:
    """The largest merges and splits, as identity mapping wrote them down in the copy."""
    rows = connection.execute(
        f"""
        select kind, person_id, other_person_id, identifiers, left_key, right_key, because
        from {IDENTITY}.identity_changes
        where run_number > (select run_number from before.last_run) and kind in ('merge', 'split', 'reassign')
        qualify row_number() over (partition by kind order by identifiers desc, person_id, other_person_id) <= 5
        order by kind, identifiers desc, person_id, other_person_id
        """
    ).fetchall()
    names = {
        key: f"{identifier_type} key:{key} ({masked(hashed)})"
        for key, identifier_type, hashed in connection.execute(
            f"select identifier_key, identifier_type, identifier_hash from {IDENTITY}.identity_registry "
            "where list_contains($keys, identifier_key)",
            {"keys": [key for row in rows for key in row[4:6] if key is not None]},
        ).fetchall()
    }
    return tuple(
        (
            f"{kind} person {person}"
            + (f" and {other}" if other is not None else "")
            + f", {identifiers:,} identifiers",
            " - ".join(names[key] for key in (left, right) if key in names),
            because or "",
        )
        for kind, person, other, identifiers, left, right, because in rows
    )
