"""One more day in the tables that keep every day: histories and statistics of tags."""

from __future__ import annotations

from datetime import date

from tagloom.day_build.models import Graph, Prepared
from tagloom.day_build.plan import Base
from tagloom.replacing import Replacement

DAYS = "tag_history_days"
HISTORY = "_history"
"""End of the name of a table's history."""


def prepare_histories(graph: Graph, base: Base, prepared: Prepared) -> None:
    """Let the history of a table of which rows are replaced look at the same rows.

    Of whom nothing was computed again the history has nothing new to say. All rows are compared when it knows a later
    day than the base: what it says from the base on then comes from another build.
    """
    models = {node["name"]: node for node in graph.in_order()}
    if DAYS not in models or _last_day(graph, models[DAYS]["schema"]) != base.as_of_date:
        return
    for replacement in list(prepared.replacements):
        history = f"{replacement.model}{HISTORY}"
        if history in models:
            prepared.replacements.append(Replacement(history, kept=replacement.kept))


def _last_day(graph: Graph, schema: str) -> date | None:
    if not graph.columns(schema, DAYS):
        return None
    return graph.connection.execute(f"select max(as_of_date) from {schema}.{DAYS}").fetchall()[0][0]
