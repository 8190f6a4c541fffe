"""Small groups stay hidden from those who may not see personal data: nine persons in a cell are nearly names."""

from __future__ import annotations

from collections.abc import Sequence

SMALLEST = 10
"""Groups of fewer persons are hidden; none at all is shown as 0."""


def shown(counts: Sequence[int], everything: bool = False) -> list[int | None]:
    """Counts of groups that add up to a known total, with None for those that are hidden.

    One hidden group alone could be found by subtraction, so the smallest other one is hidden with it. `everything`
    hides nothing, for those who may see personal data.
    """
    if everything:
        return list(counts)
    hidden = {place for place, count in enumerate(counts) if 0 < count < SMALLEST}
    others = [place for place, count in enumerate(counts) if count >= SMALLEST]
    if hidden and sum(counts[place] for place in hidden) < SMALLEST and others:
        hidden.add(min(others, key=lambda place: counts[place]))
    return [None if place in hidden else count for place, count in enumerate(counts)]


def shown_table(rows: Sequence[Sequence[int]], everything: bool = False) -> list[list[int | None]]:
    """The same for a table whose rows and columns have known totals: no line of it has one hidden cell alone."""
    if everything:
        return [list(row) for row in rows]
    hidden = {(r, c) for r, row in enumerate(rows) for c, count in enumerate(row) if 0 < count < SMALLEST}
    while True:
        found = _line_with_one(rows, hidden)
        if found is None:
            break
        hidden.add(found)
    return [[None if (r, c) in hidden else count for c, count in enumerate(row)] for r, row in enumerate(rows)]


def _line_with_one(rows: Sequence[Sequence[int]], hidden: set[tuple[int, int]]) -> tuple[int, int] | None:
    """The cell to hide next: the smallest of a line whose hidden cells add up to too little; None without one."""
    width = len(rows[0]) if rows else 0
    lines = [[(r, c) for c in range(width)] for r in range(len(rows))]
    lines += [[(r, c) for r in range(len(rows))] for c in range(width)]
    for line in lines:
        inside = [cell for cell in line if cell in hidden]
        if not inside or (len(inside) > 1 and sum(rows[r][c] for r, c in inside) >= SMALLEST):
            continue
        others = [cell for cell in line if cell not in hidden and rows[cell[0]][cell[1]] > 0]
        if others:
            return min(others, key=lambda cell: (rows[cell[0]][cell[1]], cell))
    return None
