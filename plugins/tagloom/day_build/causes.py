"""Why rows of a model change from the base to a day, and whose they are."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import date, timedelta

from tagloom.day_build.models import FULL_BUILD, LAYERS, Graph, is_person_table
from tagloom.day_build.plan import Base
from tagloom.settings import PROJECT
from tagloom.tags.rendered_sql import Renderer, RenderingError
from tagloom.windows import Reading, read_windows

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
    causes: dict[str, frozenset | None] = field(default_factory=dict)
    """Model of tags -> why rows of it change; None: all do."""

    def why_rows_change(self, node: dict) -> frozenset | None:
        """What has changed that rows of a model are computed from; None when that is not only rows of some persons."""
        reading = self._reading(node)
        if reading is None or reading.moves_daily or node["config"].get("meta", {}).get("updates") == FULL_BUILD:
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
            else:
                return None
            causes |= self._edges(parent, reading)
        return frozenset(causes)

    def _reading(self, node: dict) -> Reading | None:
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

    def _edges(self, parent: dict, reading: Reading) -> set[tuple]:
        """Dates in a table that enter or leave a window between the base and the day."""
        columns = self.graph.columns(parent["schema"], parent["name"])
        named = {column: kind for column, kind in columns if _is_time(kind)}
        edges = set()
        for window in reading.windows:
            # Under a name that the table does not have it may be any of its dates.
            dates = {window.column} if window.column in named else set(named)
            first, last = window.moved(self.base.as_of_date, self.day)
            edges |= {
                ("edge", parent["schema"], parent["name"], column, kind, first, last)
                for column, kind in named.items()
                if column in dates
            }
        return edges

    def persons_of(self, causes: frozenset) -> str | None:
        """Table of the persons whose rows change for these reasons; None when they are too many (`MOST_PERSONS`)."""
        if causes not in self.sets:
            table = f"operations.affected_by_{self.graph.layer}_{len(self.sets) + 1}"
            self.graph.connection.execute(
                f"create or replace table {table} as select person_id from ({select_persons(causes)}) "
                "where person_id is not null group by person_id"
            )
            self.sets[causes] = table
        table = self.sets[causes]
        [(persons, everybody)] = self.graph.connection.execute(
            f"select (select count(*) from {table}), (select count(*) from identity_mapping.persons)"
        ).fetchall()
        return table if persons <= everybody * MOST_PERSONS else None


def select_persons(causes: frozenset) -> str:
    """A select of the persons whose rows change for these reasons."""
    selects = ["select person_id from operations.updated_persons"]
    edges: dict[str, list[str]] = {}
    for cause in sorted(causes, key=str):
        if cause[0] == "changed":
            selects.append(f"select person_id from operations.changed_rows where model = '{cause[1]}'")
        else:
            _, schema, name, column, kind, first, last = cause
            # The whole day before, too: a moment in it is later than its midnight, the limit of a window.
            since = first if kind == "DATE" else first - timedelta(1)
            edges.setdefault(f"{schema}.{name}", []).append(
                f"({column} >= date '{since}' and {column} < date '{last + timedelta(1)}')"
            )
    selects += [f"select person_id from {table} where {' or '.join(dates)}" for table, dates in edges.items()]
    return " union all ".join(selects)


def _is_time(data_type: str) -> bool:
    return data_type == "DATE" or data_type.startswith("TIMESTAMP")
