"""dbt-duckdb plugin: every dbt session gets the identity key as session variables, so it is in no compiled file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbt.adapters.duckdb.plugins import BasePlugin

from tagloom.warehouse import prepare_connection

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Plugin(BasePlugin):
    """Loaded by profiles.yml; dbt-duckdb asks for a class of this name."""

    def configure_cursor(self, cursor: DuckDBPyConnection) -> None:
        """Prepare each cursor: DuckDB's variables belong to a session and dbt opens one per thread."""
        prepare_connection(cursor)
