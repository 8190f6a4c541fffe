"""From rows of facts back to the deliveries that they came with: file, line and moment of landing.

dbt's models say how: the lineage of a fact's keys ends in columns of staging, and whose rows these are is told by the
identifier that the model looks up in identity mapping. Staging is one to one with what landed, so it is read once more
with the columns `_source_file`, `_line` and `_landed_at` added.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage

from tagloom.tags.project import Project, layer_of, parents_of

if TYPE_CHECKING:
    from dbt.contracts.graph.nodes import ManifestNode

    from tagloom.tags.beside import Beside

DIALECT = "duckdb"

PROVENANCE = ("_source_file", "_line", "_landed_at")


@dataclass(frozen=True)
class DeliveredRow:
    """A row as it was delivered."""

    source_file: str
    line: int | None
    landed_at: datetime


@dataclass(frozen=True)
class Origin:
    """Delivered rows of one source that facts were made of."""

    table: str
    """<source>.<table> as the declaration names it."""
    traced_by: tuple[str, ...]
    """Columns, and the person's identifier, by which the rows were found."""
    rows: int
    files: int
    shown: tuple[DeliveredRow, ...]


@dataclass(frozen=True)
class _Column:
    """A column of a staging model."""

    model: str
    name: str
    is_same_value: bool
    """False when something is computed from it on the way."""


