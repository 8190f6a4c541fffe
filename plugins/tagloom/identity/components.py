"""Connected components of the identity graph, and the cut through those that break a law of the policy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]

BLOCK = 65_536
"""Elements that are worked on at a time."""

MANUAL = 9
"""Strength of an edge that a person has drawn: no limit stops it, a forbidden pair does."""


def connected_components(nodes: Keys, left: Keys, right: Keys) -> Keys:
    """Smallest node of each node's component.

    Args:
        nodes: ascending distinct keys, shape (n,).
        left: one end of each edge, shape (m,); every value is in nodes.
        right: the other end, shape (m,).

    Returns:
        shape (n,), in the order of nodes.
    """
    return nodes[_labels(len(nodes), positions(nodes, left), positions(nodes, right))]


def solve(
    nodes: Keys,
    kind: NDArray[np.integer],
    limit_of_kind: NDArray[np.integer],
    left: Keys,
    right: Keys,
    strength: NDArray[np.integer],
    forbidden_left: Keys,
    forbidden_right: Keys,
) -> tuple[Keys, Keys]:
    """Components before and after the laws of the policy.

    Components that hold more nodes of a kind than its limit, or both nodes of a forbidden pair, are solved again from
    their strongest edge down; an edge that would break a law is left out. The caller sees which: its ends are in
    different components. Equal strengths are tried in the order of their keys, the lower end first, so that neither the
    order nor the direction of the edges matters.

    Args:
        nodes: ascending distinct keys, shape (n,).
        kind: kind of each node, shape (n,); 0 for nodes without a limit.
        limit_of_kind: how many nodes of a kind one component may hold, shape (kinds + 1,); the first is not looked at.
        left, right: ends of the edges, shape (m,); every value is in nodes.
        strength: higher is tried first, shape (m,). Limits do not stop edges of strength `MANUAL`.
        forbidden_left, forbidden_right: pairs that may not meet, shape (f,); without both ends in nodes one is void.

    Returns:
        (raw, final), smallest node of each node's component without and with the laws, shape (n,) each.
    """
    first, second = positions(nodes, left), positions(nodes, right)
    label = _labels(len(nodes), first, second)
    raw = nodes[label]
    one, other = _known_pairs(nodes, forbidden_left, forbidden_right)
    is_broken = breaks_a_law(label, kind, limit_of_kind, one, other)
    if not is_broken.any():
        return raw, raw
    inside = np.flatnonzero(is_broken[label])
    kept = np.flatnonzero(is_broken[label[first]])
    kept_pairs = is_broken[label[one]] & (label[one] == label[other])
    place = np.empty(len(nodes), dtype=np.int64)
    place[inside] = np.arange(len(inside))
    again = _solve_again(
        kind[inside],
        limit_of_kind,
        place[first[kept]],
        place[second[kept]],
        strength[kept],
        place[one[kept_pairs]],
        place[other[kept_pairs]],
    )
    final = raw.copy()
    final[inside] = nodes[inside[again]]
    return raw, final


def breaks_a_law(
    label: NDArray[np.integer],
    kind: NDArray[np.integer],
    limit_of_kind: NDArray[np.integer],
    forbidden_one: NDArray[np.integer],
    forbidden_other: NDArray[np.integer],
) -> NDArray[np.bool_]:
    """Which components hold too many nodes of a kind or both ends of a forbidden pair.

    Args:
        label: number of each node's component, 0 to n - 1, shape (n,).
        kind, limit_of_kind: as in `solve`.
        forbidden_one, forbidden_other: positions of the nodes of each pair.

    Returns:
        shape (n,), indexed by the number of a component.
    """
    broken = np.zeros(len(label), dtype=bool)
    if len(limit_of_kind) > 1:
        inside = _in_components_above(label, limit_of_kind[1:].min())
        label_inside, kind_inside = label[inside], kind[inside]
        for number, limit in enumerate(limit_of_kind.tolist()):
            if number:
                held = np.bincount(label_inside[kind_inside == number], minlength=1)
                broken[np.flatnonzero(held > limit)] = True
    together = label[forbidden_one] == label[forbidden_other]
    broken[label[forbidden_one[together]]] = True
    return broken


def _in_components_above(label: NDArray[np.integer], size: int) -> NDArray[np.integer]:
    """Positions in components of more than so many nodes: no other can hold too many of a kind."""
    sizes, one = np.zeros(len(label), dtype=label.dtype), label.dtype.type(1)
    for block in _blocks(len(label)):
        np.add.at(sizes, label[block], one)
    above = [block.start + np.flatnonzero(sizes[label[block]] > size) for block in _blocks(len(label))]
    return np.concatenate(above) if above else np.zeros(0, dtype=np.int64)


def positions(nodes: Keys, keys: Keys) -> NDArray[np.integer]:
    """Where each key stands in nodes, which are ascending and distinct.

    Raises ValueError when a key is not one of the nodes.
    """
    if not len(keys):
        return np.zeros(0, dtype=_index_type(len(nodes)))
    lowest, highest = (int(nodes[0]), int(nodes[-1])) if len(nodes) else (1, 0)
    if int(keys.min()) < lowest or int(keys.max()) > highest:
        raise ValueError(f"The key {_unknown(nodes, keys)} is not one of the {len(nodes):,} nodes.")
    if highest - lowest == len(nodes) - 1:
        # A registry numbers without gaps: no search is needed.
        found = np.empty(len(keys), dtype=_index_type(len(nodes)))
        return np.subtract(keys, lowest, out=found, casting="unsafe")
    found = np.searchsorted(nodes, keys).astype(_index_type(len(nodes)), copy=False)
    if not np.array_equal(nodes[found], keys):
        raise ValueError(f"The key {_unknown(nodes, keys)} is not one of the {len(nodes):,} nodes.")
    return found


def _unknown(nodes: Keys, keys: Keys) -> int:
    return int(keys[~np.isin(keys, nodes)][0])


def _index_type(count: int) -> type:
    """Half the bytes while they suffice: solving is bound by memory traffic."""
    return np.int32 if count < 2**31 else np.int64


def _known_pairs(nodes: Keys, left: Keys, right: Keys) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    known = np.isin(left, nodes) & np.isin(right, nodes) & (left != right)
    return positions(nodes, left[known]), positions(nodes, right[known])


def _labels(count: int, first: NDArray[np.integer], second: NDArray[np.integer]) -> NDArray[np.integer]:
    """Smallest position of each position's component.

    Hooking and pointer jumping (Shiloach and Vishkin, 1982), one vectorised round at a time. In a round only the ends
    of edges jump, of which fewer are left each time; all positions jump at the end.
    """
    label = np.arange(count, dtype=_index_type(count))
    while len(first):
        for block in _blocks(len(first)):
            one, other = first[block], second[block]
            np.minimum.at(label, np.maximum(one, other), np.minimum(one, other))
        left = [_roots_that_differ(label, first[block], second[block]) for block in _blocks(len(first))]
        first, second = (np.concatenate(ends) for ends in zip(*left, strict=True))
    # A label is never above its position: when a block's turn comes, all positions before it have their roots already.
    for block in _blocks(count):
        jumped = label[label[block]]
        while not np.array_equal(jumped, label[block]):
            label[block] = jumped
            jumped = label[jumped]
    return label


def _roots_that_differ(
    label: NDArray[np.integer], first: NDArray[np.integer], second: NDArray[np.integer]
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Roots of the two ends of each edge, without edges whose ends have one root."""
    are_roots = False
    while not are_roots:
        first_label, second_label = label[first], label[second]
        are_roots = np.array_equal(first_label, first) and np.array_equal(second_label, second)
        differs = first_label != second_label
        first, second = first_label[differs], second_label[differs]
    return first, second


