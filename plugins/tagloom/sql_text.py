"""Text inside SQL that is put together here, where a parameter cannot stand."""

from __future__ import annotations


def quoted(text: str) -> str:
    """The text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"
