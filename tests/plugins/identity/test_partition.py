"""The partition in DuckDB tables: whatever happens to the graph, it is the one that solving everything gives."""

from __future__ import annotations

from itertools import pairwise

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from tagloom.identity.components import MANUAL
from tagloom.identity.partition import (
    Changes,
    Graph,
    bring_up_to_date,
    changed_edges,
    changes_since,
    solve_everything,
    update,
    write,
)

TYPES = ("card", "phone", "device")

Edges = dict[tuple[int, int], int]
"""(left, right), left < right -> strength."""


class World:
    """A registry, edges and laws in an empty warehouse, and the partition that is kept of them."""

    def __init__(self) -> None:
        """Make the tables of the graph; those of the partition come with the first run."""
        self.connection = duckdb.connect()
        self.connection.execute("create table registry (identifier_key bigint, identifier_type varchar)")
        self.connection.execute("create table edges (left_key bigint, right_key bigint, strength integer)")
        self.limits: dict[str, int] = {}
        self.forbidden: list[tuple[int, int]] = []

    def add(self, types: dict[int, str]) -> None:
        """Register identifiers."""
        if types:
            self.connection.execute("insert into registry values " + ", ".join(map(str, types.items())))

    def set_edges(self, edges: Edges) -> None:
        """Say which edges are accepted now."""
        self.connection.execute("delete from edges")
        if edges:
            rows = [(*pair, strength) for pair, strength in edges.items()]
            self.connection.execute("insert into edges values " + ", ".join(map(str, rows)))

    @property
    def graph(self) -> Graph:
        """What a run is given."""
        pairs = np.array(self.forbidden, dtype=np.int64).reshape(-1, 2)
        return Graph("registry", "edges", self.limits, (pairs[:, 0], pairs[:, 1]))

    def solve(self) -> int:
        """What identity_components does; the number of rows that were written."""
        outcome = bring_up_to_date(self.connection, self.graph, "components", "solved_edges")
        write(self.connection, "components", outcome)
        return len(outcome.rows.identifier_key)

    def finish(self) -> None:
        """What identity_solved_edges does."""
        self.connection.execute("create or replace table solved_edges as from edges")

    def run(self) -> int:
        """One whole run; the number of rows that were written."""
        written = self.solve()
        self.finish()
        return written

    def rows(self) -> list[tuple[int, int, int]]:
        """The table."""
        return self.connection.execute("from components order by identifier_key").fetchall()

    def solved_anew(self) -> list[tuple[int, int, int]]:
        """The same by solving everything."""
        rows = solve_everything(self.connection, self.graph)
        columns = (rows.identifier_key, rows.raw_component_key, rows.component_key)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def changes(self) -> Changes | None:
        """What the next run would see."""
        return changes_since(self.connection, self.graph, "components", "solved_edges")


def chain(*keys: int, strength: int = 3) -> Edges:
    return dict.fromkeys(pairwise(keys), strength)


@pytest.fixture
def world():
    world = World()
    world.add(dict.fromkeys(range(1, 11), "device"))
    return world


def test_the_first_run_solves_everything(world):
    world.set_edges(chain(1, 2, 3) | chain(8, 9))
    assert world.changes() is None
    assert world.run() == 10
    assert [row[2] for row in world.rows()] == [1, 1, 1, 4, 5, 6, 7, 8, 8, 10]


def test_nothing_changed_nothing_written(world):
    world.set_edges(chain(1, 2, 3))
    world.run()
    assert world.run() == 0


def test_a_new_edge_moves_the_younger_component_only(world):
    world.set_edges(chain(1, 2, 3) | chain(4, 5))
    world.run()
    world.set_edges(chain(1, 2, 3) | chain(4, 5) | {(3, 5): 1})
    assert world.run() == 2
    assert world.rows()[3:5] == [(4, 1, 1), (5, 1, 1)]


def test_new_identifiers_join_and_stand_alone(world):
    world.set_edges(chain(2, 3))
    world.run()
    world.add({11: "card", 12: "card", 13: "card"})
    world.set_edges(chain(2, 3) | chain(11, 12) | {(3, 12): 2})
    assert world.run() == 3
    assert world.rows()[10:] == [(11, 2, 2), (12, 2, 2), (13, 13, 13)]


