"""Stand-ins for the type macros of dbt while sqlfluff reads a model."""

from __future__ import annotations

from collections.abc import Callable

PREFIX = "type_"


def __getattr__(name: str) -> Callable[[], str]:
    """Return the stand-in of a type macro: `dbt.type_string()` is written as the type `string`."""
    if not name.startswith(PREFIX):
        raise AttributeError(f"sqlfluff_library/dbt.py has no stand-in for dbt.{name}; write one.")
    return lambda: name.removeprefix(PREFIX)
