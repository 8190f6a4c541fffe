"""Whether two groupings of the same persons have to do with each other: chi-square, Cramér's V and single cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SIGNIFICANT = 0.05
"""Chance below which a difference is called significant; of cells after Holm's correction."""


@dataclass(frozen=True)
class Association:
    """What a table of counts says about its two groupings."""

    persons: int
    chi_square: float
    degrees: int
    chance: float
    """Probability of a table at least as uneven when the groupings had nothing to do with each other."""
    strength: float
    """Cramér's V: 0 nothing to do with each other, 1 one follows from the other."""
    lifts: list[list[float | None]]
    """Count over the count to be expected; None where nothing is expected."""
    stands_out: list[list[int]]
    """1: significantly more than expected, -1: fewer, 0: neither."""
    is_rough: bool
    """More than a fifth of the cells expect fewer than five persons: the chance is an estimate only."""


def association(counts: Sequence[Sequence[int]]) -> Association:
    """The association in a table of counts; empty rows and columns do not count."""
    rows = [sum(row) for row in counts]
    columns = [sum(row[place] for row in counts) for place in range(len(counts[0]) if counts else 0)]
    total = sum(rows)
    used_rows, used_columns = sum(1 for row in rows if row), sum(1 for column in columns if column)
    degrees = max(0, used_rows - 1) * max(0, used_columns - 1)
    expected = [[row * column / total if total else 0.0 for column in columns] for row in rows]
    chi_square = sum(
        (counts[r][c] - expected[r][c]) ** 2 / expected[r][c]
        for r in range(len(rows))
        for c in range(len(columns))
        if expected[r][c]
    )
    smaller = min(used_rows, used_columns) - 1
    positive = [value for line in expected for value in line if value]
    chances = [
        _cell_chance(counts[r][c], expected[r][c], rows[r], columns[c], total)
        for r in range(len(rows))
        for c in range(len(columns))
    ]
    outstanding = iter(_holm(chances))
    return Association(
        persons=total,
        chi_square=chi_square,
        degrees=degrees,
        chance=chi_square_chance(chi_square, degrees),
        strength=math.sqrt(chi_square / (total * smaller)) if total and smaller > 0 else 0.0,
        lifts=[
            [counts[r][c] / expected[r][c] if expected[r][c] else None for c in range(len(columns))]
            for r in range(len(rows))
        ],
        stands_out=[
            [(1 if counts[r][c] > expected[r][c] else -1) if next(outstanding) else 0 for c in range(len(columns))]
            for r in range(len(rows))
        ],
        is_rough=bool(positive) and sum(1 for value in positive if value < 5) > len(positive) / 5,
    )


def chi_square_chance(value: float, degrees: int) -> float:
    """Probability that a chi-square of so many degrees is at least this value: the incomplete gamma function Q.

    Series below the bend and continued fraction above it (Numerical Recipes, 6.2).
    """
    if degrees <= 0 or value <= 0:
        return 1.0
    a, x = degrees / 2, value / 2
    front = math.exp(-x + a * math.log(x) - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        step = a
        while abs(term) > abs(total) * 1e-14:
            step += 1
            term *= x / step
            total += term
        return max(0.0, 1 - total * front)
    tiny = 1e-300
    b = x + 1 - a
    c, d = 1 / tiny, 1 / b
    h = d
    for number in range(1, 10_000):
        factor = -number * (number - a)
        b += 2
        d = factor * d + b
        d = 1 / (d if abs(d) > tiny else tiny)
        c = b + factor / c
        c = c if abs(c) > tiny else tiny
        change = d * c
        h *= change
        if abs(change - 1) < 1e-14:
            break
    return min(1.0, front * h)


def difference_chance(hits: int, of: int, other_hits: int, other_of: int) -> float:
    """Probability that two shares differ at least so much by chance: two-proportion z test, two-sided."""
    if not of or not other_of:
        return 1.0
    pooled = (hits + other_hits) / (of + other_of)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / of + 1 / other_of))
    return math.erfc(abs(hits / of - other_hits / other_of) / spread / math.sqrt(2)) if spread else 1.0


def _cell_chance(count: int, expected: float, row: int, column: int, total: int) -> float:
    """Two-sided chance of the adjusted residual of a cell."""
    if not expected or row == total or column == total:
        return 1.0
    spread = math.sqrt(expected * (1 - row / total) * (1 - column / total))
    return math.erfc(abs(count - expected) / spread / math.sqrt(2))


def _holm(chances: Sequence[float]) -> list[bool]:
    """Which of several chances are significant together."""
    order = sorted(range(len(chances)), key=lambda place: chances[place])
    significant = [False] * len(chances)
    for rank, place in enumerate(order):
        if chances[place] * (len(chances) - rank) >= SIGNIFICANT:
            break
        significant[place] = True
    return significant
