"""The partition of all identifiers into components, kept in a DuckDB table and brought up to date where it changed.

A raw component is what the accepted edges join; a component is what is left of it when the laws of the policy, limits
per person and never-link decisions, have cut it (`components.solve`). `update` gives what `solve_everything` gives, bit
for bit, and reads and writes no more than the components that the changes touch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagloom.identity.components import Keys, connected_components, positions, solve
from tagloom.sql_text import quoted

LEFTS_PER_BUCKET = 8
"""Edges are compared by fingerprints of as many neighbouring left keys, and one by one where those differ."""

COLUMNS = ("identifier_key", "raw_component_key", "component_key")
EDGE_COLUMNS = ("left_key", "right_key", "strength")

_STATE = """
create schema if not exists operations;
create table if not exists operations.identity_solver (laws varchar, solved_edges varchar);
"""


@dataclass(frozen=True)
class Graph:
    """What the partition follows from; each is the name of a relation or a select in parentheses."""

    identifiers: str
    """identifier_key, identifier_type: one row for every node."""
    edges: str
    """left_key, right_key, strength: the accepted edges, one row per pair."""
    limits: dict[str, int] = field(default_factory=dict)
    """Identifier type -> how many a person may have; types without a limit are missing."""
    forbidden: tuple[Keys, Keys] = field(default_factory=lambda: (_no_keys(), _no_keys()))
    """Pairs of identifiers that may never meet in one component; order and direction do not matter."""

    @property
    def kind(self) -> str:
        """SQL: number of an identifier's kind, 0 when its type has no limit."""
        cases = " ".join(
            f"when {quoted(name)} then {number}" for number, name in enumerate(sorted(self.limits), start=1)
        )
        return f"cast(case identifier_type {cases} else 0 end as utinyint)" if cases else "cast(0 as utinyint)"

    @property
    def limit_of_kind(self) -> NDArray[np.int64]:
        """Limit by the number of a kind; the first is of those without."""
        return np.array([0, *(self.limits[name] for name in sorted(self.limits))], dtype=np.int64)

    def laws_fingerprint(self) -> str:
        """Hash of the limits and the forbidden pairs."""
        pairs = np.unique(np.sort(np.stack(self.forbidden), axis=0), axis=1)
        return hashlib.sha256(repr(sorted(self.limits.items())).encode() + pairs.tobytes()).hexdigest()[:16]


@dataclass(frozen=True)
class Changes:
    """Edges and identifiers in which a graph differs from the one that was solved before.

    An edge of another strength is both removed and added.
    """

    added: tuple[Keys, Keys] = field(default_factory=lambda: (_no_keys(), _no_keys()))
    removed: tuple[Keys, Keys] = field(default_factory=lambda: (_no_keys(), _no_keys()))
    new_identifiers: Keys = field(default_factory=lambda: _no_keys())
    """Ascending."""
    gone_identifiers: Keys = field(default_factory=lambda: _no_keys())
    laws_changed: bool = False
    """Limits or forbidden pairs are not those of the last solve."""


@dataclass(frozen=True)
class Rows:
    """Rows of a partition to write, in the order of identifier_key, and rows to delete."""

    identifier_key: Keys
    raw_component_key: Keys
    component_key: Keys
    gone: Keys = field(default_factory=lambda: _no_keys())

    def as_arrow(self) -> pa.Table:
        """The rows to write, without copying them."""
        return pa.table(
            {
                "identifier_key": self.identifier_key,
                "raw_component_key": self.raw_component_key,
                "component_key": self.component_key,
            }
        )


@dataclass(frozen=True)
class Outcome:
    """What `write` takes."""

    rows: Rows
    laws: str
    """Fingerprints of the laws and the edges that the partition then is of."""
    edges: str


def solve_everything(connection: duckdb.DuckDBPyConnection, graph: Graph) -> Rows:
    """The partition of a graph from nothing."""
    nodes, kind = _fetch(
        connection, f"select identifier_key, {graph.kind} from {graph.identifiers} order by identifier_key"
    )
    left, right, strength = _fetch(
        connection, f"select left_key, right_key, cast(strength as tinyint) from {graph.edges}"
    )
    return Rows(nodes, *solve(nodes, kind, graph.limit_of_kind, left, right, strength, *graph.forbidden))


