"""A figure as pages draw it, and what all figures need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tagloom.portal.errors import NotFoundError
from tagloom.portal.page import Page
from tagloom.portal.serving import Tag

Definition = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """A chart and what belongs to it."""

    title: str
    spec: dict[str, Any] | None
    """None when there is nothing to draw; `empty` says why."""
    height: int = 300
    note: str = ""
    empty: str = ""
    has_hidden: bool = False
    """Whether a group was too small to be shown."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """What a page shows in a table beside it."""
    facts: dict[str, Any] = field(default_factory=dict)


def person_tag(page: Page, name: object) -> Tag:
    """A published tag of persons. Raises NotFoundError when there is none of this name."""
    tag = page.snapshot.tags.get(str(name))
    if tag is None:
        raise NotFoundError("There is no such tag: {name}.", "Choose another tag.", name=str(name))
    return tag


def target_line(page: Page, definition: Definition, divided_by: float = 1) -> dict[str, Any]:
    """A line across at the value that was wished for."""
    target = definition.get("target")
    if not isinstance(target, int | float):
        return {}
    return {"target": target / divided_by, "target_label": page.t("Target")}


def day_label(day: date) -> str:
    """A day as an axis names it."""
    return day.isoformat()
