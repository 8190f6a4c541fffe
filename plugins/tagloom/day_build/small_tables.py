"""Whether a small table that is no table of persons has the rows that it had in the base.

Tags of everybody are computed from such a table (households, what everybody buys), so that a change of it is a change
of them all. Most days change none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagloom.affected import exists
from tagloom.day_build.models import is_person_table, models_of

if TYPE_CHECKING:
    import duckdb

TABLES = """
create table if not exists operations.base_tables (schema_name varchar, table_name varchar, content_hash varchar);
create table if not exists operations.changed_tables (schema_name varchar, table_name varchar);
"""
"""changed_tables: those found to differ from the base since the last finished build. A build that was killed may have
computed tags from what a table was then, so it counts as changed even when it is again what it was in the base."""

LAYERS = ("identity_mapping", "intermediate")


def small_tables(manifest: dict) -> list[tuple[str, str]]:
    """(schema, name) of the tables that tags read and that are neither tables of persons nor the persons."""
    nodes = manifest["nodes"]
    read = {parent for node in models_of(manifest, "tag_category").values() for parent in node["depends_on"]["nodes"]}
    return sorted(
        (node["schema"], node["name"])
        for node in (nodes[name] for name in read if name in nodes)
        if node["resource_type"] == "model"
        and node["schema"] in LAYERS
        and node["name"] != "persons"
        and not is_person_table(node)
    )


def remember(connection: duckdb.DuckDBPyConnection, manifest: dict) -> None:
    """Write down what the tables contain, now that a build is finished."""
    connection.execute("delete from operations.base_tables; delete from operations.changed_tables")
    for schema, name in small_tables(manifest):
        if exists(connection, schema, name):
            connection.execute(
                "insert into operations.base_tables values (?, ?, ?)",
                [schema, name, _content_hash(connection, schema, name)],
            )


def is_unchanged(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> bool:
    """Whether a table has the rows of the base; one that the base does not know has changed. Notes a change."""
    [(of_base,)] = connection.execute(
        "select max(content_hash) from operations.base_tables where schema_name = ? and table_name = ?", [schema, name]
    ).fetchall()
    [(times_noted,)] = connection.execute(
        "select count(*) from operations.changed_tables where schema_name = ? and table_name = ?", [schema, name]
    ).fetchall()
    if times_noted:
        return False
    if of_base is not None and of_base == _content_hash(connection, schema, name):
        return True
    connection.execute("insert into operations.changed_tables values (?, ?)", [schema, name])
    return False


def _content_hash(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> str:
    """The same for the same rows in whatever order."""
    [(content_hash,)] = connection.execute(
        f"select concat(count(*), ':', coalesce(sum(cast(hash(content) as hugeint)), 0)) "
        f'from "{schema}"."{name}" as content'
    ).fetchall()
    return content_hash
