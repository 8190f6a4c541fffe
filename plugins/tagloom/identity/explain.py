"""Why two identifiers are one person's, or why not; and what holds a person together.

Reads identity_edges, identity_rejected_edges and identity_components as they are built. Nothing in the clear comes out.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from tagloom.identity.identifiers import Identifier
from tagloom.identity.reasons import Reasons

if TYPE_CHECKING:
    import duckdb

FARTHEST = 6
"""Refused edges on a path that is still an explanation; people farther apart have nothing to do with each other."""


@dataclass(frozen=True)
class Step:
    """An edge on the way from one identifier to another."""

    left: Identifier
    """Where the way comes from."""
    right: Identifier
    kind: str
    """exact, manual, probabilistic"""
    strength: int
    observations: int
    """Records that show both."""
    sources: tuple[str, ...]
    """Systems of these records."""
    first_seen_at: datetime | None
    last_seen_at: datetime | None
    rejected_because: str | None
    """None: the edge is used."""
    why: str
    """One sentence: what the edge rests on, or why it is refused."""


@dataclass(frozen=True)
class Explanation:
    """The way between two identifiers."""

    left: Identifier
    right: Identifier
    left_person: int | None
    """None: the identifier is of nobody."""
    right_person: int | None
    joined: bool
    """Whether both are in one component."""
    steps: tuple[Step, ...]
    """If joined, the shortest way over accepted edges, of those the one whose weakest edge is strongest; if not, the
    way with the fewest refused edges; empty when there is none."""


@dataclass(frozen=True)
class Member:
    """An identifier of a person and the edge that holds it."""

    identifier: Identifier
    first_seen_at: datetime | None
    last_seen_at: datetime | None
    records: int
    by: Step | None
    """The edge that leads on to the anchor, along the strongest edges; None for the anchor."""


@dataclass(frozen=True)
class Portrait:
    """What a person consists of."""

    person: int
    anchor: Identifier | None
    """Identifier whose component keeps the number; None when the person is retired."""
    survivor: int | None
    """Person that a retired one was merged into."""
    members: tuple[Member, ...]
    """From the anchor outwards; empty when the person is retired."""
    changes: tuple[tuple[date, str, str], ...]
    """Day, kind and because of what happened to the person, the newest first."""


@dataclass(frozen=True)
class _Edge:
    left: int
    right: int
    strength: int
    refused: bool


def explain(connection: duckdb.DuckDBPyConnection, left: Identifier, right: Identifier) -> Explanation:
    """How two identifiers come together, or what keeps them apart."""
    component_of = dict(
        connection.execute(
            "select identifier_key, component_key from identity_mapping.identity_components "
            "where identifier_key in ($left, $right)",
            {"left": left.key, "right": right.key},
        ).fetchall()
    )
    start, end = component_of.get(left.key), component_of.get(right.key)
    joined = start is not None and start == end
    components = {start} if joined else _components_between(connection, start, end)
    path = _best_path(_edges(connection, components), left.key, right.key) if components else []
    persons = _persons(connection, [left.key, right.key])
    return Explanation(
        left, right, persons.get(left.key), persons.get(right.key), joined, tuple(_steps(connection, path))
    )


def portrait(connection: duckdb.DuckDBPyConnection, person: int) -> Portrait:
    """What a person consists of and what has happened to it."""
    changes = tuple(
        connection.execute(
            """
            select as_of_date, kind, because
            from identity_mapping.identity_changes
            where $person in (person_id, other_person_id)
            order by run_number desc, kind, because
            """,
            {"person": person},
        ).fetchall()
    )
    members = connection.execute(
        """
        select identity_map.identifier_key, identity_map.identifier_type, identity_map.identifier_hash,
            identifiers.first_seen_at, identifiers.last_seen_at, identifiers.records
        from identity_mapping.identity_map
        inner join identity_mapping.identity_identifiers as identifiers using (identifier_key)
        where person_id = $person
        order by identifier_key
        """,
        {"person": person},
    ).fetchall()
    if not members:
        survivor = connection.execute(
            "select survivor_id from identity_mapping.person_redirects where person_id = ?", [person]
        ).fetchall()
        return Portrait(person, None, survivor[0][0] if survivor else None, (), changes)
    [(anchor_key,)] = connection.execute(
        "select anchor_key from identity_mapping.person_registry where person_id = ?", [person]
    ).fetchall()
    sightings = {key: (Identifier(key, kind, hashed), *seen) for key, kind, hashed, *seen in members}
    if anchor_key not in sightings:
        anchor_key = min(sightings)
    [(component,)] = connection.execute(
        "select component_key from identity_mapping.identity_components where identifier_key = ?", [anchor_key]
    ).fetchall()
    order = _outwards(_edges(connection, {component}), anchor_key)
    held_by = {key: towards for key, towards in order if towards is not None}
    steps = {step.right.key: step for step in _steps(connection, [(towards, key) for key, towards in held_by.items()])}
    return Portrait(
        person,
        sightings[anchor_key][0],
        None,
        tuple(Member(*sightings[key], steps.get(key)) for key, _ in order if key in sightings),
        changes,
    )


def _components_between(connection: duckdb.DuckDBPyConnection, start: int | None, end: int | None) -> set[int]:
    """Components on the ways from one to the other with the fewest refused edges; empty when they are too far apart."""
    if start is None or end is None:
        return set()
    connection.execute(
        """
        create or replace temp table refused_between as
        select distinct one.component_key as here, other.component_key as there
        from identity_mapping.identity_rejected_edges as edges
        inner join identity_mapping.identity_components as one on edges.left_key = one.identifier_key
        inner join identity_mapping.identity_components as other on edges.right_key = other.identifier_key
        where one.component_key <> other.component_key
        """
    )
    distances = []
    for origin, target in ((start, end), (end, start)):
        reached = {origin: 0}
        frontier = [origin]
        for distance in range(1, FARTHEST + 1):
            if not frontier or target in reached:
                break
            found = connection.execute(
                """
                select there from refused_between where list_contains($frontier, here)
                union select here from refused_between where list_contains($frontier, there)
                """,
                {"frontier": frontier},
            ).fetchall()
            frontier = [component for (component,) in found if component not in reached]
            reached |= dict.fromkeys(frontier, distance)
        distances.append(reached)
    connection.execute("drop table refused_between")
    from_start, from_end = distances
    if end not in from_start:
        return set()
    shortest = from_start[end]
    return {
        component
        for component, distance in from_start.items()
        if distance + from_end.get(component, shortest + 1) == shortest
    }


def _edges(connection: duckdb.DuckDBPyConnection, components: Iterable[int]) -> list[_Edge]:
    """All edges between identifiers of these components; refused are those that the solver left out, too."""
    rows = connection.execute(
        """
        with members as (
            select identifier_key from identity_mapping.identity_components
            where list_contains($components, component_key)
        )
        select edges.left_key, edges.right_key, edges.strength, rejected.left_key is not null
        from identity_mapping.identity_edges as edges
        semi join members on edges.left_key = members.identifier_key
        left join identity_mapping.identity_rejected_edges as rejected
            on edges.left_key = rejected.left_key and edges.right_key = rejected.right_key
        where edges.right_key in (select identifier_key from members)
        """,
        {"components": sorted(components)},
    ).fetchall()
    return [_Edge(*row) for row in rows]


def _best_path(edges: list[_Edge], start: int, end: int) -> list[tuple[int, int]]:
    """Fewest refused edges, then fewest edges, then the one whose weakest edge is strongest, then the smallest keys."""
    neighbours: dict[int, list[tuple[int, _Edge]]] = defaultdict(list)
    for edge in edges:
        neighbours[edge.left].append((edge.right, edge))
        neighbours[edge.right].append((edge.left, edge))
    waiting: list[tuple[int, int, int, int, int]] = [(0, 0, -99, start, start)]
    came_from: dict[int, int] = {}
    while waiting:
        refused, length, weakest, here, before = heapq.heappop(waiting)
        if here in came_from:
            continue
        came_from[here] = before
        if here == end:
            break
        for there, edge in neighbours[here]:
            if there not in came_from:
                heapq.heappush(waiting, (refused + edge.refused, length + 1, max(weakest, -edge.strength), there, here))
    if end not in came_from:
        return []
    path = []
    here = end
    while here != start:
        path.append((came_from[here], here))
        here = came_from[here]
    return path[::-1]


def _outwards(edges: list[_Edge], anchor: int) -> list[tuple[int, int | None]]:
    """Identifiers from the anchor outwards over the strongest edges that hold all together, with where each hangs."""
    parent: dict[int, int] = {}

    def top(key: int) -> int:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    tree: dict[int, list[int]] = defaultdict(list)
    for edge in sorted((edge for edge in edges if not edge.refused), key=lambda e: (-e.strength, e.left, e.right)):
        left, right = top(edge.left), top(edge.right)
        if left != right:
            parent[left] = right
            tree[edge.left].append(edge.right)
            tree[edge.right].append(edge.left)
    order: list[tuple[int, int | None]] = [(anchor, None)]
    waiting = deque(order)
    while waiting:
        here, before = waiting.popleft()
        for there in sorted(tree[here]):
            if there != before:
                order.append((there, here))
                waiting.append((there, here))
    return order


def _persons(connection: duckdb.DuckDBPyConnection, keys: list[int]) -> dict[int, int]:
    return dict(
        connection.execute(
            "select identifier_key, person_id from identity_mapping.identity_map "
            "where list_contains($keys, identifier_key)",
            {"keys": keys},
        ).fetchall()
    )


def _steps(connection: duckdb.DuckDBPyConnection, path: list[tuple[int, int]]) -> list[Step]:
    """The edges of a path, each walked from its first key to its second, with all that is known of them."""
    if not path:
        return []
    identifiers = _identifiers(connection, {key for pair in path for key in pair})
    pairs = [tuple(sorted(pair)) for pair in path]
    facts = _facts(connection, pairs)
    reasons = Reasons(connection)
    steps = []
    for (here, there), pair in zip(path, pairs, strict=True):
        fact = facts[pair]
        left, right = identifiers[here], identifiers[there]
        steps.append(
            Step(
                *(left, right, fact["kind"], fact["strength"], fact["observations"], tuple(fact["source_names"])),
                *(fact["first_seen_at"], fact["last_seen_at"], fact["rejected_because"]),
                reasons.of(left, right, fact),
            )
        )
    return steps


def _identifiers(connection: duckdb.DuckDBPyConnection, keys: set[int]) -> dict[int, Identifier]:
    rows = connection.execute(
        "select identifier_key, identifier_type, identifier_hash from identity_mapping.identity_registry "
        "where list_contains($keys, identifier_key)",
        {"keys": sorted(keys)},
    ).fetchall()
    return {row[0]: Identifier(*row) for row in rows}


def _facts(connection: duckdb.DuckDBPyConnection, pairs: list[tuple[int, ...]]) -> dict[tuple[int, ...], dict]:
    parameters = {"left": [left for left, _ in pairs], "right": [right for _, right in pairs]}
    cursor = connection.execute(
        """
        with pairs as (
            select distinct unnest($left::bigint[]) as left_key, unnest($right::bigint[]) as right_key
        ),
        ends as (
            select left_key as identifier_key from pairs union select right_key from pairs
        ),
        sightings as (
            select identifier_key, source, record_hash
            from identity_mapping.identity_observations
            inner join identity_mapping.identity_registry using (identifier_type, identifier_hash)
            semi join ends using (identifier_key)
        ),
        named as (
            select pairs.left_key, pairs.right_key, list_sort(list(distinct one.source)) as source_names
            from pairs
            inner join sightings as one on pairs.left_key = one.identifier_key
            inner join sightings as other
                on pairs.right_key = other.identifier_key and one.record_hash = other.record_hash
            group by all
        )
        select edges.*, coalesce(named.source_names, []) as source_names,
            rejected.rejected_because as verdict
        from identity_mapping.identity_edges as edges
        inner join pairs using (left_key, right_key)
        left join named using (left_key, right_key)
        left join identity_mapping.identity_rejected_edges as rejected using (left_key, right_key)
        """,
        parameters,
    )
    columns = [column[0] for column in cursor.description]
    rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return {(row["left_key"], row["right_key"]): row | {"rejected_because": row["verdict"]} for row in rows}
