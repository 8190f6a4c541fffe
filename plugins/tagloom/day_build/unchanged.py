"""Small tables of facts that a day leaves as they are, or changes for the persons of other facts alone.

Such a table is computed from a few small staging views, from who is who, and perhaps from other facts. Nothing in it
changes when the views hold what they held for the base, no identifier in them belongs to another person, and no date in
them is reached on the way to the day. What the views held is noted as a hash of their rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from tagloom.affected import exists
from tagloom.day_build.models import Graph, is_person_table, models_of, replaced_of
from tagloom.settings import PROJECT, Settings
from tagloom.sources import Source, Table, load_source
from tagloom.sql_text import quoted
from tagloom.tags.rendered_sql import RenderingError
from tagloom.windows import Reading, read_windows

if TYPE_CHECKING:
    import duckdb

    from tagloom.day_build.causes import Causes

_TABLES = """
create schema if not exists operations;
create table if not exists operations.base_contents (staging varchar, row_count bigint, content_hash hugeint);
create table if not exists operations.changed_rows (model varchar, person_id bigint);
create table if not exists operations.updated_persons (person_id bigint);
"""

_BEGUN = "a build has begun"
"""Stands in operations.changed_rows, under nobody, from the first attempt until the build is finished."""

_HASHED_TYPE = re.compile(r"encode\('(\w+):'")
"""Identifier types whose values a model looks up, as identifier_hash.sql writes them."""


@dataclass
class SmallFacts:
    """Says of small tables of facts why rows of them change."""

    causes: Causes
    settings: Settings
    _unchanged_views: dict[str, bool] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        """The models of the layer."""
        return self.causes.graph

    def why_rows_change(self, node: dict, unchanged: set[str]) -> frozenset | None:
        """Causes as `Causes` knows them: persons of other facts. Empty: no row changes; None: any row may.

        unchanged: names of the tables of facts that the day leaves as they are.
        """
        sql = self._sql(node)
        reading = read_windows(sql) if sql is not None else None
        if reading is None or reading.anniversaries or reading.moves_for_everybody:
            return None
        # What an update, or a build that was killed, has made of a person may be neither as before nor as it will be.
        causes = {("changed", node["name"])} if self.was_begun or self.was_updated else set()
        for parent in self.graph.parents(node):
            name = parent["name"]
            if parent["resource_type"] == "seed" or name in unchanged:
                continue
            if parent.get("schema") == "staging":
                if not self.is_unchanged_view(name) or self._reaches_a_date(name, reading):
                    return None
            elif name == "identity_map":
                if self._may_move(node, sql):
                    return None
            elif parent.get("schema") == "intermediate" and is_person_table(parent) and not reading.local_days:
                causes |= {("changed", name), *self.causes.edges(parent, reading)}
            else:
                return None
        return frozenset(causes)

    @cached_property
    def was_begun(self) -> bool:
        """Whether a build that was killed may have made other tables of the base's. From here on one has begun."""
        found = self.graph.connection.execute(
            f"select 1 from operations.changed_rows where model = '{_BEGUN}' limit 1"
        ).fetchall()
        self.graph.connection.execute(f"insert into operations.changed_rows values ('{_BEGUN}', null)")
        return bool(found)

    @cached_property
    def was_updated(self) -> bool:
        """Whether updates have replaced rows of persons since the base."""
        return bool(self.graph.connection.execute("select 1 from operations.updated_persons limit 1").fetchall())

    @cached_property
    def moved_types(self) -> set[str]:
        """Types of the identifiers that belong to another person than in the base."""
        rows = self.graph.connection.execute(
            "select distinct identifier_type from operations.moved_identifiers"
        ).fetchall()
        return {row[0] for row in rows}

    def is_unchanged_view(self, staging: str) -> bool:
        """Whether a staging view holds the rows that it held when the base was built."""
        if staging not in self._unchanged_views:
            self._unchanged_views[staging] = bool(
                self.graph.connection.execute(
                    """
                    select 1
                    from operations.base_contents as base
                    inner join operations.coming_contents as now on base.staging = now.staging
                    where
                        base.staging = ?
                        and base.row_count = now.row_count
                        and base.content_hash is not distinct from now.content_hash
                    """,
                    [staging],
                ).fetchall()
            )
        return self._unchanged_views[staging]

    def _sql(self, node: dict) -> str | None:
        try:
            return self.causes.renderer.render(PROJECT / "dbt_project" / node["original_file_path"]).sql
        except RenderingError:
            return None

    def _reaches_a_date(self, staging: str, reading: Reading) -> bool:
        """Whether a date in the view enters or leaves a window of the model between the base and the day."""
        kinds = {
            name: kind
            for name, kind in self.graph.columns("staging", staging)
            if kind == "DATE" or kind.startswith("TIMESTAMP")
        }
        zone = quoted(self.settings.time_zone)
        reached = []
        for window in reading.windows:
            first, last = window.moved(self.causes.base.as_of_date, self.causes.day)
            moments = reading.local_days.get(window.column, frozenset())
            if moments and moments <= set(kinds):
                reached += [
                    f"cast(timezone({zone}, timezone('UTC', {moment})) as date) between '{first}' and '{last}'"
                    for moment in sorted(moments)
                ]
                continue
            for name in [window.column] if window.column in kinds else kinds:
                # A moment may be compared as it is, or by the days of a time zone.
                slack = timedelta(0 if kinds[name] == "DATE" else 1)
                reached.append(f"cast({name} as date) between '{first - slack}' and '{last + slack}'")
        return bool(reached) and bool(
            self.graph.connection.execute(
                f"select 1 from staging.{staging} where {' or '.join(reached)} limit 1"
            ).fetchall()
        )

    def _may_move(self, node: dict, sql: str) -> bool:
        """Whether an identifier that the model looks up belongs to another person than in the base.

        What stands in which source identity mapping has observed; without that, any identifier of the type counts.
        """
        types = set(_HASHED_TYPE.findall(sql))
        if types and not types & self.moved_types:
            return False
        if not types or not exists(self.graph.connection, "identity_mapping", "identity_observations"):
            return bool(self.moved_types)
        views = [declared(self.settings, parent["name"]) for parent in self.graph.parents(node) if _is_staging(parent)]
        if not types <= {found for _, table in views for found in table.identifiers.values()}:
            return True
        return any((source.name, moved) in self._moved_in_sources for source, _ in views for moved in types)

    @cached_property
    def _moved_in_sources(self) -> set[tuple[str, str]]:
        """(source, identifier type) of the sources with an identifier that belongs to another person now."""
        return set(
            self.graph.connection.execute(
                """
                select distinct observations.source, observations.identifier_type
                from identity_mapping.identity_observations as observations
                inner join operations.moved_identifiers as moved
                    on
                        observations.identifier_hash = moved.identifier_hash
                        and observations.identifier_type = moved.identifier_type
                """
            ).fetchall()
        )


