"""Dashboards: charts that people kept from the pages of value, under one filter when somebody asks."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from tagloom.portal import figures
from tagloom.portal.errors import ForbiddenError, NotFoundError, PortalError
from tagloom.portal.figures import Figure
from tagloom.portal.filters import EVERYBODY, Filter, choices, filter_of
from tagloom.portal.page import Page, page_of
from tagloom.portal.rights import needs
from tagloom.portal.store import charts
from tagloom.portal.store.charts import KEPT, MOST_TARGET, Dashboard, SavedChart

router = APIRouter()

PAGES_OF_FIGURES = {
    "rfm": "/value",
    "segments": "/value",
    "flow": "/value/lifecycle",
    "purchases_flow": "/value/lifecycle",
    "cohorts": "/value/cohorts",
    "cross": "/value/cross",
    "trend": "/value/trends",
}

WIDE = ("flow", "purchases_flow", "cohorts", "cross")
"""Figures that take the whole width."""


@router.get("/dashboards", dependencies=[needs("see")])
def dashboards(page: Page = Depends(page_of)) -> Response:
    """List all dashboards."""
    return page.render(
        "dashboards/dashboards.html",
        dashboards=charts.dashboards(page.store),
        counts=charts.charts_per_dashboard(page.store),
    )


@router.post("/dashboards", dependencies=[needs("build")])
def create(page: Page = Depends(page_of)) -> Response:
    """Make an empty dashboard."""
    dashboard = _create(page, str(page.form.get("name", "")), str(page.form.get("description", "")))
    return page.redirect(f"/dashboards/{dashboard.id}", page.t("The dashboard is there; keep charts on it from Value."))


@router.post("/dashboards/keep", dependencies=[needs("build")])
def keep(page: Page = Depends(page_of)) -> Response:
    """Put a chart from a page of value on a dashboard, or on a new one."""
    definition = _definition(str(page.form.get("definition", "")), str(page.form.get("target", "")))
    chosen = filter_of(page, str(page.form.get("filter", "")))
    # Also finds a tag or an event that is not there.
    figures.figure(page, definition, chosen)
    asked = str(page.form.get("dashboard", ""))
    dashboard = _dashboard(page, asked) if asked else _create(page, str(page.form.get("name", "")), "")
    try:
        chart = charts.add_chart(
            page.store, dashboard.id, definition, chosen.code, str(page.form.get("title", "")), _user(page)
        )
    except ValueError as error:
        raise PortalError(str(error)) from None
    page.audit("chart kept", f"dashboard:{dashboard.id}", f"chart {chart.id}: {chart.title}")
    return page.redirect(f"/dashboards/{dashboard.id}", page.t("The chart is on the dashboard."))


@router.get("/dashboards/{dashboard_id}", dependencies=[needs("see")])
def one_dashboard(dashboard_id: str, page: Page = Depends(page_of)) -> Response:
    """Show the charts of a dashboard, all of them under one filter if there is one in the address."""
    dashboard = _dashboard(page, dashboard_id)
    chosen = filter_of(page, page.request.query_params.get("filter", ""))
    shown = [_shown(page, chart, chosen) for chart in charts.charts_of(page.store, dashboard.id)]
    return page.render(
        "dashboards/dashboard.html",
        dashboard=dashboard,
        charts=shown,
        chosen=chosen,
        choices=choices(page),
        may_change=_may_change(page, dashboard),
    )


@router.post("/dashboards/{dashboard_id}/charts/{chart_id}/move", dependencies=[needs("build")])
def move(dashboard_id: str, chart_id: int, page: Page = Depends(page_of)) -> Response:
    """Move a chart one place up or down."""
    dashboard = _own_dashboard(page, dashboard_id)
    charts.move_chart(page.store, dashboard.id, chart_id, 1 if page.form.get("to") == "down" else -1)
    return page.redirect(f"/dashboards/{dashboard.id}")


@router.post("/dashboards/{dashboard_id}/charts/{chart_id}/delete", dependencies=[needs("build")])
def delete_chart(dashboard_id: str, chart_id: int, page: Page = Depends(page_of)) -> Response:
    """Take a chart off a dashboard."""
    dashboard = _own_dashboard(page, dashboard_id)
    charts.delete_chart(page.store, dashboard.id, chart_id)
    page.audit("chart removed", f"dashboard:{dashboard.id}", f"chart {chart_id}")
    return page.redirect(f"/dashboards/{dashboard.id}", page.t("The chart is gone."))


@router.post("/dashboards/{dashboard_id}/delete", dependencies=[needs("build")])
def delete(dashboard_id: str, page: Page = Depends(page_of)) -> Response:
    """Remove a dashboard with its charts."""
    dashboard = _own_dashboard(page, dashboard_id)
    charts.delete_dashboard(page.store, dashboard.id)
    page.audit("dashboard deleted", f"dashboard:{dashboard.id}", dashboard.name)
    return page.redirect("/dashboards", page.t("The dashboard is gone."))


def _user(page: Page) -> str:
    assert page.user is not None
    return page.user.name


def _create(page: Page, name: str, description: str) -> Dashboard:
    try:
        dashboard = charts.create_dashboard(page.store, name, _user(page), description)
    except ValueError as error:
        raise PortalError(str(error)) from None
    page.audit("dashboard created", f"dashboard:{dashboard.id}", dashboard.name)
    return dashboard


def _dashboard(page: Page, dashboard_id: str) -> Dashboard:
    found = (
        page.store.get(Dashboard, int(dashboard_id)) if dashboard_id.isdecimal() and len(dashboard_id) < 10 else None
    )
    if found is None:
        raise NotFoundError("There is no such dashboard.", "Somebody may have deleted it; look through the list.")
    return found


def _may_change(page: Page, dashboard: Dashboard) -> bool:
    return page.may("build") and (dashboard.owner == _user(page) or page.may("administer"))


def _own_dashboard(page: Page, dashboard_id: str) -> Dashboard:
    dashboard = _dashboard(page, dashboard_id)
    if not _may_change(page, dashboard):
        raise ForbiddenError("build", "Only its owner and administrators change a dashboard.")
    return dashboard


def _definition(text: str, target: str) -> dict[str, Any]:
    """What is kept of a definition that a form sent. Raises PortalError when it is none."""
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict) or given.get("figure") not in KEPT:
        raise PortalError(
            "This is no chart of the pages of value.", "Open the page again and keep the chart from there."
        )
    kept: dict[str, Any] = {"figure": given["figure"]}
    for name in KEPT[given["figure"]]:
        value = given.get(name)
        if isinstance(value, str) and len(value) <= 200:
            kept[name] = value
        elif isinstance(value, list):
            kept[name] = [str(one)[:20] for one in value[:10]]
    wished = given.get("target") if not target else _number(target)
    if isinstance(wished, int | float) and not isinstance(wished, bool):
        kept["target"] = wished
    return kept


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not -MOST_TARGET < number < MOST_TARGET:
        raise PortalError("The target is no number.", "Write a number, or nothing for no line.")
    return number


def _shown(page: Page, chart: SavedChart, chosen: Filter) -> dict[str, Any]:
    """A chart with its figure; one that does not fit this version says so in its place."""
    try:
        used = chosen if chosen.code else filter_of(page, chart.filter) if chart.filter else EVERYBODY
        figure = figures.figure(page, chart.definition, used)
    except NotFoundError as error:
        used, figure = (
            EVERYBODY,
            Figure(chart.title or page.t("Chart"), None, empty=page.t(error.message, **error.values)),
        )
    name = str(chart.definition.get("figure"))
    asked = {key: value for key, value in chart.definition.items() if key != "figure" and isinstance(value, str)}
    return {
        "chart": chart,
        "figure": figure,
        "title": chart.title or figure.title,
        "filter": used,
        "is_wide": name in WIDE,
        "page": page.url(PAGES_OF_FIGURES.get(name, "/value"), **asked, filter=used.code),
    }
