"""A database in memory beside the warehouse: models as the analyst wrote them, over tables as they were built.

The warehouse is attached read-only, so nothing in it can change. What is not built, or not built for the day that is
asked for, is a view of the SQL that dbt makes of the model now.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

import duckdb

from tagloom import warehouse
from tagloom.settings import Settings
from tagloom.tags.project import Project, TagRequestError, layer_of, parents_of
from tagloom.warehouse import WarehouseBusyError, prepare_connection

if TYPE_CHECKING:
    from dbt.contracts.graph.nodes import ManifestNode

DEPENDS_ON_THE_DAY = ("intermediate", "tag_category")
"""Layers that are computed again for another day than the warehouse's; who is who stays as it was built."""

ANOTHER_PROCESS = (
    "{file} is being written by another process, probably a build or an update of tags. Try again when it is done; "
    "what is published can be read at any time."
)


class Beside:
    """An in-memory database with the warehouse at its side.

    `connection` has three catalogues: `current` is the warehouse, read-only; `warehouse` has what models read, which is
    that, or a view of what is not built; the default one is for whoever asks.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """`connection` has the warehouse attached as `current`."""
        self.connection = connection
        connection.execute("attach ':memory:' as warehouse")
        rows = connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'current' "
            "union all select schema_name, view_name from duckdb_views() where database_name = 'current'"
        ).fetchall()
        self._built = set(rows)
        self._laid: set[str] = set()

    def is_built(self, schema: str, name: str) -> bool:
        """Whether the warehouse has this table or view."""
        return (schema, name) in self._built

    def built_for(self) -> date | None:
        """The day that the warehouse's tags are of; None while no build of them is finished."""
        if not self.is_built("operations", "layer_state"):
            return None
        rows = self.connection.execute(
            "select as_of_date from current.operations.layer_state where layer = 'tag_category'"
        ).fetchall()
        return rows[0][0] if rows else None

    def lay(self, project: Project, node: ManifestNode, day: date) -> tuple[str, list[str]]:
        """Make everything ready that a model reads on a day; the SQL of the model, and what had to be computed for it.

        Raises TagRequestError when rows of a source have never landed, or the SQL is wrong.
        """
        computed = [one for one in self._to_compute(project, node, day) if one.unique_id not in self._laid]
        compiled = project.compile([node, *computed], day)
        for one in computed:
            self.mirror_parents(project, one)
            self._create_view(one.schema, one.name, compiled[one.unique_id])
            self._laid.add(one.unique_id)
        self.mirror_parents(project, node)
        return compiled[node.unique_id], [one.name for one in computed]

    def _to_compute(self, project: Project, node: ManifestNode, day: date) -> list[ManifestNode]:
        """Ancestors that are not there as they are needed, each behind what it reads."""
        is_other_day = day != self.built_for()
        found: dict[str, ManifestNode] = {}
        seen: set[str] = set()

        def walk(one: ManifestNode) -> None:
            for parent_id in parents_of(one):
                parent = project.node(parent_id)
                if parent is None or parent_id in seen:
                    continue
                seen.add(parent_id)
                is_old = is_other_day and layer_of(parent) in DEPENDS_ON_THE_DAY
                if is_old or not self.is_built(parent.schema, parent.name):
                    _need_sql(parent)
                    walk(parent)
                    found[parent_id] = parent

        walk(node)
        return list(found.values())

    def mirror_parents(self, project: Project, node: ManifestNode) -> None:
        """Let the catalogue `warehouse` show what a model reads, as it is built, unless it has it already.

        Raises TagRequestError when a table is not there because rows of its source have never landed.
        """
        for parent_id in parents_of(node):
            if parent_id in self._laid:
                continue
            parent = project.node(parent_id) or project.manifest.sources[parent_id]
            name = getattr(parent, "identifier", None) or parent.name
            if not self.is_built(parent.schema, name):
                source = parent.schema.removeprefix("raw_")
                raise TagRequestError(
                    f"{node.name} reads {parent.schema}.{name}, which is not in the warehouse; "
                    f"run ingest_{source} first."
                )
            self._create_view(parent.schema, name, f'select * from current."{parent.schema}"."{name}"')
            self._laid.add(parent_id)

    def _create_view(self, schema: str, name: str, sql: str) -> None:
        self.connection.execute(f'create schema if not exists warehouse."{schema}"')
        try:
            self.connection.execute(f'create or replace view warehouse."{schema}"."{name}" as {sql}')
        except duckdb.Error as error:
            raise TagRequestError(f"{name}: DuckDB cannot run its SQL: {first_line(error)}") from error


@contextmanager
def open_beside(settings: Settings) -> Iterator[Beside]:
    """A database in memory beside the warehouse, for as long as it is needed.

    Raises TagRequestError when there is no warehouse, WarehouseBusyError when another process keeps writing it.
    """
    if not settings.warehouse.exists():
        raise TagRequestError("Nothing is built yet; run `make demo` or build_tags first.")
    with (
        tempfile.TemporaryDirectory(prefix="tagloom-") as folder,
        duckdb.connect(
            config={"memory_limit": settings.memory_limit, "threads": settings.threads, "temp_directory": folder}
        ) as connection,
    ):
        # A table that is missing must not be looked for among the variables of this program.
        connection.execute("set python_enable_replacements = false")
        attach_read_only(connection, settings)
        prepare_connection(connection)
        yield Beside(connection)


def attach_read_only(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Attach the warehouse as `current`, waiting for a process that is about to let go of it.

    Raises WarehouseBusyError when another process keeps writing it.
    """
    deadline = time.monotonic() + warehouse.LOCK_WAIT_SECONDS
    file = str(settings.warehouse).replace("'", "''")
    while True:
        try:
            connection.execute(f"attach '{file}' as current (read_only)")
            return
        except duckdb.IOException as error:
            if "lock" not in str(error):
                raise
            if time.monotonic() > deadline:
                raise WarehouseBusyError(ANOTHER_PROCESS.format(file=settings.warehouse)) from error
            time.sleep(0.5)


def first_line(error: Exception) -> str:
    """What an error of DuckDB says, without its picture of the SQL."""
    return " ".join(str(error).partition("\n\n")[0].split())


def _need_sql(node: ManifestNode) -> None:
    if node.resource_type == "seed" or node.language != "sql":
        what = "seed" if node.resource_type == "seed" else "Python model"
        raise TagRequestError(f"The {what} {node.name} is not built yet; run build_tags first.")
