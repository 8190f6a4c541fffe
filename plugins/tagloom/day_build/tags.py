"""The rows of tags that a day changes: those of persons of whom a fact has changed or has left or entered a window."""

from __future__ import annotations

from dataclasses import dataclass

from tagloom.day_build.causes import Causes
from tagloom.day_build.models import Graph, Prepared, is_person_table
from tagloom.replacing import rows_of_persons


@dataclass
class Tags:
    """Prepares the tables of tags of a day."""

    graph: Graph
    causes: Causes
    prepared: Prepared

    def prepare(self, node: dict) -> None:
        """Say whose rows of a model are replaced, or that all are."""
        if not is_person_table(node):
            self.causes.causes[node["name"]] = None
            return
        causes = self.causes.why_rows_change(node)
        table = self.causes.persons_of(causes) if causes is not None else None
        if table is None:
            self.causes.causes[node["name"]] = None
            self.prepared.whole.append(node["name"])
            return
        self.causes.causes[node["name"]] = causes
        persons = f"select person_id from {table}"
        facts = [
            (parent["schema"], parent["name"])
            for parent in self.graph.parents(node)
            if is_person_table(parent) or parent["name"] == "persons"
        ]
        self.prepared.replacements.append(rows_of_persons(node["name"], persons, facts))
