"""Components: the cases of the identity graph by name, and what holds for every graph."""

from __future__ import annotations

import random
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from tagloom.identity.components import MANUAL, connected_components
from tagloom.identity.components import solve as solve_arrays

Edge = tuple[int, int, int]
"""Left, right, strength."""


Pair = tuple[int, int]

LIMITS = (0, 1, 1, 2)
"""Limit by the number of a kind: 0 has none."""


def solve(nodes: dict[int, int], edges: list[Edge], forbidden: list[Pair] = []) -> dict[int, int]:  # noqa: B006
    """Node -> smallest node of its component; nodes are given with their kind (0: no limit)."""
    return solve_twice(nodes, edges, forbidden)[1]


def solve_twice(nodes: dict[int, int], edges: list[Edge], forbidden: list[Pair]) -> tuple[dict, dict]:
    """The same without the laws and with them."""
    keys = np.array(sorted(nodes), dtype=np.int64)
    kinds = np.array([nodes[key] for key in sorted(nodes)], dtype=np.uint8)
    arrays = [np.array([edge[part] for edge in edges], dtype=np.int64) for part in range(3)]
    pairs = [np.array([pair[part] for pair in forbidden], dtype=np.int64) for part in range(2)]
    raw, final = solve_arrays(keys, kinds, np.array(LIMITS), *arrays, *pairs)
    return tuple(dict(zip(keys.tolist(), solved.tolist(), strict=True)) for solved in (raw, final))


def join(nodes: dict[int, int], edges: list[Edge]) -> dict[int, int]:
    """The same by connected_components alone, which knows no laws."""
    keys = np.array(sorted(nodes), dtype=np.int64)
    left, right = (np.array([edge[part] for edge in edges], dtype=np.int64) for part in range(2))
    return dict(zip(keys.tolist(), connected_components(keys, left, right).tolist(), strict=True))


def many(*keys: int) -> dict[int, int]:
    return dict.fromkeys(keys, 0)


def is_refused(nodes: dict[int, int], label: dict[int, int], edge: Edge, forbidden: list[Pair]) -> bool:
    """Whether the edge would join two components that the laws keep apart."""
    one, other = ([node for node in nodes if label[node] == label[end]] for end in edge[:2])
    if any((a in one and b in other) or (b in one and a in other) for a, b in forbidden):
        return True
    held = [[nodes[node] for node in side if nodes[node]] for side in (one, other)]
    met = set(held[0]) & set(held[1])
    return edge[2] != MANUAL and any(held[0].count(kind) + held[1].count(kind) > LIMITS[kind] for kind in met)


def naive(nodes: dict[int, int], edges: list[Edge], forbidden: list[Pair]) -> tuple[dict[int, int], list[Edge]]:
    """Union by relabelling in components that break a law, strongest edge first, and the edges that are left out."""
    raw = join(nodes, edges)
    broken = {raw[a] for a, b in forbidden if a != b and a in nodes and b in nodes and raw[a] == raw[b]}
    for component in set(raw.values()):
        held = [nodes[node] for node in nodes if raw[node] == component and nodes[node]]
        if any(held.count(kind) > LIMITS[kind] for kind in held):
            broken.add(component)
    label = {node: node if raw[node] in broken else raw[node] for node in nodes}
    left_out = []
    for edge in sorted(edges, key=lambda edge: (-edge[2], min(edge[:2]), max(edge[:2]))):
        ends = {label[edge[0]], label[edge[1]]}
        if len(ends) == 2 and is_refused(nodes, label, edge, forbidden):
            left_out.append(edge)
        elif len(ends) == 2:
            label = {node: min(ends) if found in ends else found for node, found in label.items()}
    return label, left_out


@st.composite
def graphs(draw, kinds: int = 3, pairs: int = 4):
    keys = draw(st.lists(st.integers(-50, 10**12), min_size=1, max_size=14, unique=True))
    nodes = {key: draw(st.integers(0, kinds)) for key in keys}
    one = st.sampled_from(keys)
    edges = draw(st.lists(st.tuples(one, one, st.sampled_from((0, 1, 2, 3, MANUAL))), max_size=30))
    return nodes, edges, draw(st.lists(st.tuples(one, one | st.just(77)), max_size=pairs))


