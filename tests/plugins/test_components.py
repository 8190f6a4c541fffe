"""Components: the cases of the identity graph by name, and what holds for every graph."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from tagloom.components import components_with_unique, connected_components

Edge = tuple[int, int, int]
"""Left, right, strength."""


def solve(nodes: dict[int, int], edges: list[Edge]) -> dict[int, int]:
    """Node -> smallest node of its component; nodes are given with their unique kind (0: none)."""
    keys = np.array(sorted(nodes), dtype=np.int64)
    kinds = np.array([nodes[key] for key in sorted(nodes)], dtype=np.int64)
    left, right, strength = (np.array([edge[part] for edge in edges], dtype=np.int64) for part in range(3))
    return dict(zip(keys.tolist(), components_with_unique(keys, kinds, left, right, strength).tolist(), strict=True))


def join(nodes: dict[int, int], edges: list[Edge]) -> dict[int, int]:
    """The same by connected_components alone, which knows no unique kinds."""
    keys = np.array(sorted(nodes), dtype=np.int64)
    left, right = (np.array([edge[part] for edge in edges], dtype=np.int64) for part in range(2))
    return dict(zip(keys.tolist(), connected_components(keys, left, right).tolist(), strict=True))


def many(*keys: int) -> dict[int, int]:
    return dict.fromkeys(keys, 0)


def naive(nodes: dict[int, int], edges: list[Edge]) -> tuple[dict[int, int], list[Edge]]:
    """Union by relabelling, strongest edge first, and the edges that the law of unique kinds leaves out."""
    label = {node: node for node in nodes}
    left_out = []
    for edge in sorted(edges, key=lambda edge: (-edge[2], min(edge[:2]), max(edge[:2]))):
        ends = {label[edge[0]], label[edge[1]]}
        kinds = [nodes[node] for node in nodes if label[node] in ends and nodes[node]]
        if len(set(kinds)) < len(kinds):
            left_out.append(edge)
        else:
            label = {node: min(ends) if found in ends else found for node, found in label.items()}
    return label, left_out


@st.composite
def graphs(draw, kinds: int = 2):
    keys = draw(st.lists(st.integers(-50, 10**12), min_size=1, max_size=14, unique=True))
    nodes = {key: draw(st.integers(0, kinds)) for key in keys}
    edge = st.tuples(st.sampled_from(keys), st.sampled_from(keys), st.integers(0, 3))
    return nodes, draw(st.lists(edge, max_size=30))


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


@limits(max_examples=150, deadline=None)
@given(graphs(kinds=0))
def test_without_unique_kinds_they_are_the_connected_components(graph):
    nodes, edges = graph
    expected, left_out = naive(nodes, edges)
    assert not left_out
    assert solve(nodes, edges) == join(nodes, edges) == expected


@limits(max_examples=150, deadline=None)
@given(graphs())
def test_the_same_partition_as_a_naive_union(graph):
    nodes, edges = graph
    assert solve(nodes, edges) == naive(nodes, edges)[0]


@limits(max_examples=150, deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_neither_order_nor_direction_of_the_edges_matters(graph, chance):
    nodes, edges = graph
    turned = [
        (right, left, strength) if chance.random() < 0.5 else (left, right, strength) for left, right, strength in edges
    ]
    chance.shuffle(turned)
    assert solve(nodes, turned) == solve(nodes, edges)


@limits(max_examples=150, deadline=None)
@given(graphs())
def test_no_component_holds_two_nodes_of_one_unique_kind(graph):
    nodes, edges = graph
    held = [(component, nodes[node]) for node, component in solve(nodes, edges).items() if nodes[node]]
    assert len(set(held)) == len(held)


@limits(max_examples=150, deadline=None)
@given(graphs())
def test_every_edge_left_out_would_have_broken_the_law(graph):
    nodes, edges = graph
    component = solve(nodes, edges)
    for left, right, _ in edges:
        if component[left] != component[right]:
            ends = {component[left], component[right]}
            kinds = [nodes[node] for node in nodes if component[node] in ends and nodes[node]]
            assert len(set(kinds)) < len(kinds)


@limits(max_examples=150, deadline=None)
@given(graphs(kinds=0), st.data())
def test_one_more_edge_never_splits_when_nothing_is_unique(graph, data):
    nodes, edges = graph
    keys = sorted(nodes)
    more = (data.draw(st.sampled_from(keys)), data.draw(st.sampled_from(keys)), 9)
    before, after = solve(nodes, edges), solve(nodes, [*edges, more])
    assert after[more[0]] == after[more[1]]
    assert all(after[node] == after[component] for node, component in before.items())
