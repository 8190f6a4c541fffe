"""Rows for a terminal: columns one below the other, numbers to the right. Chinese characters count as two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from unicodedata import east_asian_width


def text_table(headings: Sequence[str], rows: Iterable[Sequence[object]], widest: int = 40) -> str:
    """One line per row below the headings; texts longer than `widest` characters are cut."""
    rows = [list(row) for row in rows]
    cells = [[_shown(value, widest) for value in row] for row in rows]
    is_number = [_are_numbers(row[position] for row in rows) for position in range(len(headings))]
    lines = [list(headings), *cells]
    widths = [max(_width(line[position]) for line in lines) for position in range(len(headings))]
    return "\n".join(
        "  ".join(
            _padded(cell, width, right) for cell, width, right in zip(line, widths, is_number, strict=True)
        ).rstrip()
        for line in lines
    )


def _are_numbers(values: Iterable[object]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(value, int | float | Decimal) for value in known)


def _shown(value: object, widest: int) -> str:
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = " ".join(str(value).split())
    return text if len(text) <= widest else text[: widest - 1] + "…"


def _width(text: str) -> int:
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space