def test_chain():
    assert solve(many(1, 2, 3, 4), [(3, 4, 1), (1, 2, 1), (2, 3, 1)]) == dict.fromkeys((1, 2, 3, 4), 1)


def test_star_whose_centre_is_the_largest_key():
    assert solve(many(1, 2, 3, 9), [(9, 1, 1), (9, 2, 1), (9, 3, 1)]) == dict.fromkeys((1, 2, 3, 9), 1)


def test_two_components_and_a_node_without_edges():
    assert solve(many(1, 2, 3, 4, 5), [(1, 4, 1), (5, 2, 1)]) == {1: 1, 2: 2, 3: 3, 4: 1, 5: 2}


def test_diamond():
    assert set(solve(many(1, 2, 3, 4), [(1, 2, 1), (1, 3, 1), (2, 4, 1), (3, 4, 1)]).values()) == {1}


def test_self_loop_and_doubled_edges():
    assert solve({1: 1, 2: 0, 3: 0}, [(1, 1, 5), (2, 3, 1), (2, 3, 1), (3, 2, 1)]) == {1: 1, 2: 2, 3: 2}


def test_nothing():
    assert solve({}, []) == {}
    assert solve({7: 1}, []) == {7: 7}


def test_a_unique_conflict_keeps_the_strongest_edge():
    cards = {1: 1, 2: 1, 5: 0}
    assert solve(cards, [(1, 5, 2), (2, 5, 3)]) == {1: 1, 2: 2, 5: 2}
    assert solve(cards, [(1, 5, 3), (2, 5, 2)]) == {1: 1, 2: 2, 5: 1}


def test_two_cards_that_share_mail_and_phone_stay_two_persons():
    # 1 and 2 are cards; 3 a mail of the first, 4 a phone of the second, and both were seen together once.
    assert solve({1: 1, 2: 1, 3: 0, 4: 0}, [(1, 3, 5), (2, 4, 5), (3, 4, 1)]) == {1: 1, 2: 2, 3: 1, 4: 2}


def test_nodes_of_different_unique_kinds_may_meet():
    assert solve({1: 1, 2: 2, 3: 0}, [(1, 3, 1), (2, 3, 1)]) == {1: 1, 2: 1, 3: 1}


def test_a_conflict_does_not_touch_other_components():
    broken = {1: 1, 2: 1, 3: 0}
    whole = {10: 1, 11: 0, 12: 0}
    edges = [(1, 3, 2), (2, 3, 1), (12, 10, 1), (11, 12, 1)]
    assert solve(broken | whole, edges) == {1: 1, 2: 2, 3: 1, 10: 10, 11: 10, 12: 10}


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("kinds", ["nothing is unique", "both ends are unique"])
def test_a_chain_of_ten_thousand(shuffled, kinds):
    keys = list(range(10_000))
    if shuffled:
        random.Random(1).shuffle(keys)
    nodes = many(*keys)
    # Every link is stronger than the next one, so that the last link is the one that a conflict leaves out.
    edges = [(left, right, -index) for index, (left, right) in enumerate(pairwise(keys))]
    if kinds == "nothing is unique":
        assert set(solve(nodes, edges).values()) == {0}
    else:
        solved = solve(nodes | {keys[0]: 1, keys[-1]: 1}, edges)
        assert solved[keys[-1]] == keys[-1]
        assert {solved[key] for key in keys[:-1]} == {min(keys[:-1])}


def test_a_limit_of_two_holds_two():
    phones = {1: 3, 2: 3, 3: 3, 9: 0}
    assert solve(phones, [(1, 9, 3), (2, 9, 2), (3, 9, 1)]) == {1: 1, 2: 1, 3: 3, 9: 1}


def test_a_manual_edge_ignores_limits_and_others_do_not_add_to_the_breach():
    cards = {1: 1, 2: 1, 3: 1, 8: 0, 9: 0}
    edges = [(1, 2, MANUAL), (2, 9, 5), (3, 9, 4), (8, 9, 1)]
    assert solve(cards, edges) == {1: 1, 2: 1, 3: 3, 8: 1, 9: 1}


