"""Identifiers that join more people than they should, worst first, each with the command that would cure it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tagloom.identity.identifiers import Identifier

if TYPE_CHECKING:
    import duckdb

BLOCK, LOWER = "block the value", "lower at_most"
"""Proposals of the model identity_suspects; the third is never-link."""

ALONE = 2
"""Urgency of an identifier that holds a large person together, as far as two links show."""


@dataclass(frozen=True)
class Suspect:
    """A row of identity_suspects with what to do."""

    identifier: Identifier
    persons: int
    """Persons that it would join, or parts of a person that nothing else joins."""
    records: int
    because: str
    command: str
    """What a steward would type, or change in the policy."""


def suspects(connection: duckdb.DuckDBPyConnection, limit: int) -> tuple[list[Suspect], int]:
    """The worst `limit` suspects, and how many there are at most.

    The model looks two links far; here an identifier that is said to hold a person together is taken out to see what
    the person falls into, and is no suspect when that is nothing.
    """
    rows = connection.execute(
        """
        select identifier_key, identifier_type, identifier_hash, persons, records, because, proposal, urgency,
            left_key, right_key
        from identity_mapping.identity_suspects
        order by urgency, persons desc, records desc, identifier_key
        """
    ).fetchall()
    found = []
    cleared = 0
    for *identifier, persons, records, because, proposal, urgency, left, right in rows:
        if len(found) == limit:
            break
        one = Identifier(*identifier)
        if urgency == ALONE:
            parts = parts_without(connection, one.key)
            if len(parts) < 2:
                cleared += 1
                continue
            persons = len(parts)
            sizes = ", ".join(str(len(part)) for part in parts)
            because = f"{because.split(' that ')[0]} without which a large person falls into {sizes} identifiers"
            left, right = (_strongest(connection, part) for part in parts[:2])
        found.append(Suspect(one, persons, records, because, _command(one, proposal, left, right)))
    return found, len(rows) - cleared


def parts_without(connection: duckdb.DuckDBPyConnection, key: int) -> list[list[int]]:
    """What the identifier's component falls into when it is taken out: identifier_keys of each part, the largest first.

    Exact: it walks all accepted edges of the component.
    """
    edges = connection.execute(
        """
        with members as (
            select identifier_key from identity_mapping.identity_components
            where component_key = (
                select component_key from identity_mapping.identity_components where identifier_key = $key
            )
        )
        select edges.left_key, edges.right_key
        from identity_mapping.identity_edges as edges
        semi join members on edges.left_key = members.identifier_key
        anti join identity_mapping.identity_rejected_edges as rejected
            on edges.left_key = rejected.left_key and edges.right_key = rejected.right_key
        where edges.right_key in (select identifier_key from members)
        """,
        {"key": key},
    ).fetchall()
    neighbours: dict[int, set[int]] = defaultdict(set)
    for left, right in edges:
        neighbours[left].add(right)
        neighbours[right].add(left)
    rest = set(neighbours) - {key}
    parts = []
    while rest:
        waiting = [rest.pop()]
        part = list(waiting)
        while waiting:
            new = neighbours[waiting.pop()] & rest
            rest -= new
            part.extend(new)
            waiting.extend(new)
        parts.append(sorted(part))
    return sorted(parts, key=lambda part: (-len(part), part))


def _command(identifier: Identifier, proposal: str, left: int | None, right: int | None) -> str:
    if proposal == BLOCK:
        return f"identity block key:{identifier.key}"
    if proposal == LOWER:
        return f"policy.yml: lower identifier_types.{identifier.type}.owners.at_most"
    return f"identity never-link key:{left} key:{right}"


def _strongest(connection: duckdb.DuckDBPyConnection, keys: list[int]) -> int:
    return connection.execute(
        """
        select identifier_key
        from identity_mapping.identity_registry
        inner join seeds.identity_policy using (identifier_type)
        where list_contains($keys, identifier_key)
        order by strength desc, identifier_key limit 1
        """,
        {"keys": keys},
    ).fetchall()[0][0]
