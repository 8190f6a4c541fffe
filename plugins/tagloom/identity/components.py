"""Connected components of the identity graph, with the law that some identifiers a person has only once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]


def connected_components(nodes: Keys, left: Keys, right: Keys) -> Keys:
    """Smallest node of each node's component.

    Args:
        nodes: ascending distinct keys, shape (n,).
        left: one end of each edge, shape (m,); every value is in nodes.
        right: the other end, shape (m,).

    Returns:
        shape (n,), in the order of nodes.

    Min-label hooking with pointer jumping (Shiloach and Vishkin, 1982), one vectorised round at a time.
    """
    label = np.arange(len(nodes))
    first, second = np.searchsorted(nodes, left), np.searchsorted(nodes, right)
    while len(first):
        first_label, second_label = label[first], label[second]
        differs = first_label != second_label
        first, second = first[differs], second[differs]
        lower = np.minimum(first_label[differs], second_label[differs])
        higher = np.maximum(first_label[differs], second_label[differs])
        np.minimum.at(label, higher, lower)
        while True:
            jumped = label[label]
            if np.array_equal(jumped, label):
                break
            label = jumped
    return nodes[label]


def components_with_unique(nodes: Keys, unique_kind: Keys, left: Keys, right: Keys, strength: Keys) -> Keys:
    """Components in which no two nodes of one unique kind meet.

    Components that break the law are solved again from their strongest edge down; an edge that would bring two nodes
    of one unique kind together is left out. The caller sees which: its ends are in different components.

    Args:
        nodes: ascending distinct keys, shape (n,).
        unique_kind: 0 for nodes that a person may have many of, else the number of their kind, shape (n,).
        left, right: ends of the edges, shape (m,).
        strength: higher is tried first, shape (m,). Equal strengths are tried in the order of their keys, the lower end
            first, so that neither the order nor the direction of the edges matters.

    Returns:
        smallest node of each node's component, shape (n,).
    """
    component = connected_components(nodes, left, right)
    unique = unique_kind > 0
    pairs, counts = np.unique(np.stack([component[unique], unique_kind[unique]]), axis=1, return_counts=True)
    broken = np.unique(pairs[0][counts > 1])
    if not len(broken):
        return component
    inside = np.isin(component, broken)
    kept = np.isin(component[np.searchsorted(nodes, left)], broken)
    component[inside] = _solve_again(nodes[inside], unique_kind[inside], left[kept], right[kept], strength[kept])
    return component


def _solve_again(nodes: Keys, unique_kind: Keys, left: Keys, right: Keys, strength: Keys) -> Keys:
    parent = {int(node): int(node) for node in nodes}
    kinds = {int(node): {int(kind)} - {0} for node, kind in zip(nodes, unique_kind, strict=True)}

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for index in np.lexsort((np.maximum(left, right), np.minimum(left, right), -strength)):
        lower, higher = sorted((root(int(left[index])), root(int(right[index]))))
        if lower != higher and kinds[lower].isdisjoint(kinds[higher]):
            parent[higher] = lower
            kinds[lower] |= kinds.pop(higher)
    return np.array([root(int(node)) for node in nodes], dtype=np.int64)
