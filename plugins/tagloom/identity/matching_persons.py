"""The golden records of persons that matching compares, in memory only: they are clear text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tagloom.identity.components import connected_components
from tagloom.identity.matching_model import KEY, MatchingError, block_columns, columns
from tagloom.identity.matching_settings import Matching
from tagloom.identity.policy import Policy

if TYPE_CHECKING:
    import duckdb

MEMORY = "matching_memory"
"""Name of the attached database that holds clear text; it is in memory and goes with the connection."""

PERSONS, RECORDS = "matching_persons", "matching_records"
"""Tables in it. Splink looks for the columns of its tables by name alone, in every schema of every database."""


@contextmanager
def in_memory(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Make new tables go to a database in memory, and yield the quoted name of the one on disk."""
    (name,) = connection.execute("select current_database()").fetchall()[0]
    warehouse = '"' + name.replace('"', '""') + '"'
    connection.execute(f"attach if not exists ':memory:' as {MEMORY}; use {MEMORY}")
    try:
        yield warehouse
    finally:
        connection.execute(f"use {warehouse}; detach {MEMORY}")


def collect_persons(
    connection: duckdb.DuckDBPyConnection, warehouse: str, policy: Policy, *, with_records: bool = False
) -> None:
    """Make the tables of clear text: PERSONS, one row per person, and RECORDS to learn from.

    PERSONS: KEY (the anchor: the strongest, then oldest identifier), the model's columns and blocks, record_hash.
    members: identifier_key, identifier_type, person_key (all identifiers of the persons).
    """
    _make_members(connection, warehouse, policy)
    _make_records(connection, warehouse, policy.matching)
    ranks = [
        (attribute, source, rank)
        for attribute, sources in policy.survivorship.items()
        for rank, source in enumerate(sources)
    ]
    register(connection, "trust", pd.DataFrame(ranks, columns=["attribute", "source", "rank"]))
    names = list(columns(policy.matching))
    last = len(ranks)
    chosen = [
        f"""
        arg_min({name}, struct_pack(
            trust := coalesce(trust_of['{name.partition("__")[0]}' || ':' || source], {last}),
            newest := -coalesce(epoch_us(recorded_at), 0), hash := identifier_hash, row := record_key
        )) filter (where {name} is not null) as {name}
        """
        for name in names
    ]
    listed = " || '|' || ".join(f"coalesce({name}, '')" for name in names)
    # Of a street, its words and numbers come from the same record as the street: all three have the same order.
    connection.execute(
        f"""
        create or replace table {PERSONS} as
        with trust_map as (
            select coalesce(map(list(attribute || ':' || source), list(rank)), map()) as trust_of from trust
        ),
        counted as (
            select *, count(*) over (partition by person_key) as records from records_of_persons
        ),
        golden as (
            select person_key as {KEY}, {", ".join(names)} from counted where records = 1
            union all
            select person_key as {KEY}, {", ".join(chosen)}
            from counted, trust_map
            where records > 1
            group by person_key
        )
        select
            *,
            sha256(
                getvariable('identity_key_outer')
                || unhex(sha256(getvariable('identity_key_inner') || encode('golden:' || {listed})))
            ) as record_hash,
            {", ".join(f"{expression} as {name}" for name, expression in block_columns(policy.matching).items())}
        from golden
        where {" or ".join(f"{name} is not null" for name in names)}
        order by {KEY}
        """
    )
    if with_records:
        listed = ", ".join(names)
        connection.execute(
            f"create or replace table {RECORDS} as select record_key as {KEY}, {listed} from records_of_persons"
        )