def update(connection: duckdb.DuckDBPyConnection, graph: Graph, components: str, changes: Changes) -> Rows:
    """Rows of the table `components`, the partition before the changes, that are different after them.

    Added edges join whole raw components, so those are solved as the few nodes of a contracted graph. A raw component
    is opened, and solved again with all of its edges, when an edge of it was removed, when changed laws concern it, or
    when what it has grown into breaks a law.
    """
    ends = _distinct(*changes.added, *changes.removed)
    known, known_raw = _fetch(
        connection,
        f"select identifier_key, raw_component_key from {components} semi join ends on identifier_key = ends.key "
        "order by identifier_key",
        ends=ends,
    )
    nodes = _distinct(known, changes.new_identifiers)
    raw_of_node = nodes.copy()
    raw_of_node[positions(nodes, known)] = known_raw

    opened = raw_of_node[positions(nodes, _distinct(*changes.removed))]
    if changes.laws_changed:
        opened = _distinct(opened, _concerned_by_laws(connection, graph, components))
    vertices = _distinct(raw_of_node, opened)
    grown = connected_components(
        vertices,
        raw_of_node[positions(nodes, changes.added[0])],
        raw_of_node[positions(nodes, changes.added[1])],
    )
    is_open = np.zeros(len(vertices), dtype=bool)
    is_open[positions(vertices, opened)] = True
    group = positions(vertices, grown)
    is_open = _anywhere(is_open, group)
    is_open[~is_open] = _breaks_a_law(connection, graph, components, changes, vertices[~is_open], grown[~is_open])

    joined = _joined_rows(connection, components, changes, vertices[~is_open], grown[~is_open])
    again = _rows_solved_again(connection, graph, components, changes, vertices[is_open])
    written = [np.concatenate(parts) for parts in zip(joined, again, strict=True)]
    order = np.argsort(written[0])
    return Rows(*(column[order] for column in written), gone=changes.gone_identifiers)


def changes_since(
    connection: duckdb.DuckDBPyConnection, graph: Graph, components: str, solved_edges: str
) -> Changes | None:
    """In what the graph differs from the one that `components` and `solved_edges` are of.

    None when the two tables do not belong together, or to no solve that is known: then everything is to be solved.
    """
    connection.execute(_STATE)
    state = connection.execute("select laws, solved_edges from operations.identity_solver").fetchall()
    if not (len(state) == 1 and _has(connection, components, COLUMNS) and _has(connection, solved_edges, EDGE_COLUMNS)):
        return None
    laws, edges = state[0]
    if edges != edges_fingerprint(connection, solved_edges):
        return None
    new, gone = _changed_identifiers(connection, graph, components)
    added, removed = changed_edges(connection, graph.edges, solved_edges)
    return Changes(added, removed, new, gone, laws_changed=laws != graph.laws_fingerprint())


def changed_edges(
    connection: duckdb.DuckDBPyConnection, edges: str, solved_edges: str
) -> tuple[tuple[Keys, Keys], tuple[Keys, Keys]]:
    """Ends of edges that only the first relation has, and of those that only the second has; strength counts."""
    signs = []
    for relation in (edges, solved_edges):
        bucket, sign = _fetch(
            connection,
            f"""
            select
                left_key // {LEFTS_PER_BUCKET} as bucket,
                bit_xor(hash(left_key, right_key, cast(strength as tinyint))) as sign
            from {relation}
            group by bucket
            """,
        )
        signs.append((bucket, sign))
    buckets = _distinct(signs[0][0], signs[1][0])
    now, before = np.zeros((2, len(buckets)), dtype=np.uint64)
    for signs_of_all, (bucket, sign) in zip((now, before), signs, strict=True):
        signs_of_all[np.searchsorted(buckets, bucket)] = sign
    differing = buckets[now != before]

    def only_in(one: str, other: str) -> tuple[Keys, Keys]:
        part = (
            "(select left_key, right_key, cast(strength as tinyint) as strength from {} "
            f"semi join differing on left_key // {LEFTS_PER_BUCKET} = differing.key)"
        )
        left, right = _fetch(
            connection,
            f"""
            select one.left_key, one.right_key
            from {part.format(one)} as one
            anti join {part.format(other)} as other
                on one.left_key = other.left_key and one.right_key = other.right_key and one.strength = other.strength
            """,
            differing=differing,
        )
        return left, right

    if not len(differing):
        return (_no_keys(), _no_keys()), (_no_keys(), _no_keys())
    return only_in(edges, solved_edges), only_in(solved_edges, edges)