def _blocks(count: int) -> Iterator[slice]:
    """Slices of what lies in a core's own cache with its copies: the memory is neither left nor asked for each time.

    At ten million edges this halves the time of solving.
    """
    return (slice(start, start + BLOCK) for start in range(0, count, BLOCK))


def _solve_again(
    kind: NDArray[np.integer],
    limit_of_kind: NDArray[np.integer],
    left: NDArray[np.integer],
    right: NDArray[np.integer],
    strength: NDArray[np.integer],
    forbidden_one: NDArray[np.integer],
    forbidden_other: NDArray[np.integer],
) -> NDArray[np.int64]:
    """Smallest position of each position's component when edges that break a law are left out."""
    parent = list(range(len(kind)))
    size = [1] * len(kind)
    limits = limit_of_kind.tolist()
    # Root -> kind -> how many; root -> roots that it may never meet. Most nodes have neither.
    held = {node: {number: 1} for node, number in enumerate(kind.tolist()) if number}
    enemies: dict[int, set[int]] = {}
    for one, other in zip(forbidden_one.tolist(), forbidden_other.tolist(), strict=True):
        enemies.setdefault(one, set()).add(other)
        enemies.setdefault(other, set()).add(one)
    nothing: dict[int, int] = {}

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    low, high = np.minimum(left, right), np.maximum(left, right)
    order = np.lexsort((high, low, -strength.astype(np.int64)))
    rows = zip(low[order].tolist(), high[order].tolist(), strength[order].tolist(), strict=True)
    for one, other, how_strong in rows:
        keeper, joining = root(one), root(other)
        if keeper == joining:
            continue
        if keeper in enemies and joining in enemies[keeper]:
            continue
        of_keeper, of_joining = held.get(keeper, nothing), held.get(joining, nothing)
        if how_strong != MANUAL and any(
            number in of_keeper and of_keeper[number] + count > limits[number] for number, count in of_joining.items()
        ):
            continue
        # The smaller side moves, and of the enemies the smaller set: no union costs more than it has to.
        weight = (size[keeper] + len(enemies.get(keeper, ())), size[joining] + len(enemies.get(joining, ())))
        if weight[0] < weight[1]:
            keeper, joining = joining, keeper
            of_keeper, of_joining = of_joining, of_keeper
        parent[joining] = keeper
        size[keeper] += size[joining]
        if of_joining:
            held[keeper] = {
                number: of_keeper.get(number, 0) + of_joining.get(number, 0) for number in {**of_keeper, **of_joining}
            }
            del held[joining]
        for enemy in enemies.pop(joining, ()):
            enemies[enemy].discard(joining)
            enemies[enemy].add(keeper)
            enemies.setdefault(keeper, set()).add(enemy)

    found = np.array([root(node) for node in range(len(kind))], dtype=np.int64)
    smallest = np.full(len(kind), len(kind), dtype=np.int64)
    np.minimum.at(smallest, found, np.arange(len(kind)))
    return smallest[found]
