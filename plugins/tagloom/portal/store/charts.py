"""Dashboards and the charts that people saved on them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Integer, String, Text, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from tagloom.portal.store.base import Base, Moment, now

MOST_CHARTS = 24
"""Charts of one dashboard: each is a query when it is opened."""

KEPT = {
    "rfm": ("x", "y"),
    "segments": ("tag",),
    "flow": ("tag", "days"),
    "purchases_flow": (),
    "cohorts": ("event",),
    "cross": ("rows", "columns", "measure"),
    "trend": ("tag", "value"),
}
"""Figure -> what of its definition is kept, besides a target; anything else that a form sends is dropped."""

MOST_TARGET = 1e12
"""Targets are nearer to zero."""


class Dashboard(Base):
    """A page of saved charts."""

    __tablename__ = "dashboards"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    description: Mapped[str] = mapped_column(Text, default="")
    owner: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(Moment)


class SavedChart(Base):
    """A figure on a dashboard: its definition and filter, computed anew each time."""

    __tablename__ = "saved_charts"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    dashboard_id: Mapped[int] = mapped_column(ForeignKey("dashboards.id"), index=True)
    place: Mapped[int] = mapped_column(Integer)
    """Order on the dashboard, from 1 on."""
    title: Mapped[str] = mapped_column(String(160), default="")
    """Empty: the figure's own, in the reader's language."""
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    """As tagloom.portal.figures reads it."""
    filter: Mapped[str] = mapped_column(String(400), default="")
    """As tagloom.portal.filters reads it; empty: everybody."""
    created_by: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(Moment)


def dashboards(store: Session) -> list[Dashboard]:
    """All dashboards by name."""
    return list(store.scalars(select(Dashboard).order_by(Dashboard.name)))


def charts_per_dashboard(store: Session) -> dict[int, int]:
    """How many charts each dashboard has."""
    counted = select(SavedChart.dashboard_id, func.count()).group_by(SavedChart.dashboard_id)
    return {dashboard: count for dashboard, count in store.execute(counted)}


def create_dashboard(store: Session, name: str, owner: str, description: str = "") -> Dashboard:
    """Add an empty dashboard. Raises ValueError when the name is empty, too long or taken."""
    name = " ".join(name.split())
    if not name or len(name) > 120:
        raise ValueError("A dashboard needs a name of at most 120 characters.")
    if store.scalar(select(Dashboard.id).where(Dashboard.name == name)) is not None:
        raise ValueError("There is a dashboard of this name already; choose another name.")
    dashboard = Dashboard(name=name, owner=owner, description=description.strip()[:2_000], created_at=now())
    store.add(dashboard)
    store.flush()
    return dashboard


def charts_of(store: Session, dashboard_id: int) -> list[SavedChart]:
    """The charts of a dashboard in their order."""
    return list(
        store.scalars(
            select(SavedChart).where(SavedChart.dashboard_id == dashboard_id).order_by(SavedChart.place, SavedChart.id)
        )
    )


def add_chart(
    store: Session, dashboard_id: int, definition: dict[str, Any], filter_code: str, title: str, by: str
) -> SavedChart:
    """Put a chart at the end of a dashboard. Raises ValueError when it is full."""
    there = charts_of(store, dashboard_id)
    if len(there) >= MOST_CHARTS:
        raise ValueError("This dashboard is full; begin another one.")
    chart = SavedChart(
        dashboard_id=dashboard_id,
        place=max((chart.place for chart in there), default=0) + 1,
        title=" ".join(title.split())[:160],
        definition=definition,
        filter=filter_code,
        created_by=by,
        created_at=now(),
    )
    store.add(chart)
    store.flush()
    return chart


def set_charts(store: Session, dashboard_id: int, wanted: list[tuple[str, dict[str, Any], str]], by: str) -> bool:
    """Make the charts of a dashboard these, as (title, definition, filter) in order; those that are there stay.

    Returns whether anything changed. Raises ValueError when they are too many.
    """
    if len(wanted) > MOST_CHARTS:
        raise ValueError(f"A dashboard holds at most {MOST_CHARTS} charts, not {len(wanted)}.")
    left = charts_of(store, dashboard_id)
    if [_said(chart) for chart in left] == wanted:
        return False
    for place, said in enumerate(wanted, start=1):
        chart = next((chart for chart in left if _said(chart) == said), None)
        if chart is not None:
            left.remove(chart)
            chart.place = place
            continue
        title, definition, code = said
        store.add(
            SavedChart(
                dashboard_id=dashboard_id,
                place=place,
                title=title,
                definition=definition,
                filter=code,
                created_by=by,
                created_at=now(),
            )
        )
    for chart in left:
        store.delete(chart)
    store.flush()
    return True


def _said(chart: SavedChart) -> tuple[str, dict[str, Any], str]:
    return chart.title, chart.definition, chart.filter


def move_chart(store: Session, dashboard_id: int, chart_id: int, steps: int) -> None:
    """Move a chart up (negative) or down; past an end it stays there. Unknown charts move nothing."""
    there = charts_of(store, dashboard_id)
    found = next((place for place, chart in enumerate(there) if chart.id == chart_id), None)
    if found is None:
        return
    chart = there.pop(found)
    there.insert(max(0, min(len(there), found + steps)), chart)
    for place, one in enumerate(there, start=1):
        one.place = place


def delete_chart(store: Session, dashboard_id: int, chart_id: int) -> None:
    """Take a chart off a dashboard; nothing happens when it is gone already."""
    store.execute(delete(SavedChart).where(SavedChart.id == chart_id, SavedChart.dashboard_id == dashboard_id))


def delete_dashboard(store: Session, dashboard_id: int) -> None:
    """Remove a dashboard with its charts; nothing happens when it is gone already."""
    store.execute(delete(SavedChart).where(SavedChart.dashboard_id == dashboard_id))
    store.execute(delete(Dashboard).where(Dashboard.id == dashboard_id))
