"""Value and groups: who is worth what, who moves where, who stays, and which tags have to do with each other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from tagloom.portal import figures
from tagloom.portal.filters import Filter, choices, filter_of
from tagloom.portal.page import Page, page_of
from tagloom.portal.rights import needs
from tagloom.portal.store import charts

router = APIRouter()

TABS = (
    ("RFM", "/value"),
    ("Lifecycle", "/value/lifecycle"),
    ("Cohorts", "/value/cohorts"),
    ("Cross-tab", "/value/cross"),
    ("Trends", "/value/trends"),
)


@router.get("/value", dependencies=[needs("see")])
def rfm(page: Page = Depends(page_of)) -> Response:
    """Show persons by their scores and segments; each cell leads to an audience."""
    given = page.request.query_params
    axes = {name: given.get(name) for name in ("x", "y") if given.get(name) in figures.SCORES}
    chosen = filter_of(page, given.get("filter", ""))
    score_tags = [page.snapshot.tags[name] for name in figures.SCORES if name in page.snapshot.tags]
    return _page(
        page,
        "value/rfm.html",
        chosen,
        [{"figure": "rfm", **axes}, {"figure": "segments", "tag": "rfm_segment"}] if len(score_tags) == 3 else [],
        score_options=[(tag.name, page.title(tag)) for tag in score_tags],
        x=axes.get("x", figures.SCORES[1]),
        y=axes.get("y", figures.SCORES[0]),
    )


@router.get("/value/lifecycle", dependencies=[needs("see")])
def lifecycle(page: Page = Depends(page_of)) -> Response:
    """Show how persons move between stages, by the history of a tag and by their purchases."""
    given = page.request.query_params
    history = [tag for tag in page.snapshot.tags.values() if tag.history and tag.values]
    name = given.get("tag") or "lifecycle_stage"
    definitions: list[dict[str, Any]] = [{"figure": "purchases_flow"}]
    if any(tag.name == name for tag in history):
        definitions.insert(0, {"figure": "flow", "tag": name})
        definitions.append({"figure": "segments", "tag": name})
    return _page(
        page, "value/lifecycle.html", filter_of(page, given.get("filter", "")), definitions, history=history, name=name
    )


@router.get("/value/cohorts", dependencies=[needs("see")])
def cohorts(page: Page = Depends(page_of)) -> Response:
    """Show who stays: what new customers of a month do in the months after it."""
    given = page.request.query_params
    events = figures.event_choices(page)
    event = given.get("event") or "purchase"
    chosen = filter_of(page, given.get("filter", ""))
    return _page(
        page,
        "value/cohorts.html",
        chosen,
        [{"figure": "cohorts", "event": event}] if events else [],
        events=events,
        event=event,
    )


@router.get("/value/cross", dependencies=[needs("see")])
def cross(page: Page = Depends(page_of)) -> Response:
    """Show two tags against each other, and whether that means anything."""
    given = page.request.query_params
    definition = {
        "figure": "cross",
        "rows": given.get("rows") or "rfm_segment",
        "columns": given.get("columns") or "lifecycle_stage",
        "measure": given.get("measure") or "share",
    }
    chosen = filter_of(page, given.get("filter", ""))
    return _page(page, "value/cross.html", chosen, [definition], tags=_tags(page), definition=definition)


@router.get("/value/trends", dependencies=[needs("see")])
def trends(page: Page = Depends(page_of)) -> Response:
    """Show how the values of a tag moved from build to build: what the quarterly review looks at."""
    given = page.request.query_params
    definition: dict[str, Any] = {"figure": "trend", "tag": given.get("tag") or "rfm_segment"}
    tag = figures.person_tag(page, definition["tag"])
    if given.get("value"):
        definition["value"] = given["value"]
    target = _number(given.get("target", ""))
    if target is not None:
        definition["target"] = target
    chosen = filter_of(page, given.get("filter", ""))
    definitions = [definition, {"figure": "segments", "tag": tag.name}]
    return _page(
        page, "value/trends.html", chosen, definitions, tags=_tags(page), tag=tag, definition=definition, target=target
    )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if -1e12 < number < 1e12 else None


def _tags(page: Page) -> list[tuple[str, str]]:
    """Tags to choose from, (name, title), those with listed values first."""
    tags = sorted(
        page.snapshot.tags.values(),
        key=lambda tag: (tag.values is None and tag.data_type != "boolean", page.title(tag)),
    )
    return [(tag.name, page.title(tag)) for tag in tags]


def _page(page: Page, template: str, chosen: Filter, definitions: list[dict[str, Any]], **context: object) -> Response:
    made = [(definition, figures.figure(page, definition, chosen)) for definition in definitions]
    return page.render(
        template,
        tabs=[(page.t(title), path, page.path == path) for title, path in TABS],
        figures=[
            {"figure": figure, "definition": json.dumps(definition), "name": definition["figure"]}
            for definition, figure in made
        ],
        chosen=chosen,
        choices=choices(page),
        dashboards=charts.dashboards(page.store) if page.may("build") else [],
        kept=_kept(page.request.query_params),
        **context,
    )


def _kept(given: Mapping[str, str]) -> dict[str, str]:
    """What the filter's form sends along."""
    return {name: value for name, value in given.items() if name != "filter"}