def edges_fingerprint(connection: duckdb.DuckDBPyConnection, edges: str) -> str:
    """Number of edges and the sum of their hashes: the same for the same edges in any order."""
    ((count, total),) = connection.execute(
        f"select count(*), sum(hash(left_key, right_key, cast(strength as tinyint))) from {edges}"
    ).fetchall()
    return f"{count}-{total or 0}"


def differing_rows(connection: duckdb.DuckDBPyConnection, components: str, rows: Rows) -> Rows:
    """Of a partition solved from nothing, the rows that the table does not have, and the keys that it has too many."""
    key, raw, component = _fetch(
        connection,
        f"select identifier_key, raw_component_key, component_key from {components} order by identifier_key",
    )
    gone = np.setdiff1d(key, rows.identifier_key, assume_unique=True)
    place = np.searchsorted(key, rows.identifier_key)
    place[place == len(key)] = 0
    is_same = (
        (key[place] == rows.identifier_key)
        & (raw[place] == rows.raw_component_key)
        & (component[place] == rows.component_key)
        if len(key)
        else np.zeros(len(rows.identifier_key), dtype=bool)
    )
    return Rows(
        rows.identifier_key[~is_same], rows.raw_component_key[~is_same], rows.component_key[~is_same], gone=gone
    )


def bring_up_to_date(
    connection: duckdb.DuckDBPyConnection, graph: Graph, components: str, solved_edges: str
) -> Outcome:
    """What to write so that `components` becomes the partition of the graph, found in the shortest way that is safe."""
    changes = changes_since(connection, graph, components, solved_edges)
    if changes is not None:
        rows = update(connection, graph, components, changes)
    else:
        rows = solve_everything(connection, graph)
        if _has(connection, components, COLUMNS):
            rows = differing_rows(connection, components, rows)
    return Outcome(rows, graph.laws_fingerprint(), edges_fingerprint(connection, graph.edges))


def write(connection: duckdb.DuckDBPyConnection, components: str, outcome: Outcome) -> None:
    """Write the rows and what they are a partition of in one transaction; makes the table when there is none.

    The state says which edges the table stands for. While `solved_edges` holds others, because a run was killed before
    it was written, the next run solves everything.
    """
    rows = outcome.rows
    changed = rows.as_arrow()
    connection.execute(_STATE)
    is_there = _has(connection, components, COLUMNS)
    connection.execute("begin transaction")
    try:
        connection.register("changed", changed)
        connection.register("gone", pa.table({"key": rows.gone}))
        if is_there:
            connection.execute(f"delete from {components} where identifier_key in (select identifier_key from changed)")
            if len(rows.gone):
                connection.execute(f"delete from {components} where identifier_key in (select key from gone)")
            connection.execute(f"insert into {components} by name from changed")
        else:
            connection.execute(f"drop table if exists {components}")
            connection.execute(f"create table {components} as from changed")
        connection.execute("delete from operations.identity_solver")
        connection.execute(
            "insert into operations.identity_solver values (?, ?)",
            [outcome.laws, outcome.edges],
        )
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
    finally:
        for name in ("changed", "gone"):
            connection.unregister(name)