def test_a_forbidden_pair_stays_apart_however_it_is_joined():
    chain = [(1, 2, 3), (2, 3, 1), (3, 4, 3)]
    assert solve(many(1, 2, 3, 4), chain, [(4, 1)]) == {1: 1, 2: 1, 3: 3, 4: 3}
    assert solve(many(1, 2), [(1, 2, MANUAL)], [(1, 2)]) == {1: 1, 2: 2}


def test_forbidden_pairs_that_are_void():
    assert solve(many(1, 2), [(1, 2, 1)], [(1, 1), (1, 5), (7, 8)]) == {1: 1, 2: 1}


def test_thousands_of_forbidden_pairs_stay_cheap():
    # A shared mail (0) that belongs to none of 4,000 cards which are all forbidden to meet each other's neighbour.
    count = 4_000
    nodes = many(*range(count + 1))
    edges = [(0, card, 1) for card in range(1, count + 1)]
    forbidden = [(card, other) for card in range(1, count) for other in range(card + 1, min(card + 11, count + 1))]
    started = time.process_time()
    solved = solve(nodes, edges, forbidden)
    assert time.process_time() - started < 5
    assert all(solved[one] != solved[other] for one, other in forbidden)
    assert {card for card, component in solved.items() if component == 0} == {0, *range(1, count + 1, 11)}


def test_a_key_that_is_no_node_is_named():
    with pytest.raises(ValueError, match="The key 5 is not one of the 3 nodes"):
        solve(many(1, 2, 3), [(1, 5, 1)])
    with pytest.raises(ValueError, match="The key 5 is not one of the 3 nodes"):
        solve(many(1, 2, 9), [(1, 5, 1)])


@limits(max_examples=150, deadline=None)
@given(graphs(kinds=0, pairs=0))
def test_without_laws_they_are_the_connected_components(graph):
    nodes, edges, forbidden = graph
    expected, left_out = naive(nodes, edges, forbidden)
    assert not left_out
    assert solve_twice(nodes, edges, forbidden) == (expected, expected)
    assert join(nodes, edges) == expected


@limits(max_examples=300, deadline=None)
@given(graphs())
def test_the_same_partition_as_a_naive_union(graph):
    nodes, edges, forbidden = graph
    assert solve(nodes, edges, forbidden) == naive(nodes, edges, forbidden)[0]


@limits(max_examples=150, deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_neither_order_nor_direction_of_the_edges_matters(graph, chance):
    nodes, edges, forbidden = graph
    turned = [
        (right, left, strength) if chance.random() < 0.5 else (left, right, strength) for left, right, strength in edges
    ]
    chance.shuffle(turned)
    chance.shuffle(forbidden)
    assert solve(nodes, turned, [pair[::-1] for pair in forbidden]) == solve(nodes, edges, forbidden)


@limits(max_examples=150, deadline=None)
@given(graphs())
def test_no_component_breaks_a_law(graph):
    nodes, edges, forbidden = graph
    manual = [edge for edge in edges if edge[2] == MANUAL]
    solved, by_hand = solve(nodes, edges, forbidden), join(nodes, manual)
    assert all(solved[a] != solved[b] for a, b in forbidden if a != b and b in nodes)
    for component in set(solved.values()):
        members = [node for node in nodes if solved[node] == component]
        for kind in {nodes[node] for node in members} - {0}:
            of_kind = [node for node in members if nodes[node] == kind]
            # Only manual edges bring more together than the limit says.
            assert len(of_kind) <= LIMITS[kind] or any(
                by_hand[a] == by_hand[b] for a in members for b in members if a < b
            )


@limits(max_examples=150, deadline=None)
@given(graphs(kinds=0, pairs=0), st.data())
def test_one_more_edge_never_splits_when_no_law_is_broken(graph, data):
    nodes, edges, _ = graph
    keys = sorted(nodes)
    more = (data.draw(st.sampled_from(keys)), data.draw(st.sampled_from(keys)), 3)
    before, after = solve(nodes, edges), solve(nodes, [*edges, more])
    assert after[more[0]] == after[more[1]]
    assert all(after[node] == after[component] for node, component in before.items())
