"""Households out of pairs of persons: neighbours of neighbours, and never more persons than a household may have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tagloom.identity.households import households_of


def solved(pairs: list[tuple[int, int, int]], at_most: int = 8) -> dict[int, list[int]]:
    """Smallest person -> persons of the household, from (person, related person, evidence)."""
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 3)
    persons, component = households_of(ends[:, 0], ends[:, 1], ends[:, 2], at_most_persons=at_most)
    assert persons.tolist() == sorted(set(persons.tolist()))
    return {int(smallest): persons[component == smallest].tolist() for smallest in np.unique(component)}


def test_neighbours_of_neighbours_are_one_household():
    assert solved([(4, 7, 1), (7, 9, 1), (2, 3, 1)]) == {2: [2, 3], 4: [4, 7, 9]}


def test_nobody_related_is_no_household():
    assert solved([]) == {}


def test_a_chain_of_the_limit_is_one_household_and_a_longer_one_is_not():
    chain = [(number, number + 1, 1) for number in range(1, 8)]
    assert solved(chain) == {1: [1, 2, 3, 4, 5, 6, 7, 8]}
    assert solved([*chain, (8, 9, 1)]) == {1: [1, 2, 3, 4, 5, 6, 7, 8]}


def test_the_pairs_with_most_evidence_stay_together():
    chain = [(1, 2, 1), (2, 3, 2), (3, 4, 1)]
    assert solved(chain, at_most=2) == {2: [2, 3]}
    assert solved([(1, 2, 1), (2, 3, 1), (3, 4, 1)], at_most=2) == {1: [1, 2], 3: [3, 4]}


def test_much_evidence_does_not_lift_the_limit():
    """Whatever stands above every strength that evidence can have would be a manual link, which no limit stops."""
    assert solved([(1, 2, 50), (2, 3, 40), (1, 3, 9)], at_most=2) == {1: [1, 2]}


@pytest.mark.parametrize("at_most", [2, 3, 8])
@given(
    pairs=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(1, 12)).filter(lambda p: p[0] != p[1]))
)
def test_no_household_is_too_large_too_small_or_made_of_strangers(at_most, pairs):
    households = solved(pairs, at_most)
    related = {frozenset(pair[:2]) for pair in pairs}
    for persons in households.values():
        assert 2 <= len(persons) <= at_most
        reached, waiting = set(), [persons[0]]
        while waiting:
            person = waiting.pop()
            reached.add(person)
            waiting += [other for other in persons if {person, other} in related and other not in reached]
        assert reached == set(persons)


@given(
    pairs=st.lists(
        st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 3)).filter(lambda p: p[0] != p[1]),
        unique_by=lambda pair: frozenset(pair[:2]),
    ),
    random=st.randoms(use_true_random=False),
)
def test_the_order_and_direction_of_pairs_do_not_matter(pairs, random):
    turned = [(other, person, evidence) for person, other, evidence in pairs]
    random.shuffle(turned)
    assert solved(turned, 3) == solved(pairs, 3)