def _concerned_by_laws(connection: duckdb.DuckDBPyConnection, graph: Graph, components: str) -> Keys:
    """Raw components that the laws of before have cut or the laws of now would cut."""
    (cut,) = _fetch(
        connection, f"select distinct raw_component_key from {components} where raw_component_key <> component_key"
    )
    limited = ", ".join(f"({number}, {limit})" for number, limit in enumerate(graph.limit_of_kind.tolist()) if number)
    over = _no_keys()
    if limited:
        (over,) = _fetch(
            connection,
            f"""
            with held as (
                select components.raw_component_key, identifiers.kind, count(*) as nodes
                from (select identifier_key, {graph.kind} as kind from {graph.identifiers}) as identifiers
                inner join {components} as components on identifiers.identifier_key = components.identifier_key
                where identifiers.kind > 0
                group by components.raw_component_key, identifiers.kind
            )
            select distinct held.raw_component_key
            from held
            inner join (values {limited}) as limits(kind, most) on held.kind = limits.kind
            where held.nodes > limits.most
            """,
        )
    one, other = _raw_of_pairs(connection, components, graph.forbidden, _no_keys())
    return _distinct(cut, over, one[one == other])


def _breaks_a_law(
    connection: duckdb.DuckDBPyConnection,
    graph: Graph,
    components: str,
    changes: Changes,
    vertices: Keys,
    grown: Keys,
) -> NDArray[np.bool_]:
    """Whether what each raw component has grown into breaks a law.

    Args:
        connection, graph, components, changes: as in `update`.
        vertices: ascending distinct raw components and new identifiers, shape (n,).
        grown: the vertex that stands for all those that each one is now joined with, shape (n,).

    Returns:
        shape (n,).
    """
    broken = np.zeros(len(vertices), dtype=bool)
    if not len(vertices):
        return broken
    group = positions(vertices, grown)
    if graph.limits:
        # Counting here takes half of what DuckDB's grouping takes.
        place, kind = _fetch(
            connection,
            f"""
            with members as (
                select components.identifier_key, vertices.place
                from {components} as components
                inner join vertices on components.raw_component_key = vertices.key
                union all
                select vertices.key, vertices.place from vertices semi join new_identifiers using (key)
            )
            select members.place, {graph.kind} as kind
            from members
            inner join {graph.identifiers} as identifiers on members.identifier_key = identifiers.identifier_key
            """,
            vertices=vertices,
            new_identifiers=changes.new_identifiers,
        )
        for number, limit in enumerate(graph.limit_of_kind.tolist()):
            if number:
                broken |= np.bincount(group[place[kind == number]], minlength=len(vertices)) > limit
    one, other = _raw_of_pairs(connection, components, graph.forbidden, changes.new_identifiers)
    inside = np.isin(one, vertices) & np.isin(other, vertices)
    one, other = (group[positions(vertices, end[inside])] for end in (one, other))
    broken[one[one == other]] = True
    return broken[group]