def test_a_removed_edge_splits_what_nothing_else_joins(world):
    world.set_edges(chain(1, 2, 3, 4) | {(1, 3): 1})
    world.run()
    world.set_edges(chain(1, 2, 3) | {(1, 3): 1})
    assert world.run() == 1
    world.set_edges(chain(1, 2) | {(1, 3): 1})
    assert world.run() == 0
    assert world.rows()[:4] == [(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 4, 4)]


def test_a_new_edge_that_breaks_a_limit_cuts_what_it_joined(world):
    world.limits = {"card": 1}
    world.add({11: "card", 12: "card"})
    world.set_edges({(1, 11): 5, (2, 12): 4})
    world.run()
    world.set_edges({(1, 11): 5, (2, 12): 4, (1, 2): 1})
    assert world.run() == 2
    assert [world.rows()[index] for index in (0, 1, 10, 11)] == [(1, 1, 1), (2, 1, 2), (11, 1, 1), (12, 1, 2)]


def test_a_changed_limit_touches_nothing_else(world):
    world.add({11: "card", 12: "card", 13: "phone", 14: "phone"})
    edges = {(1, 11): 5, (1, 12): 4, (2, 13): 5, (2, 14): 4, (3, 4): 1}
    world.set_edges(edges)
    world.run()
    world.limits = {"card": 1}
    assert world.run() == 1
    world.limits = {"card": 2, "phone": 1}
    assert world.run() == 2
    assert world.rows() == world.solved_anew()
    world.limits = {}
    assert world.run() == 1


def test_a_never_link_splits_and_taking_it_back_joins(world):
    world.set_edges(chain(1, 2, 3, 4) | {(2, 3): MANUAL})
    world.run()
    before = world.rows()
    world.forbidden = [(4, 1)]
    assert world.run() == 1
    # 2 and 3 are joined by hand; of the two others the lower key comes first.
    assert [row[2] for row in world.rows()[:4]] == [1, 1, 1, 4]
    world.forbidden = []
    world.run()
    assert world.rows() == before


def test_a_changed_strength_changes_the_cut(world):
    world.limits = {"card": 1}
    world.add({11: "card", 12: "card"})
    world.set_edges({(1, 11): 5, (1, 12): 4})
    world.run()
    assert world.rows()[11] == (12, 1, 12)
    world.set_edges({(1, 11): 3, (1, 12): 4})
    assert world.run() == 2
    assert [world.rows()[index] for index in (0, 10, 11)] == [(1, 1, 1), (11, 1, 11), (12, 1, 1)]


def test_an_erased_identifier_leaves_and_splits(world):
    world.set_edges(chain(1, 2, 3))
    world.run()
    world.connection.execute("delete from registry where identifier_key = 2")
    world.set_edges({})
    world.run()
    assert world.rows()[:2] == [(1, 1, 1), (3, 3, 3)]


def test_a_killed_run_is_no_state(world):
    world.set_edges(chain(1, 2, 3))
    world.run()
    world.set_edges(chain(1, 2, 3, 4))
    world.solve()  # and killed: identity_solved_edges is still of the run before
    assert world.changes() is None
    # What only the killed run has seen is gone again.
    world.set_edges(chain(1, 2, 3) | chain(6, 7))
    assert world.run() == 2
    assert world.rows() == world.solved_anew()
    assert world.changes() is not None


class Killed(Exception):  # noqa: N818
    """What a kill looks like from inside."""


class KilledBeforeCommit:
    """A connection whose process does not live to the end of the transaction."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Stand before a real connection."""
        self.connection = connection

    def __getattr__(self, name: str) -> object:
        """Everything else is as it was."""
        return getattr(self.connection, name)

    def execute(self, query: str, *parameters: object) -> object:
        """Run the statement, if it is not the last one."""
        if query == "commit":
            raise Killed
        return self.connection.execute(query, *parameters)


def test_a_killed_write_leaves_the_table_as_it_was(world):
    world.set_edges(chain(1, 2, 3))
    world.run()
    before = world.rows()
    world.set_edges(chain(4, 5))
    outcome = bring_up_to_date(world.connection, world.graph, "components", "solved_edges")
    with pytest.raises(Killed):
        write(KilledBeforeCommit(world.connection), "components", outcome)
    assert world.rows() == before
    assert world.run() == 3
    assert world.rows() == world.solved_anew()