class Tracer:
    """Finds where rows of intermediate models came from, for one day."""

    def __init__(self, beside: Beside, project: Project, day: date) -> None:
        """The tables that models read must be laid in `beside` or be in the warehouse."""
        self._beside = beside
        self._project = project
        self._day = day
        self._sql: dict[str, str] = {}
        self._schema = _schema(beside.connection)
        self._by_name = {(node.schema, node.name): node for node in project.models()}

    def origins(self, node: ManifestNode, facts: str, person: int, limit: int) -> list[Origin]:
        """Delivered rows behind a temporary table of a person's rows of an intermediate model, newest first."""
        chain = [node, *self._intermediate_below(node)]
        self._compile([*chain, *(self._project.node(name) for one in chain for name in parents_of(one))])
        found = []
        done: set[str] = set()
        for model in chain:
            for lookup, identifier in self._lookups(model):
                staging = self._staging_of(model, identifier, lookup)
                if staging is None or staging.model in done:
                    continue
                done.add(staging.model)
                origin = self._origin(node, facts, person, limit, model, lookup, staging)
                if origin is not None:
                    found.append(origin)
        return found

    def _origin(
        self,
        node: ManifestNode,
        facts: str,
        person: int,
        limit: int,
        model: ManifestNode,
        lookup: str,
        identifier: _Column,
    ) -> Origin | None:
        connection = self._beside.connection
        columns = [row[0] for row in connection.execute(f"describe {facts}").fetchall()]
        keys, times = self._keys_and_times(node, identifier.model, facts, columns)
        connection.execute(
            "create or replace temp table own_identifiers as "
            f"{_with(self._tree(model))} select distinct {_name(identifier.name)} as identifier "
            f"from {_name(lookup)} where person_id = {person:d}"
        )
        conditions = [f"staged.{_name(identifier.name)} in (select identifier from own_identifiers)"]
        traced_by = [identifier.name]
        alike = [f"staged.{_name(staged)} = facts.{_name(column)}" for staged, column in keys.items()]
        if times:
            staged, first, last = times
            alike.append(f"staged.{_name(staged)} between facts.{_name(first)} and facts.{_name(last)}")
            traced_by.append(staged)
        if alike:
            conditions.append(f"exists (select 1 from {facts} as facts where {' and '.join(alike)})")
            traced_by = [*keys, *traced_by]
        query = f"from ({self._staged_with_provenance(identifier.model)}) as staged where {' and '.join(conditions)}"
        try:
            [(rows, files)] = connection.execute(f"select count(*), count(distinct _source_file) {query}").fetchall()
            shown = connection.execute(
                f"select {', '.join(PROVENANCE)} {query} "
                f"order by _landed_at desc, _source_file desc, _line limit {limit:d}"
            ).fetchall()
        except duckdb.Error:
            return None
        return Origin(
            self._source_name(identifier.model),
            tuple(traced_by),
            rows,
            files,
            tuple(DeliveredRow(*row) for row in shown),
        )

    def _keys_and_times(
        self, node: ManifestNode, staging: str, facts: str, columns: list[str]
    ) -> tuple[dict[str, str], tuple[str, str, str] | None]:
        """Staging column -> fact column of the same value; a staged moment and the two that it lies between, if any."""
        keys: dict[str, str] = {}
        moments: dict[str, list[str]] = {}
        types = dict(
            self._beside.connection.execute(f"select column_name, column_type from (describe {facts})").fetchall()
        )
        for column in columns:
            if column == "person_id" or not (column.endswith("_id") or types[column] == "TIMESTAMP"):
                continue
            for leaf in self._leaves(node, column):
                if leaf.model != staging:
                    continue
                if types[column] == "TIMESTAMP":
                    moments.setdefault(leaf.name, []).append(column)
                elif leaf.is_same_value:
                    keys.setdefault(leaf.name, column)
        between = next(((staged, ends[0], ends[-1]) for staged, ends in moments.items() if len(ends) == 2), None)
        return keys, between

    def _leaves(self, node: ManifestNode, column: str, tree: exp.Expression | None = None) -> list[_Column]:
        """Columns of staging that a column of a model comes from."""
        try:
            found = lineage(column, tree or self._tree(node), schema=self._schema, dialect=DIALECT)
        except (SqlglotError, ValueError, KeyError):
            return []
        leaves = []
        for table, name, is_same in _ends(found, True):
            model = self._by_name.get(table)
            if model is None:
                continue
            if layer_of(model) == "staging":
                leaves.append(_Column(model.name, name, is_same))
            elif layer_of(model) == "intermediate" and model.unique_id != node.unique_id:
                self._compile([model])
                leaves += [
                    _Column(one.model, one.name, one.is_same_value and is_same) for one in self._leaves(model, name)
                ]
        return list(dict.fromkeys(leaves))

    def _lookups(self, node: ManifestNode) -> Iterator[tuple[str, str]]:
        """CTEs that look identifiers up (identifier, identifier_hash, ..., person_id), with the identifier's name."""
        if node.unique_id not in self._sql:
            return
        for cte in self._tree(node).ctes:
            names = cte.this.named_selects if isinstance(cte.this, exp.Query) else []
            # As the macro persons_by_identifier writes them, the identifier first.
            if {"identifier_hash", "person_id"} <= set(names[1:]):
                yield cte.alias, names[0]

    def _staging_of(self, node: ManifestNode, identifier: str, lookup: str) -> _Column | None:
        tree = self._tree(node).copy()
        for part in ("joins", "where", "group", "having", "order", "limit", "qualify"):
            tree.set(part, None)
        select = sqlglot.parse_one(f"select {_name(identifier)} from {_name(lookup)}", dialect=DIALECT)
        tree.set("expressions", select.expressions)
        tree.set("from_" if "from_" in exp.Select.arg_types else "from", select.find(exp.From))
        return next((leaf for leaf in self._leaves(node, identifier, tree)), None)

    def _staged_with_provenance(self, model: str) -> str:
        node = next(node for node in self._project.models() if node.name == model)
        self._compile([node])
        tree = self._tree(node).copy()
        for select in tree.find_all(exp.Select):
            if not any(isinstance(column, exp.Star) for column in select.expressions):
                for name in PROVENANCE:
                    select.append("expressions", exp.column(name))
        return tree.sql(dialect=DIALECT)

    def _source_name(self, model: str) -> str:
        node = next(node for node in self._project.models() if node.name == model)
        for parent_id in parents_of(node):
            source = self._project.manifest.sources.get(parent_id)
            if source is not None:
                return f"{source.source_name}.{source.name}"
        return model

    def _intermediate_below(self, node: ManifestNode) -> list[ManifestNode]:
        found: list[ManifestNode] = []
        for parent_id in parents_of(node):
            parent = self._project.node(parent_id)
            if parent is not None and layer_of(parent) == "intermediate":
                found += [parent, *self._intermediate_below(parent)]
        return list({one.unique_id: one for one in found}.values())

    def _compile(self, nodes: list[ManifestNode | None]) -> None:
        wanted = [
            node
            for node in nodes
            if node is not None
            and node.unique_id not in self._sql
            and node.resource_type == "model"
            and layer_of(node) in ("intermediate", "staging")
        ]
        if wanted:
            self._sql |= self._project.compile(wanted, self._day)
            for node in wanted:
                self._beside.mirror_parents(self._project, node)

    def _tree(self, node: ManifestNode) -> exp.Expression:
        return sqlglot.parse_one(self._sql[node.unique_id], dialect=DIALECT)


def _schema(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Columns of every table, as sqlglot wants them to resolve stars."""
    found: dict[str, Any] = {}
    rows = connection.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() where database_name = 'current'"
    ).fetchall()
    for schema, table, column, data_type in rows:
        found.setdefault("warehouse", {}).setdefault(schema, {}).setdefault(table, {})[column] = data_type
    return found


def _ends(node: Node, is_same: bool) -> Iterator[tuple[tuple[str, str], str, bool]]:
    """(Schema and table, column, passed on as it is) of every table that a lineage ends in."""
    expression = node.expression
    if isinstance(expression, exp.Table):
        yield (expression.db, expression.name), node.name.rpartition(".")[2].strip('"'), is_same
        return
    inner = expression
    while isinstance(inner, exp.Alias | exp.Cast | exp.Paren):
        inner = inner.this
    for child in node.downstream:
        yield from _ends(child, is_same and isinstance(inner, exp.Column))


def _with(tree: exp.Expression) -> str:
    """The CTEs of a query, as the beginning of another one."""
    return "with " + ", ".join(cte.sql(dialect=DIALECT) for cte in tree.ctes) if tree.ctes else ""


def _name(name: str) -> str:
    return f'"{name}"'