def _anywhere(holds: NDArray[np.bool_], group: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether it holds for any vertex of each vertex's group, shape of both."""
    found = np.zeros(len(holds), dtype=bool)
    found[group[holds]] = True
    return found[group]


def _joined_rows(
    connection: duckdb.DuckDBPyConnection, components: str, changes: Changes, raw: Keys, joined: Keys
) -> tuple[Keys, Keys, Keys]:
    """Rows of raw components that are now part of an older one, and of new identifiers; no law cuts any of them."""
    moved = raw != joined
    keys, before = _fetch(
        connection,
        f"select identifier_key, raw_component_key from {components} "
        "semi join moved on raw_component_key = moved.key order by identifier_key",
        moved=raw[moved],
    )
    new = np.intersect1d(changes.new_identifiers, raw, assume_unique=True)
    keys, before = np.concatenate([keys, new]), np.concatenate([before, new])
    after = joined[positions(raw, before)]
    return keys, after, after


def _rows_solved_again(
    connection: duckdb.DuckDBPyConnection, graph: Graph, components: str, changes: Changes, raw: Keys
) -> tuple[Keys, Keys, Keys]:
    """Rows of raw components that are solved again with all of their edges, those only that come out different."""
    if not len(raw):
        return _no_keys(), _no_keys(), _no_keys()
    nodes, raw_before, component_before, kind = _fetch(
        connection,
        f"""
        with members as (
            select identifier_key, raw_component_key, component_key from {components}
            semi join opened on raw_component_key = opened.key
            union all
            select key, cast(-1 as bigint), cast(-1 as bigint) from new_identifiers
        )
        select members.identifier_key, members.raw_component_key, members.component_key, identifiers.kind
        from members
        inner join (select identifier_key, {graph.kind} as kind from {graph.identifiers}) as identifiers
            on members.identifier_key = identifiers.identifier_key
        order by members.identifier_key
        """,
        opened=raw,
        new_identifiers=np.intersect1d(changes.new_identifiers, raw, assume_unique=True),
    )
    left, right, strength = _fetch(
        connection,
        f"select left_key, right_key, cast(strength as tinyint) from {graph.edges} "
        "semi join nodes on left_key = nodes.key",
        nodes=nodes,
    )
    raw_after, component_after = solve(nodes, kind, graph.limit_of_kind, left, right, strength, *graph.forbidden)
    differs = (raw_after != raw_before) | (component_after != component_before)
    is_new = np.isin(nodes, changes.new_identifiers, assume_unique=True)
    kept = differs | is_new
    return nodes[kept], raw_after[kept], component_after[kept]


def _changed_identifiers(connection: duckdb.DuckDBPyConnection, graph: Graph, components: str) -> tuple[Keys, Keys]:
    """New keys and gone keys, ascending each."""
    ((count, total, newest),) = connection.execute(
        f"select count(*), sum(hash(identifier_key)), coalesce(max(identifier_key), 0) from {components}"
    ).fetchall()
    known = connection.execute(
        f"select count(*), sum(hash(identifier_key)) from {graph.identifiers} where identifier_key <= {newest}"
    ).fetchall()
    if known == [(count, total)]:
        # A registry only appends: nothing but keys above the highest is new.
        (new,) = _fetch(
            connection,
            f"select identifier_key from {graph.identifiers} where identifier_key > {newest} order by identifier_key",
        )
        return new, _no_keys()
    queries = (
        f"select identifier_key from {one} anti join {other} using (identifier_key) order by identifier_key"
        for one, other in ((graph.identifiers, components), (components, graph.identifiers))
    )
    new, gone = (_fetch(connection, query)[0] for query in queries)
    return new, gone


def _raw_of_pairs(
    connection: duckdb.DuckDBPyConnection, components: str, pairs: tuple[Keys, Keys], new_identifiers: Keys
) -> tuple[Keys, Keys]:
    """Raw components of the two ends of each pair, without pairs of which an end is not known."""
    if not len(pairs[0]):
        return _no_keys(), _no_keys()
    known, raw = _fetch(
        connection,
        f"select identifier_key, raw_component_key from {components} semi join ends on identifier_key = ends.key",
        ends=_distinct(*pairs),
    )
    known, raw = np.concatenate([known, new_identifiers]), np.concatenate([raw, new_identifiers])
    order = np.argsort(known)
    known, raw = known[order], raw[order]
    both = np.isin(pairs[0], known) & np.isin(pairs[1], known)
    return tuple(raw[positions(known, end[both])] for end in pairs)


def _has(connection: duckdb.DuckDBPyConnection, relation: str, columns: tuple[str, ...]) -> bool:
    """Whether there is a table of this name that has these columns."""
    try:
        found = connection.execute(f"from {relation} limit 0").description
    except duckdb.CatalogException:
        return False
    return {column[0] for column in found} >= set(columns)


def _fetch(connection: duckdb.DuckDBPyConnection, query: str, **keys: Keys) -> list[NDArray]:
    """Columns of a query; each named array can be read in it as a relation of that name.

    Its columns are `key`, what the array holds, and `place`, where in the array it stands.
    """
    for name, array in keys.items():
        connection.register(name, pa.table({"key": array, "place": np.arange(len(array))}))
    try:
        table = connection.sql(query).to_arrow_table()
    finally:
        for name in keys:
            connection.unregister(name)
    columns = []
    while table.num_columns:
        columns.append(table.column(0).to_numpy())
        table = table.remove_column(0)
    return columns


def _distinct(*keys: Keys) -> Keys:
    """Ascending. Sorting is several times faster than the hashing of numpy.unique."""
    every = np.sort(np.concatenate(keys))
    is_first = np.ones(len(every), dtype=bool)
    is_first[1:] = every[1:] != every[:-1]
    return every[is_first]


def _no_keys() -> Keys:
    return np.zeros(0, dtype=np.int64)
