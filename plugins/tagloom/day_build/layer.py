"""Build a layer for a day."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tagloom.affected import exists
from tagloom.day_build.causes import Causes
from tagloom.day_build.facts import Facts, find_changed_persons, find_moved_identifiers
from tagloom.day_build.histories import prepare_histories
from tagloom.day_build.models import LAYERS, Graph, Prepared, is_person_table, models_of, replaced_of
from tagloom.day_build.plan import TABLES, Plan, base_of, begin, decide, plan_of
from tagloom.day_build.tags import Tags
from tagloom.day_build.unchanged import SmallFacts, note_contents
from tagloom.lineage import load_manifest
from tagloom.replacing import write_replacements
from tagloom.settings import PROJECT, Settings
from tagloom.tags.rendered_sql import RenderingError
from tagloom.transform import NodeResult, build_layer
from tagloom.warehouse import open_warehouse
from tagloom.windows import names_the_day

if TYPE_CHECKING:
    import duckdb

_ORDER = ("seeds", "staging", "identity_mapping", *LAYERS)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuiltLayer:
    """What became of a layer."""

    plan: Plan
    nodes: list[NodeResult]
    persons: int | None = None
    """Persons of whom anything was computed again, but by models that compute everybody; None in a full build."""
    whole: tuple[str, ...] = ()
    """Models of persons that were computed for everybody."""

    @property
    def summary(self) -> dict:
        """Plain values, for the summary of a task."""
        if self.plan.is_full:
            return {"build": "full", "reason": self.plan.reason}
        return {
            "build": "incremental",
            "reason": self.plan.reason,
            "persons": self.persons,
            "computed_for_everybody": list(self.whole),
        }


def build_layer_of_day(settings: Settings, layer: str, day: date, *, rebuild: bool = False) -> BuiltLayer:
    """Build a layer of `LAYERS` for a day: of the base what the day has changed, or all of it.

    The first layer decides for the others. Raises transform.TransformError when a model or a test of
    dbt_project/data-tests fails.
    """
    manifest = load_manifest(settings.dbt_target / "manifest.json")
    with open_warehouse(settings) as connection:
        connection.execute(TABLES)
        if layer == LAYERS[0]:
            plan = decide(connection, settings, manifest, day, rebuild)
            begin(connection, plan)
            note_contents(connection, manifest)
        else:
            plan = plan_of(connection, day)
        if not plan.is_full:
            work = _LayerOfDay(connection, settings, manifest, layer, day)
            work.prepare()
    log.info("%s: %s, %s", layer, "full build" if plan.is_full else "incremental", plan.reason)
    if plan.is_full:
        return BuiltLayer(plan, build_layer(settings, layer, day))
    nodes = build_layer(settings, layer, day, chosen=work.chosen())
    with open_warehouse(settings) as connection:
        persons = work.count_persons(connection)
    whole = tuple(work.prepared.whole)
    log.info("%s: %s persons changed; computed for everybody: %s", layer, persons, ", ".join(whole) or "nothing")
    return BuiltLayer(plan, nodes, persons, whole)


class _LayerOfDay:
    """What of one layer a day has changed."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        settings: Settings,
        manifest: dict,
        layer: str,
        day: date,
    ) -> None:
        base = base_of(connection)
        self.graph = Graph(connection, manifest, layer)
        self.prepared = Prepared()
        self.causes = Causes(self.graph, base, day)
        small = SmallFacts(self.causes, settings)
        self.facts = Facts(self.graph, settings, base, self.causes, self.prepared, small)
        self.tags = Tags(self.graph, self.causes, self.prepared)

    def prepare(self) -> None:
        """Find what has changed, and write down what dbt is to replace."""
        if self.graph.layer == LAYERS[0]:
            find_moved_identifiers(self.graph.connection)
            find_changed_persons(self.graph.connection)
        part = self.facts if self.graph.layer == LAYERS[0] else self.tags
        for node in self.graph.in_order():
            part.prepare(node)
        prepare_histories(self.graph, self.causes.base, self.prepared)
        self.prepared.unchanged |= self._unchanged_views()
        write_replacements(self.graph.connection, self.prepared.replacements)

    def chosen(self) -> list[str]:
        """Names of the models, and of the tests of dbt_project/data-tests that cost little.

        What twins declare is left to Soda, as in full builds.
        """
        facts = {
            name
            for name, node in models_of(self.graph.manifest, "intermediate").items()
            if replaced_of(node) or not is_person_table(node)
        }
        nodes = self.graph.manifest["nodes"]
        chosen = []
        for node in nodes.values():
            if node["resource_type"] != "test" or node.get("test_metadata"):
                continue
            reads = set(node["depends_on"]["nodes"])
            layers = {nodes[name]["schema"] for name in reads if name in nodes}
            last = max((_ORDER.index(layer) for layer in layers if layer in _ORDER), default=-1)
            if last != _ORDER.index(self.graph.layer) or reads & facts or "staging" in layers:
                continue
            if all(nodes[name]["name"] in self.prepared.unchanged for name in reads if name in nodes):
                continue
            chosen.append(node["name"])
        models = models_of(self.graph.manifest, self.graph.layer)
        return sorted(chosen) + sorted({node["name"] for node in models.values()} - self.prepared.unchanged)

    def _unchanged_views(self) -> set[str]:
        """Views whose SQL does not name the day: with the definitions of the base they are what they were."""
        return {
            node["name"]
            for node in models_of(self.graph.manifest, self.graph.layer).values()
            if node["config"]["materialized"] == "view"
            and exists(self.graph.connection, node["schema"], node["name"])
            and not self._names_the_day(node)
        }

    def _names_the_day(self, node: dict) -> bool:
        try:
            sql = self.causes.renderer.render(PROJECT / "dbt_project" / node["original_file_path"]).sql
        except RenderingError:
            return True
        return names_the_day(sql)

    def count_persons(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Persons of whom anything was computed again."""
        selects = [f"select person_id from {table}" for table in self.causes.sets.values()]
        if self.graph.layer == LAYERS[0]:
            selects = ["select person_id from operations.changed_rows"]
        return connection.execute(
            f"select count(distinct person_id) from ({' union all '.join(selects) or 'select null as person_id'})"
        ).fetchall()[0][0]
