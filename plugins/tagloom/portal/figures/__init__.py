"""The figures about value and groups: the same ones on the pages of value and, saved, on dashboards.

A figure is asked for by a definition, plain values such as `{"figure": "cross", "rows": "rfm_segment", "columns":
"lifecycle_stage"}`, and a filter; it comes back as the spec of a chart with what has to be said about it. Groups of
fewer than ten persons are hidden from those who may not see personal data.
"""

from __future__ import annotations

from collections.abc import Callable

from tagloom.portal.errors import NotFoundError
from tagloom.portal.figures.cohorts import cohorts, event_choices
from tagloom.portal.figures.cross import cross
from tagloom.portal.figures.figure import Definition, Figure, person_tag
from tagloom.portal.figures.flows import flow, purchases_flow
from tagloom.portal.figures.segments import SCORES, rfm_grid, segments
from tagloom.portal.figures.trend import trend
from tagloom.portal.filters import Filter
from tagloom.portal.page import Page

__all__ = ["FIGURES", "SCORES", "Definition", "Figure", "event_choices", "figure", "person_tag"]

FIGURES: dict[str, Callable[[Page, Definition, Filter], Figure]] = {
    "rfm": rfm_grid,
    "segments": segments,
    "flow": flow,
    "purchases_flow": purchases_flow,
    "cohorts": cohorts,
    "cross": cross,
    "trend": trend,
}


def figure(page: Page, definition: Definition, chosen: Filter) -> Figure:
    """Make the figure of a definition. Raises NotFoundError for a figure, tag or event that is not there."""
    maker = FIGURES.get(str(definition.get("figure")))
    if maker is None:
        raise NotFoundError(
            "There is no such figure: {name}.",
            "Add it again from the pages of value.",
            name=str(definition.get("figure")),
        )
    return maker(page, definition, chosen)
