"""Why rows of a model change from the base to a day, and whose they are."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import date, timedelta

from tagloom.day_build import small_tables
from tagloom.day_build.models import FULL_BUILD, LAYERS, Graph, is_person_table
from tagloom.day_build.plan import Base
from tagloom.settings import PROJECT
from tagloom.tags.rendered_sql import Renderer, RenderingError
from tagloom.windows import Reading, anniversary_condition, read_windows

MOST_PERSONS = 0.3
"""A model of which a larger share of persons has changed is computed whole, which is cheaper then."""

log = logging.getLogger(__name__)


@dataclass
class Causes:
    """What has changed that the models of a layer are computed from."""

    graph: Graph
    base: Base
    day: date
    renderer: Renderer = field(default_factory=lambda: Renderer(PROJECT / "dbt_project"))
    sets: dict[frozenset, str] = field(default_factory=dict)
    """What has changed -> table of the persons."""
    too_many: set[frozenset] = field(default_factory=set)
    """Those of `sets` whose persons are more than `MOST_PERSONS`."""
    causes: dict[str, frozenset | None] = field(default_factory=dict)
    """Model of tags -> why rows of it change; None: all do."""
    unchanged: dict[tuple[str, str], bool] = field(default_factory=dict)
    """(schema, name) of a small table -> whether it is that of the base."""

    def why_rows_change(self, node: dict) -> frozenset | None:
        """What has changed that rows of a model are computed from; None when that is not only rows of some persons."""
        reading = self.reading(node)
        if reading is None or reading.moves_for_everybody:
            return None
        if node["config"].get("meta", {}).get("updates") == FULL_BUILD:
            return None
        causes = set()
        for parent in self.graph.parents(node):
            name, layer = parent["name"], parent.get("schema")
            if parent["resource_type"] == "seed":
                continue
            if name == "persons" or (layer == "intermediate" and is_person_table(parent)):
                causes.add(("changed", name))
            elif self.causes_of(parent) is not None:
                causes |= self.causes_of(parent)
            elif not self.is_unchanged(parent):
                return None
            edges = self.edges(parent, reading)
            if edges and "person_id" not in dict(self.graph.columns(layer, name)):
                if self._has_rows(edges):
                    return None
                continue
            causes |= edges
        return frozenset(causes)

    def is_unchanged(self, parent: dict) -> bool:
        """Whether a small table, that is no table of persons, has the rows of the base."""
        table = (parent.get("schema"), parent["name"])
        if table not in self.unchanged:
            is_of_the_day = table[0] == "identity_mapping" or self.graph.layer != LAYERS[0]
            known = is_of_the_day and table in small_tables.small_tables(self.graph.manifest)
            self.unchanged[table] = known and small_tables.is_unchanged(self.graph.connection, *table)
        return self.unchanged[table]

    def reading(self, node: dict) -> Reading | None:
        """How a model depends on the day; None when its SQL cannot be rendered without dbt."""
        try:
            return read_windows(self.renderer.render(PROJECT / "dbt_project" / node["original_file_path"]).sql)
        except RenderingError as error:
            log.warning("%s is computed for everybody: %s", node["name"], error)
            return None

    def causes_of(self, parent: dict) -> frozenset | None:
        """Those of another table of tags, which may be of the layer before."""
        name = parent["name"]
        if name not in self.causes:
            if not is_person_table(parent) or parent["schema"] not in LAYERS[1:]:
                self.causes[name] = None
            else:
                causes = self.why_rows_change(parent)
                self.causes[name] = causes if causes is not None and self.persons_of(causes) else None
        return self.causes[name]

    def edges(self, parent: dict, reading: Reading) -> set[tuple]:
        """Dates in a table that enter or leave a window, or have an anniversary, between the base and the day."""
        columns = self.graph.columns(parent["schema"], parent["name"])
        named = {column: kind for column, kind in columns if _is_time(kind)}
        before, after = self.base.as_of_date, self.day
        moves = {(window.column, "edge", *window.moved(before, after)) for window in reading.windows}
        moves |= {(column, "anniversary", before, after) for column in reading.anniversaries}
        edges = set()
        for date_column, *move in moves:
            # Under a name that the table does not have, or that the model makes, it may be any of its dates.
            is_its_own = date_column in named and date_column not in reading.local_days
            dates = {date_column: named[date_column]} if is_its_own else named
            edges |= {(*move, parent["schema"], parent["name"], column, kind) for column, kind in dates.items()}
        return edges

    def _has_rows(self, edges: set[tuple]) -> bool:
        """Whether any row of a table has such a date."""
        [table] = {f"{schema}.{name}" for _, _, _, schema, name, _, _ in edges}
        dates = " or ".join(sorted(_is_moved(edge) for edge in edges))
        return bool(self.graph.connection.execute(f"select 1 from {table} where {dates} limit 1").fetchall())

    def persons_of(self, causes: frozenset) -> str | None:
        """Table of the persons whose rows change for these reasons; None when they are too many (`MOST_PERSONS`)."""
        if causes not in self.sets:
            table = f"operations.affected_by_{self.graph.layer}_{len(self.sets) + 1}"
            self.graph.connection.execute(
                f"create or replace table {table} as select person_id from ({select_persons(causes)}) "
                "where person_id is not null group by person_id"
            )
            self.sets[causes] = table
            [(persons, everybody)] = self.graph.connection.execute(
                f"select (select count(*) from {table}), (select count(*) from identity_mapping.persons)"
            ).fetchall()
            if persons > everybody * MOST_PERSONS:
                self.too_many.add(causes)
        return None if causes in self.too_many else self.sets[causes]


def select_persons(causes: frozenset) -> str:
    """A select of the persons whose rows change for these reasons."""
    selects = ["select person_id from operations.updated_persons"]
    edges: dict[str, list[str]] = {}
    for cause in sorted(causes, key=str):
        if cause[0] == "changed":
            selects.append(f"select person_id from operations.changed_rows where model = '{cause[1]}'")
        else:
            _, _, _, schema, name, _, _ = cause
            edges.setdefault(f"{schema}.{name}", []).append(_is_moved(cause))
    selects += [f"select person_id from {table} where {' or '.join(dates)}" for table, dates in edges.items()]
    return " union all ".join(selects)


def _is_moved(edge: tuple) -> str:
    """A condition over the rows of a table: whether a date is one that an edge is about."""
    kind_of_edge, first, last, _, _, column, kind = edge
    # Of moments the whole days before and after, too: the model may compare a moment with a midnight, or its local day.
    shifts = (0,) if kind == "DATE" else (-1, 0, 1)
    if kind_of_edge == "anniversary":
        days = (f"(cast({column} as date) + {shift})" for shift in shifts)
        return f"({' or '.join(anniversary_condition(day, first, last) for day in days)})"
    return (
        f"({column} >= date '{first + timedelta(shifts[0])}' and {column} < date '{last + timedelta(shifts[-1] + 1)}')"
    )


def _is_time(data_type: str) -> bool:
    return data_type == "DATE" or data_type.startswith("TIMESTAMP")