def test_a_table_of_before_the_raw_components_is_replaced(world):
    world.connection.execute("create table components as select 1 as identifier_key, 1 as component_key")
    world.set_edges(chain(1, 2))
    assert world.run() == 10
    assert world.rows() == world.solved_anew()


def test_edges_that_only_one_relation_has(world):
    world.set_edges({(1, 2): 3, (3, 4): 3, (5, 6): 1, (500, 900): 2})
    world.finish()
    world.set_edges({(1, 2): 3, (5, 6): 2, (7, 8): 1, (500, 900): 2})
    added, removed = changed_edges(world.connection, "edges", "solved_edges")
    assert sorted(zip(*(end.tolist() for end in added), strict=True)) == [(5, 6), (7, 8)]
    assert sorted(zip(*(end.tolist() for end in removed), strict=True)) == [(3, 4), (5, 6)]


@st.composite
def histories(draw):
    """Steps of a graph: identifiers that come and go, edges that come, go and change, laws that change."""
    keys = sorted(draw(st.lists(st.integers(1, 60), min_size=2, max_size=16, unique=True)))
    types = {key: draw(st.sampled_from(TYPES)) for key in keys}
    pair = st.tuples(st.sampled_from(keys), st.sampled_from(keys)).filter(lambda pair: pair[0] < pair[1])
    strength = st.sampled_from((1, 2, 3, MANUAL))
    steps, edges = [], {}
    laws: tuple = ({}, [])
    for _ in range(draw(st.integers(2, 5))):
        known = keys[: draw(st.integers(len(keys) // 2, len(keys)))] if draw(st.booleans()) else keys
        gone = draw(st.sets(st.sampled_from(sorted(edges)), max_size=4)) if edges else set()
        come = draw(st.dictionaries(pair, strength, max_size=8))
        edges = {ends: value for ends, value in (edges | come).items() if ends not in gone}
        if draw(st.booleans()):
            laws = (
                draw(st.dictionaries(st.sampled_from(TYPES), st.integers(1, 3))),
                draw(st.lists(st.tuples(st.sampled_from(keys), st.sampled_from(keys)), max_size=3)),
            )
        is_killed = draw(st.integers(0, 4)) == 0
        seen = {ends: value for ends, value in edges.items() if set(ends) <= set(known)}
        steps.append((known, seen, *laws, is_killed))
    return types, steps


@limits(max_examples=40, deadline=None)
@given(histories())
def test_every_step_equals_solving_everything(history):
    types, steps = history
    world = World()
    for known, edges, per_person, forbidden, is_killed in steps:
        world.connection.execute("delete from registry")
        world.add({key: types[key] for key in known})
        world.set_edges(edges)
        world.limits, world.forbidden = per_person, forbidden
        before = dict(zip([row[0] for row in world.rows()], world.rows(), strict=True)) if world.changes() else {}
        written = world.solve()
        assert world.rows() == world.solved_anew()
        # Nothing is written that was there already.
        if before:
            assert written == sum(before.get(row[0]) != row for row in world.rows())
        if not is_killed:
            world.finish()


@limits(max_examples=15, deadline=None)
@given(st.data())
def test_the_order_of_arrival_does_not_matter(data):
    keys = list(range(1, 13))
    pair = st.tuples(st.sampled_from(keys), st.sampled_from(keys)).filter(lambda pair: pair[0] < pair[1])
    edges = data.draw(st.dictionaries(pair, st.sampled_from((1, 2, MANUAL)), max_size=20))
    types = {key: data.draw(st.sampled_from(TYPES)) for key in keys}
    worlds = []
    for _ in range(2):
        world = World()
        world.limits, world.forbidden = {"card": 1, "phone": 2}, [(1, 2), (3, 9)]
        world.add(types)
        order = data.draw(st.permutations(sorted(edges)))
        for end in range(0, len(order) + 1, 5):
            world.set_edges({ends: edges[ends] for ends in order[:end]})
            world.run()
        world.set_edges(edges)
        world.run()
        worlds.append(world.rows())
    assert worlds[0] == worlds[1]


def test_an_edge_of_an_unknown_identifier_is_named(world):
    world.run()
    one, other = np.array([1]), np.array([77])
    with pytest.raises(ValueError, match="The key 77 is not one of"):
        update(world.connection, world.graph, "components", Changes(added=(one, other)))
