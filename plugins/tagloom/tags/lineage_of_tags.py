"""What each tag is computed from, down to the columns of staging, and which models use which tags.

Read from the SQL files of the dbt project, so it is known before anything is built. `record` writes it to
operations.tag_lineage, from where the catalogue has it.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tagloom.operations import create_operations_tables
from tagloom.tags.column_lineage import Column, LineageError, QueryColumns, query_columns
from tagloom.tags.definitions import TagModel, load_tags
from tagloom.tags.rendered_sql import ModelSql, Renderer
from tagloom.tags.wide_tables import wide_tables
from tagloom.tags.written_text import published

if TYPE_CHECKING:
    import duckdb

TagName = tuple[str, str]
"""Object and tag."""

WHO_IS_WHO = ("person_id", "household_id", "identifier_hash", "identifier_type", "identifier_key")
"""Columns of identity mapping that say whose a row is: every source has a part in them, so they are not followed."""

_TAG_MODEL = re.compile(r"tag_\w+__\w+")

ONLY_KEYS = ("person_id", "identifier_hash", "identifier_key")
"""Those of them that no value comes from."""

MUST_BE_READ = ("tag_category", "serving", "data-tests")
"""Layers that may use tags, so their SQL must be understood. Of the tag integration layer it is known what it holds."""


@dataclass(frozen=True)
class Project:
    """The SQL of one dbt project and its tags."""

    models: dict[str, ModelSql]
    tag_models: list[TagModel]
    queries: dict[str, QueryColumns]
    """Model -> its columns, for every model whose SQL was understood."""
    problems: tuple[str, ...] = ()
    """One sentence per file that may use tags and was not understood."""
    tables: dict[str, list[str]] = field(default_factory=dict)
    """Model, seed or table of the integration layer -> its columns."""

    @cached_property
    def tag_of_column(self) -> dict[Column, TagName]:
        """Column of a tag model, a table of the integration layer or its view -> the tag that it is."""
        tags = {(model.name, tag.name): (model.object, tag.name) for model in self.tag_models for tag in model.columns}
        for table, object_name in self.wide.items():
            tags |= {(table, column): (object_name, column) for column in self.tables[table][1:]}
        return tags

    @cached_property
    def wide(self) -> dict[str, str]:
        """Table or view of the integration layer with a row per object -> the object."""
        found = {}
        for object_name, models in _by_object(self.tag_models).items():
            found[f"{object_name}_tags"] = object_name
            found |= {table.name: object_name for table in wide_tables(object_name, models)}
        return found

    def origins(self, model: str, column: str) -> frozenset[Column]:
        """The columns of staging, of seeds and of identity mapping that a model's column comes from.

        `<table>.*` when its rows are counted.
        """
        return self._follow((model, column), {})

    def _follow(self, start: Column, found: dict[Column, frozenset[Column]]) -> frozenset[Column]:
        if start in found:
            return found[start]
        table, column = start
        layer = self.models[table].layer if table in self.models else None
        if layer == "staging" or (layer is None and table in self.tables):
            return frozenset({start})
        if layer == "identity_mapping" and column in (*WHO_IS_WHO, "*"):
            return frozenset() if column in ONLY_KEYS else frozenset({start})
        if table not in self.queries:
            return frozenset()
        # A model never reads itself, but a mistake in the SQL may make it look so.
        found[start] = frozenset()
        query = self.queries[table]
        direct = query.rows if column == "*" else query.outputs.get(column, frozenset())
        found[start] = frozenset().union(*(self._follow(origin, found) for origin in direct))
        return found[start]

    def sources(self, model: str, column: str) -> set[str]:
        """Tables of sources, as <source>.<table>, that a model's column comes from."""
        staged = {table for table, _ in self.origins(model, column)} & self.models.keys()
        return {
            source.removeprefix("raw_")
            for name in staged
            if self.models[name].layer == "staging"
            for source in self.models[name].sources
        }

    def used_tags(self, model: str, seen: frozenset[str] = frozenset()) -> set[TagName]:
        """The tags that a model uses, in its own SQL or through models of serving that it reads."""
        query = self.queries.get(model)
        if query is None or model in seen:
            return set()
        tags = {self.tag_of_column[column] for column in query.used if column in self.tag_of_column}
        for name in self.models[model].refs:
            if name in self.models and self.models[name].layer == "serving":
                tags |= self.used_tags(name, seen | {model})
        return tags


