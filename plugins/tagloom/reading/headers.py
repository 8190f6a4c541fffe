"""Compares the columns that a file has with those that were declared."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from tagloom.reading.deliveries import DeliveryError
from tagloom.sources import Table

_SHOWN_NAMES = 40


def locate_columns(table: Table, names: Sequence[str], path: Path) -> list[int | None]:
    """Where each declared column stands among the names that a file has; None for an optional one that it lacks.

    Names must be the same letter for letter. Raises DeliveryError when a required column is missing, when a declared
    name stands there twice, or when none of the declared names is there at all.
    """
    headers = [column.header for column in table.columns]
    doubled = [header for header in headers if names.count(header) > 1]
    if doubled:
        raise DeliveryError(
            f"{path}: has the column {', '.join(doubled)} twice, so nobody knows which one counts. "
            "Ask the source to name it once."
        )
    if not set(headers) & set(names):
        raise DeliveryError(
            f"{path}: has none of the declared columns ({_listed(headers)}) in its header: {_listed(names)}"
            f"{_guesses(headers, names)}. Ask the source for the declared layout, or correct path, delimiter, "
            "encoding, skip_lines or columns of its declaration."
        )
    missing = [column.header for column in table.columns if column.required and column.header not in names]
    if missing:
        raise DeliveryError(lack(path, missing, headers, names))
    return [names.index(header) if header in names else None for header in headers]


def lack(path: Path, missing: Sequence[str], headers: Sequence[str], names: Sequence[str]) -> str:
    """The sentence that says that a file lacks required columns, with what they may be called now."""
    undeclared = [name for name in names if name not in headers]
    return (
        f"{path}: lacks the required column{'s' if len(missing) > 1 else ''} {', '.join(missing)} "
        f"(it has {_listed(names)}){_guesses(missing, undeclared)}. Ask the source for the old layout, or change the "
        "declaration: delivered_as says what the delivery calls a column."
    )


def likely_renames(missing: Sequence[str], undeclared: Sequence[str]) -> dict[str, str]:
    """Missing name -> the undeclared one that is most like it, where one is: likely the same column, renamed."""
    by_letters = {_letters(name): name for name in undeclared}
    renames = {}
    for name in missing:
        close = difflib.get_close_matches(_letters(name), list(by_letters), n=1, cutoff=0.6)
        if close and close[0]:
            renames[name] = by_letters.pop(close[0])
    return renames


def _letters(name: str) -> str:
    return re.sub(r"\W|_", "", name).casefold()


def _guesses(missing: Sequence[str], undeclared: Sequence[str]) -> str:
    renames = likely_renames(missing, undeclared)
    return "".join(f"; perhaps {new} is what {old} is called now" for old, new in renames.items())


def _listed(names: Sequence[str]) -> str:
    shown = [name if len(name) <= 100 else f"{name[:100]}…" for name in names[:_SHOWN_NAMES] if name]
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return (", ".join(shown) or "nothing") + more
