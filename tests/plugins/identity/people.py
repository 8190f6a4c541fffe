"""A few people as identity mapping would leave them in a warehouse: for the tests of what reads its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
from tagloom.identity.components import connected_components
from tagloom.identity.identifiers import Identifier, identifier_hash
from tagloom.operations import create_operations_tables

KEY = b"a-key-that-only-the-tests-use-0123456789"
"""The identity key of tests/conftest.py."""

STRENGTHS = {"loyalty_card": 5, "web_account": 5, "email": 3, "phone": 2, "device_mac": 1}

_TABLES = """
create schema identity_mapping;
create schema seeds;
create table seeds.identity_policy (
    identifier_type varchar, title varchar, strength integer, makes_person boolean, per_person integer,
    counted_owner varchar, max_owners integer, policy_version varchar
);
create table identity_mapping.identity_registry (
    identifier_key bigint, identifier_type varchar, identifier_hash varchar
);
create table identity_mapping.identity_identifiers (
    identifier_key bigint, identifier_type varchar, identifier_hash varchar, first_seen_at timestamp,
    last_seen_at timestamp, records bigint, owners integer, rejected_because varchar
);
create table identity_mapping.identity_observations (
    source varchar, record_hash varchar, identifier_type varchar, identifier_hash varchar
);
create table identity_mapping.identity_edges (
    left_key bigint, right_key bigint, kind varchar, sources integer, observations bigint, first_seen_at timestamp,
    last_seen_at timestamp, valid_to timestamp, strength integer, probability double, rejected_because varchar
);
create table identity_mapping.identity_rejected_edges (
    left_key bigint, right_key bigint, kind varchar, rejected_because varchar
);
create table identity_mapping.identity_components (identifier_key bigint, component_key bigint);
create table identity_mapping.identity_map (
    identifier_key bigint, identifier_type varchar, identifier_hash varchar, person_id bigint
);
create table identity_mapping.person_registry (person_id bigint, anchor_key bigint);
create table identity_mapping.person_redirects (person_id bigint, survivor_id bigint);
create table identity_mapping.identity_changes (
    run_number bigint, as_of_date date, kind varchar, person_id bigint, other_person_id bigint, identifiers integer,
    left_key bigint, right_key bigint, because varchar
);
create table identity_mapping.identity_suspects (
    identifier_key bigint, identifier_type varchar, identifier_hash varchar, persons integer, records bigint,
    proposal varchar, because varchar, urgency integer, left_key bigint, right_key bigint
);
"""

SEEN = (datetime(2017, 1, 2), datetime(2017, 6, 30))


@dataclass(frozen=True)
class Edge:
    """An edge of the tables to make."""

    left: int
    right: int
    rejected_because: str | None = None
    kind: str = "exact"
    sources: tuple[str, ...] = ("crm",)
    by_solver: bool = False
    """Refused by the solver only, so that identity_edges holds it as accepted."""


def identifier(key: int, kind: str) -> Identifier:
    """The identifier with this number; its value is its number."""
    return Identifier(key, kind, identifier_hash(kind, value_of(key, kind), KEY))


def value_of(key: int, kind: str) -> str:
    """What the identifier is in the clear."""
    return {"phone": f"+1612555{key:04}", "email": f"{key}@example.com"}.get(kind, str(key))


def make_people(
    connection: duckdb.DuckDBPyConnection,
    kinds: Mapping[int, str],
    edges: Sequence[Edge],
    verdicts: Mapping[int, str] | None = None,
) -> dict[int, int]:
    """Make the tables of identity mapping and return identifier_key -> person_id, which is ten times the component.

    kinds: identifier_key -> identifier type. verdicts: identifier_key -> why it identifies nobody.
    """
    verdicts = verdicts or {}
    connection.execute(_TABLES)
    create_operations_tables(connection)
    for kind, strength in STRENGTHS.items():
        connection.execute(
            "insert into seeds.identity_policy values (?, ?, ?, ?, ?, 'loyalty_card', 1, 'now')",
            [kind, kind.replace("_", " ").capitalize(), strength, kind != "device_mac", 1 if strength == 5 else None],
        )
    found = {key: identifier(key, kind) for key, kind in kinds.items()}
    accepted = [edge for edge in edges if edge.rejected_because is None]
    nodes = np.array(sorted(kinds), dtype=np.int64)
    component = connected_components(
        nodes,
        np.array([edge.left for edge in accepted], dtype=np.int64),
        np.array([edge.right for edge in accepted], dtype=np.int64),
    )
    component_of = dict(zip(nodes.tolist(), component.tolist(), strict=True))
    persons = {key: 10 * component_of[key] for key in kinds if key not in verdicts}
    for key, one in found.items():
        row = [key, one.type, one.hash]
        connection.execute("insert into identity_mapping.identity_registry values (?, ?, ?)", row)
        connection.execute(
            "insert into identity_mapping.identity_identifiers values (?, ?, ?, ?, ?, 3, ?, ?)",
            [*row, *SEEN, 4 if key in verdicts else 1, verdicts.get(key)],
        )
        connection.execute("insert into identity_mapping.identity_components values (?, ?)", [key, component_of[key]])
        if key in persons:
            connection.execute("insert into identity_mapping.identity_map values (?, ?, ?, ?)", [*row, persons[key]])
    for number, edge in enumerate(edges):
        strength = 9 if edge.kind == "manual" else min(STRENGTHS[kinds[edge.left]], STRENGTHS[kinds[edge.right]])
        pair = [edge.left, edge.right, edge.kind]
        verdict = None if edge.by_solver else edge.rejected_because
        connection.execute(
            "insert into identity_mapping.identity_edges values (?, ?, ?, ?, 2, ?, ?, null, ?, null, ?)",
            [*pair, len(edge.sources), *SEEN, strength, verdict],
        )
        if edge.rejected_because:
            connection.execute(
                "insert into identity_mapping.identity_rejected_edges values (?, ?, ?, ?)",
                [*pair, edge.rejected_because],
            )
        for source in edge.sources if edge.kind == "exact" else ():
            for end in (edge.left, edge.right):
                connection.execute(
                    "insert into identity_mapping.identity_observations values (?, ?, ?, ?)",
                    [source, f"{source}{number}", found[end].type, found[end].hash],
                )
    for person in set(persons.values()):
        anchor = min((key for key in persons if persons[key] == person), key=lambda key: (-STRENGTHS[kinds[key]], key))
        connection.execute("insert into identity_mapping.person_registry values (?, ?)", [person, anchor])
    return persons
