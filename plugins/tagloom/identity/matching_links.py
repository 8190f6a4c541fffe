"""Which scored pairs of persons become one and which a human looks at: best partners first, by the policy's laws."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagloom.identity.components import connected_components

ACCEPTED = "accepted"
REVIEW = "review"
DECLINED = "declined"

CERTAIN = 1 - 1e-12
"""No probability counts for more: two partners that are both certain are then as likely as each other."""

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Laws:
    """What may not be joined. Persons are positions 0 to n - 1."""

    held: NDArray[np.int64]
    """How many identifiers of each limited type a person has, shape (n, types)."""
    limits: NDArray[np.int64]
    """How many of each one person may have, shape (types,)."""
    forbidden_left: Positions
    """One person of each pair that somebody has declared to be two, shape (f,)."""
    forbidden_right: Positions
    """The other, shape (f,)."""


def decide(
    left: Positions,
    right: Positions,
    probability: NDArray[np.float64],
    contradicts: NDArray[np.bool_],
    laws: Laws,
    accept: float,
) -> NDArray[np.object_]:
    """Status of each pair: accepted, review or declined.

    The likeliest pair comes first. It is accepted when nothing forbids it and it is likely enough even among its
    rivals: partners of either side that cannot be the same person as the other side, such as two holders of a card when
    one person may have one card. They share the probability, so that of two equally likely ones neither is accepted.
    What was accepted counts as one person from then on.

    Args:
        left, right: positions of the two persons, shape (m,); a pair comes once.
        probability: 0 to 1, shape (m,).
        contradicts: the attributes of the two contradict, so that only a human may join them, shape (m,).
        laws: what may not be joined.
        accept: from this probability.

    Returns:
        shape (m,). The order of the pairs does not matter.
    """
    status = np.full(len(left), REVIEW, dtype=object)
    if not len(left):
        return status
    left, right = np.minimum(left, right), np.maximum(left, right)
    count = len(laws.held)
    forbidden = _both_ways(laws.forbidden_left, laws.forbidden_right)
    declined = np.array(
        [other in forbidden.get(one, ()) for one, other in zip(left.tolist(), right.tolist(), strict=True)]
    )
    status[declined] = DECLINED
    is_open = ~declined & ~contradicts

    label = connected_components(np.arange(count, dtype=np.int64), left, right)
    pairs_of_group = np.bincount(label[left], minlength=count)
    is_alone = pairs_of_group[label[left]] == 1
    fits = (laws.held[left] + laws.held[right] <= laws.limits).all(axis=1)
    status[is_alone & is_open & fits & (probability >= accept)] = ACCEPTED

    crowded = np.flatnonzero(~is_alone & is_open)
    order = crowded[np.lexsort((right[crowded], left[crowded], -probability[crowded], label[left[crowded]]))]
    bounds = np.flatnonzero(np.diff(label[left[order]])) + 1
    for group in np.split(order, bounds):
        _decide_group(group, left, right, probability, laws, forbidden, accept, status)
    return status


def _decide_group(
    group: Positions,
    left: Positions,
    right: Positions,
    probability: NDArray[np.float64],
    laws: Laws,
    forbidden: dict[int, set[int]],
    accept: float,
    status: NDArray[np.object_],
) -> None:
    """Decide the pairs of one connected group, which come in order of their probability."""
    pairs = list(zip(group.tolist(), left[group].tolist(), right[group].tolist(), strict=True))
    odds = {pair: _odds(probability[pair]) for pair, _, _ in pairs}
    members = {person: [person] for _, one, other in pairs for person in (one, other)}
    home = {person: person for person in members}
    held = {person: laws.held[person] for person in members}
    links = defaultdict(list)
    for pair, one, other in pairs:
        links[one].append((pair, other))
        links[other].append((pair, one))

    def excludes(one: int, other: int) -> bool:
        if (held[one] + held[other] > laws.limits).any():
            return True
        theirs = set(members[other])
        return any(theirs & forbidden[person] for person in members[one] if person in forbidden)

    def rivalry(side: int, partner: int) -> float:
        """Odds of the best links of one side with others that cannot be the partner."""
        best: dict[int, float] = {}
        for person in members[side]:
            for pair, other in links[person]:
                there = home[other]
                if there not in (side, partner):
                    best[there] = max(best.get(there, 0.0), odds[pair])
        return sum(value for there, value in best.items() if excludes(there, partner))

    for pair, one, other in pairs:
        if probability[pair] < accept:
            break
        first, second = sorted((home[one], home[other]))
        if first == second:
            status[pair] = ACCEPTED
            continue
        if excludes(first, second):
            continue
        shared = odds[pair] / (1 + odds[pair] + rivalry(first, second) + rivalry(second, first))
        if shared < accept - 1e-9:
            continue
        status[pair] = ACCEPTED
        for person in members[second]:
            home[person] = first
        members[first] += members.pop(second)
        held[first] = held[first] + held.pop(second)


def _odds(probability: float) -> float:
    probability = min(float(probability), CERTAIN)
    return probability / (1 - probability)


def _both_ways(left: Positions, right: Positions) -> dict[int, set[int]]:
    pairs: dict[int, set[int]] = defaultdict(set)
    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        pairs[one].add(other)
        pairs[other].add(one)
    return dict(pairs)
