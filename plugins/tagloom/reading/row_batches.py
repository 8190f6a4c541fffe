"""Rows of text on their way from a file to an Arrow stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa


class Rows(NamedTuple):
    """Some rows of a file, in its order; torn ones have null in every column."""

    columns: list[pa.Array]
    """Text of each declared column."""
    undeclared: list[pa.Array]
    """Text of each column that nobody declared."""
    lines: pa.Array
    """Line of the file on which the row begins, from 1."""
    torn: pa.Array
    """Raw text of a row that cannot be split; null for a good one."""
    reasons: pa.Array
    """Why it cannot."""


class Row(NamedTuple):
    """One row that was split, or could not be."""

    line: int
    values: Sequence[str | None] | None
    """As many as the header has names; None for a torn row."""
    torn: str | None = None
    reason: str | None = None


def as_rows(
    rows: list[Row], positions: Sequence[int | None], undeclared: Sequence[int], null_values: frozenset[str]
) -> Rows:
    """Put rows side by side as columns: the declared ones stand at `positions` (None: not in the file)."""
    import pyarrow as pa

    count = len(rows)
    nothing = pa.nulls(count, pa.string())
    wanted = {place for place in positions if place is not None}.union(undeclared)
    is_torn = any(row.values is None for row in rows)
    unknown = [None] * (max(wanted, default=0) + 1)
    side_by_side = list(zip(*(row.values or unknown for row in rows), strict=False))
    by_place = {
        place: pa.array([None if value in null_values else value for value in side_by_side[place]], pa.string())
        for place in wanted
    }
    return Rows(
        columns=[nothing if place is None else by_place[place] for place in positions],
        undeclared=[by_place[place] for place in undeclared],
        lines=pa.array([row.line for row in rows], pa.int64()),
        torn=pa.array([row.torn for row in rows], pa.string()) if is_torn else nothing,
        reasons=pa.array([row.reason for row in rows], pa.string()) if is_torn else nothing,
    )