def declared(settings: Settings, staging: str) -> tuple[Source, Table]:
    """The declaration behind a staging view, by its name stg_<source>__<table>."""
    source_name, _, table_name = staging.removeprefix("stg_").partition("__")
    source = load_source(settings.sources / f"{source_name}.yml")
    return source, next(table for table in source.tables if table.name == table_name)


def note_contents(connection: duckdb.DuckDBPyConnection, manifest: dict) -> None:
    """operations.coming_contents: what the small staging views hold now, before facts are computed from them."""
    connection.execute(_TABLES)
    connection.execute("create or replace table operations.coming_contents as from operations.base_contents limit 0")
    for staging in _small_views(manifest):
        if exists(connection, "staging", staging):
            connection.execute(
                f"insert into operations.coming_contents select '{staging}', count(*), sum(hash(content)) "
                f"from staging.{staging} as content"
            )


def keep_contents(connection: duckdb.DuckDBPyConnection, manifest: dict) -> None:
    """Make what `note_contents` has found the contents of the base, within the caller's transaction."""
    connection.execute(_TABLES)
    if not exists(connection, "operations", "coming_contents"):
        note_contents(connection, manifest)
    connection.execute("delete from operations.base_contents")
    connection.execute("insert into operations.base_contents from operations.coming_contents")
    connection.execute("drop table operations.coming_contents")


def _small_views(manifest: dict) -> list[str]:
    """Staging views that tables of facts read, but for the large ones, whose new rows are found by themselves."""
    nodes = manifest["nodes"]
    facts = models_of(manifest, "intermediate").values()
    large = {staging for node in facts for staging in (replaced_of(node) or {}).get("facts", {})}
    read = {name for node in facts if not replaced_of(node) for name in node["depends_on"]["nodes"]}
    return sorted(
        nodes[name]["name"]
        for name in read
        if name in nodes and _is_staging(nodes[name]) and nodes[name]["name"] not in large
    )


def _is_staging(node: dict) -> bool:
    return node["resource_type"] == "model" and node.get("schema") == "staging"