def _make_members(connection: duckdb.DuckDBPyConnection, warehouse: str, policy: Policy) -> None:
    """Identifiers with the person that they make without probabilistic links."""
    types = pd.DataFrame(
        [(name, rules.strength, rules.makes_person) for name, rules in policy.identifier_types.items()],
        columns=["identifier_type", "strength", "makes_person"],
    )
    register(connection, "types", types)
    connection.execute(
        f"""
        create or replace table units as
        select identity_map.identifier_key, identity_map.identifier_type, identity_map.identifier_hash,
            components.component_key as unit_key
        from {warehouse}.identity_mapping.identity_map as identity_map
        inner join {warehouse}.identity_mapping.identity_components as components using (identifier_key);

        create or replace table matched_units as
        select units.identifier_key, units.unit_key
        from units
        where unit_key in (
            select one.component_key
            from {warehouse}.identity_mapping.identity_edges as edges
            inner join {warehouse}.identity_mapping.identity_components as one on edges.left_key = one.identifier_key
            where edges.kind = 'probabilistic' and edges.rejected_because is null
        )
        """
    )
    nodes = connection.execute("select identifier_key from matched_units order by 1").fetchnumpy()["identifier_key"]
    edges = connection.execute(
        f"""
        select edges.left_key, edges.right_key
        from {warehouse}.identity_mapping.identity_edges as edges
        inner join matched_units as one on edges.left_key = one.identifier_key
        inner join matched_units as other
            on edges.right_key = other.identifier_key and one.unit_key = other.unit_key
        where edges.kind <> 'probabilistic' and edges.rejected_because is null
        """
    ).fetchnumpy()
    if len(nodes):
        nodes = np.asarray(nodes, dtype=np.int64)
        ends = (np.asarray(edges[end], dtype=np.int64) for end in ("left_key", "right_key"))
        parted = pd.DataFrame({"identifier_key": nodes, "unit_key": connected_components(nodes, *ends)})
        register(connection, "parted_units", parted)
        connection.execute(
            "update units set unit_key = parted_units.unit_key from parted_units "
            "where units.identifier_key = parted_units.identifier_key"
        )
    connection.execute(
        """
        create or replace table members as
        select
            units.identifier_key, units.identifier_type, units.identifier_hash,
            arg_min(units.identifier_key, struct_pack(weakness := -types.strength, key := units.identifier_key))
                over (partition by units.unit_key) as person_key
        from units
        inner join types using (identifier_type)
        """
    )


def _make_records(connection: duckdb.DuckDBPyConnection, warehouse: str, matching: Matching) -> None:
    known = {
        name
        for (name,) in connection.execute(
            f"select column_name from (describe {warehouse}.identity_mapping.identity_records)"
        ).fetchall()
    }
    missing = [name for name in matching.attributes if name not in known]
    if missing:
        raise MatchingError(
            f"identity/policy.yml: matching names {', '.join(missing)}, which records do not have; they have "
            f"{', '.join(sorted(known - {'source', 'identifier_type', 'identifier_hash', 'recorded_at'}))}."
        )
    expressions = ", ".join(f"{expression} as {name}" for name, expression in columns(matching).items())
    # By content, so that the same records have the same numbers, by which Splink samples.
    ordered = ["members.identifier_key", "source", "recorded_at", *(f"records.{name}" for name in columns(matching))]
    connection.execute(
        f"""
        create or replace table records_of_persons as
        with records as (
            select
                source, identifier_type, identifier_hash, recorded_at, {expressions}
            from (
                select source, identifier_type, identifier_hash, recorded_at, {", ".join(matching.attributes)}
                from {warehouse}.identity_mapping.identity_records
            )
        )
        select
            row_number() over (order by {", ".join(ordered)}) as record_key,
            members.person_key, members.identifier_hash, records.* exclude (identifier_type, identifier_hash)
        from records
        inner join members using (identifier_type, identifier_hash)
        """
    )


def register(connection: duckdb.DuckDBPyConnection, name: str, frame: pd.DataFrame) -> None:
    """Make a table in memory from a frame."""
    connection.register("matching_frame", frame)
    try:
        connection.execute(f"create or replace table {name} as select * from matching_frame")
    finally:
        connection.unregister("matching_frame")