def read_project(project: Path, tag_models: list[TagModel] | None = None) -> Project:
    """Read the SQL of a dbt project.

    Raises TagError when its twins are wrong.
    """
    if tag_models is None:
        tag_models = load_tags(project / "models" / "tag_category")
    models = Renderer(project).models()
    tables = {path.stem: _seed_columns(path) for path in (project / "seeds").glob("*.csv")}
    for object_name, members in _by_object(tag_models).items():
        key = members[0].key
        parts = wide_tables(object_name, members)
        tables |= {table.name: [key, *(tag.name for tag in table.columns)] for table in parts}
        tables[f"{object_name}_tags"] = [key, *(tag.name for table in parts for tag in table.columns)]
    queries: dict[str, QueryColumns] = {}
    problems = []
    needed = _needed(models, {*tables, *(model.name for model in tag_models)})
    for name in _in_order(models):
        model = models[name]
        if name not in needed or name in tables:
            continue
        known = {table: tables[table] for table in model.refs if table in tables}
        if model.problem:
            problems += [model.problem] if model.layer in MUST_BE_READ else []
            continue
        problems += [
            f"{model.path}: reads {ref}, a tag model that does not exist (any more)"
            for ref in sorted(model.refs)
            if _TAG_MODEL.match(ref) and ref not in models
        ]
        try:
            queries[name] = query_columns(model.sql, known)
        except LineageError as error:
            if model.layer in MUST_BE_READ:
                problems.append(f"{model.path}: cannot be understood, so nobody knows which tags it uses: {error}")
            continue
        if "*" not in queries[name].outputs and "" not in queries[name].outputs:
            tables[name] = list(queries[name].outputs)
    return Project(models, tag_models, queries, tuple(problems), tables)


def record(connection: duckdb.DuckDBPyConnection, manifest: dict, project: Project) -> None:
    """Write operations.tag_lineage anew: one row per tag of any status. Its exposures are those of dbt's manifest."""
    create_operations_tables(connection)
    users = tag_users(project, manifest)
    rows = [
        [
            model.object,
            tag.name,
            ", ".join(sorted(project.sources(model.name, tag.name))),
            ", ".join(sorted(f"{table}.{column}" for table, column in project.origins(model.name, tag.name))),
            ", ".join(users.get((model.object, tag.name), [])),
            project.models[model.name].raw if model.name in project.models else None,
        ]
        for model in project.tag_models
        for tag in model.columns
    ]
    connection.begin()
    try:
        connection.execute("delete from operations.tag_lineage")
        connection.executemany("insert into operations.tag_lineage values (?, ?, ?, ?, ?, ?)", rows)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def tag_users(project: Project, manifest: dict) -> dict[TagName, list[str]]:
    """Tag -> models of serving, exposures over them and other tags (<object>.<tag>) that use it, sorted."""
    users: dict[TagName, set[str]] = {}
    for name, model in project.models.items():
        if model.layer == "serving":
            over_it = {name, *_exposures(manifest, name)}
            for tag in project.used_tags(name):
                users.setdefault(tag, set()).update(over_it)
    for model in project.tag_models:
        query = project.queries.get(model.name)
        for tag in model.columns if query else ():
            for column in query.outputs.get(tag.name, ()):
                used = project.tag_of_column.get(column)
                if used and used != (model.object, tag.name):
                    users.setdefault(used, set()).add(f"{model.object}.{tag.name}")
    return {tag: sorted(names) for tag, names in users.items()}


def _exposures(manifest: dict, model: str) -> list[str]:
    return [
        exposure["name"]
        for exposure in manifest.get("exposures", {}).values()
        if any(node.endswith(f".{model}") for node in exposure["depends_on"]["nodes"])
    ]


def _by_object(tag_models: list[TagModel]) -> dict[str, list[TagModel]]:
    """Object -> its models that have a published tag."""
    found: dict[str, list[TagModel]] = {}
    for model in tag_models:
        if published(model):
            found.setdefault(model.object, []).append(model)
    return found


def _seed_columns(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])


def _needed(models: dict[str, ModelSql], tables_with_tags: set[str]) -> set[str]:
    """Names of the models that may use tags, and of all that these are computed from."""
    waiting = [
        name
        for name, model in models.items()
        if model.layer in ("tag_category", "serving")
        or (model.layer == "data-tests" and any(ref in tables_with_tags or _TAG_MODEL.match(ref) for ref in model.refs))
    ]
    needed = set(waiting)
    while waiting:
        new = {
            ref
            for ref in models[waiting.pop()].refs
            if ref in models and models[ref].layer != "tag_integration" and ref not in needed
        }
        needed |= new
        waiting.extend(new)
    return needed


def _in_order(models: dict[str, ModelSql]) -> list[str]:
    """Names of the models, each after those that it reads."""
    ordered: dict[str, None] = {}
    waiting = sorted(models, reverse=True)
    on_the_way: set[str] = set()
    while waiting:
        name = waiting[-1]
        on_the_way.add(name)
        missing = [ref for ref in sorted(models[name].refs) if ref in models and ref not in ordered]
        missing = [ref for ref in missing if ref not in on_the_way]
        if missing:
            waiting.extend(missing)
            continue
        ordered[waiting.pop()] = None
    return list(ordered)
