"""The models of the layers that are built from day to day, as dbt tells of them, and what becomes of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tagloom.replacing import Replacement

if TYPE_CHECKING:
    import duckdb

LAYERS = ("intermediate", "tag_category", "tag_integration")
"""The layers that can be built from day to day; identity mapping has its own way, staging is views."""

PERSON_TABLE = "table_of_persons"
FULL_BUILD = "full_build"


@dataclass
class Prepared:
    """What a day does to the tables of a layer; what is neither replaced nor unchanged is made as a whole."""

    replacements: list[Replacement] = field(default_factory=list)
    unchanged: set[str] = field(default_factory=set)
    """Models of facts that the day leaves as they are; they are not computed."""
    whole: list[str] = field(default_factory=list)
    """Models of persons that are computed for everybody."""


@dataclass(frozen=True)
class Graph:
    """The models of a layer and what they stand on, in the manifest and in the warehouse."""

    connection: duckdb.DuckDBPyConnection
    manifest: dict
    layer: str
    known_columns: dict[str, dict[str, list[tuple[str, str]]]] = field(default_factory=dict)
    """Schema -> table -> (column, type), of the schemas that were asked for."""

    def node(self, name: str) -> dict:
        """A model of facts."""
        return next(node for node in models_of(self.manifest, "intermediate").values() if node["name"] == name)

    def parents(self, node: dict) -> list[dict]:
        """Models and seeds that a model reads."""
        nodes = self.manifest["nodes"]
        return [nodes[name] for name in node["depends_on"]["nodes"] if name in nodes]

    def in_order(self) -> Iterable[dict]:
        """The models of the layer, each after those of the layer that it reads."""
        models = models_of(self.manifest, self.layer)
        done: dict[str, dict] = {}

        def visit(name: str) -> None:
            if name in models and name not in done:
                for parent in models[name]["depends_on"]["nodes"]:
                    visit(parent)
                done[name] = models[name]

        for name in sorted(models):
            visit(name)
        return done.values()

    def columns(self, schema: str, name: str) -> list[tuple[str, str]]:
        """(column, type) of a table, in its order."""
        if schema not in self.known_columns:
            # All of a schema at once: DuckDB lists every column of the warehouse for each question.
            tables = self.known_columns.setdefault(schema, {})
            for table, column, data_type in self.connection.execute(
                "select table_name, column_name, data_type from information_schema.columns "
                "where table_schema = ? order by table_name, ordinal_position",
                [schema],
            ).fetchall():
                tables.setdefault(table, []).append((column, data_type))
        return self.known_columns[schema].get(name, [])


def models_of(manifest: dict, layer: str) -> dict[str, dict]:
    """Id -> node of the models of a layer."""
    return {
        name: node
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node["schema"] == layer
    }


def is_person_table(node: dict) -> bool:
    """Whether rows of the model belong to persons and can be replaced person by person."""
    return node["config"]["materialized"] == PERSON_TABLE


def replaced_of(node: dict) -> dict | None:
    """`meta: {replaced: ...}` of a large table of facts: how its rows are found that a day has changed.

    facts: {staging view: its column}. With `unit`, the column names what is computed as one, a basket, say, and `unit`
    the same in the table; lookups: {staging view: key} of what is joined to a row. With `from` and `to`, the columns of
    the first and last moment of a row, such as a session, the column of the view is the moment of a fact, and
    `of` says whose: {column of the view: column of the table}. identifier: {type: column of the table} that finds the
    rows of an identifier which changes hands. with: the table whose units or sessions it shares.
    """
    return node["config"].get("meta", {}).get("replaced")


def lookups(manifest: dict) -> set[tuple[str, str]]:
    """(staging view, its key) of what large tables of facts look up."""
    return {
        pair
        for node in models_of(manifest, "intermediate").values()
        for pair in (replaced_of(node) or {}).get("lookups", {}).items()
    }
