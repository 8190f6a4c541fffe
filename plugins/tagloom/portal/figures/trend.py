"""Shares of the values of a tag over the days that were built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from tagloom.portal.association import SIGNIFICANT, difference_chance
from tagloom.portal.figures.figure import Definition, Figure, day_label, person_tag, target_line
from tagloom.portal.filters import Filter
from tagloom.portal.page import Page
from tagloom.portal.serving import Tag
from tagloom.portal.small_cells import SMALLEST


def trend(page: Page, definition: Definition, chosen: Filter) -> Figure:
    """Shares of the values of a tag on every day that was built, for the quarterly review."""
    tag = person_tag(page, definition.get("tag") or "rfm_segment")
    value = definition.get("value") or None
    title = page.t("{tag} over time", tag=page.title(tag))
    found = _trend_rows(page, tag, chosen)
    days = sorted({row["day"] for row in found})
    if not days:
        return Figure(title, None, empty=page.t("No day is known for this tag and filter."))
    if len(days) < 2:
        known = day_label(days[0])
        empty = page.t("One day is known so far ({day}); the trend begins with the second build.", day=known)
        return Figure(title, None, empty=empty)
    totals = {day: sum(row["objects"] for row in found if row["day"] == day) for day in days}
    by_day = {day: {row["bin"]: row["objects"] for row in found if row["day"] == day} for day in days}
    order = {word: place for place, word in enumerate(tag.values or ())}
    newest = by_day[days[-1]]
    names = [name for name in newest if name != "no value"] if value is None else [str(value)]
    names.sort(key=lambda name: -newest.get(name, 0))
    names = sorted(names[:6], key=lambda name: (order.get(name, len(order)), name))
    everything = page.may("see_personal")
    series = []
    is_hidden = False
    for name in names:
        values: list[float | None] = []
        for day in days:
            count = by_day[day].get(name, 0)
            too_small = not everything and 0 < count < SMALLEST
            is_hidden = is_hidden or too_small
            values.append(None if too_small or not totals[day] else count / totals[day])
        series.append({"name": _value_label(page, tag, name), "values": values})
    spec = {
        "kind": "line",
        "percent": True,
        "categories": [day_label(day) for day in days],
        "series": series,
        "area": len(series) == 1,
        **target_line(page, definition, 100),
    }
    return Figure(
        title,
        spec,
        300,
        page.t("Share of all persons on each day."),
        has_hidden=is_hidden,
        rows=_review(page, tag, names, days, by_day, totals, everything),
    )


def _trend_rows(page: Page, tag: Tag, chosen: Filter) -> list[dict[str, Any]]:
    """Day, bin and persons: from the distributions of everybody, or from the history of those who are chosen."""
    snapshot = page.snapshot
    if not chosen.code:
        if "tag_integration.tag_distributions" not in snapshot.tables:
            return []
        return snapshot.rows(
            """
            select as_of_date as day, bin, objects from tag_integration.tag_distributions
            where object = 'person' and tag = ? and as_of_date <= ? order by day, bin_from, bin
            """,
            [tag.name, snapshot.as_of_date],
        )
    if not tag.history or "tag_integration.tag_history" not in snapshot.tables:
        return []
    return snapshot.rows(
        f"""
        select days.as_of_date as day, coalesce(history.value, 'no value') as bin, count(*) as objects
        from tag_integration.tag_history_days as days
        cross join tag_integration.person_tags as persons
        left join tag_integration.tag_history as history
            on history.object = 'person' and history.tag = $tag and history.object_id = persons.person_id::varchar
            and history.valid_from <= days.as_of_date and coalesce(history.valid_to > days.as_of_date, true)
        where days.as_of_date <= $day and {chosen.sql}
        group by all order by all
        """,
        {"tag": tag.name, "day": snapshot.as_of_date, **chosen.parameters},
    )


def _review(
    page: Page,
    tag: Tag,
    names: Sequence[str],
    days: Sequence[date],
    by_day: Mapping[date, Mapping[str, int]],
    totals: Mapping[date, int],
    everything: bool,
) -> list[dict[str, Any]]:
    """The newest day against the last one of the quarter before it, else against the first that is known."""
    newest = days[-1]
    quarter = (newest.year, (newest.month - 1) // 3)
    earlier = [day for day in days if (day.year, (day.month - 1) // 3) < quarter]
    before = earlier[-1] if earlier else days[0]
    rows = []
    for name in names:
        now_, then = by_day[newest].get(name, 0), by_day[before].get(name, 0)
        if not everything and (0 < now_ < SMALLEST or 0 < then < SMALLEST):
            continue
        chance = difference_chance(now_, totals[newest], then, totals[before])
        rows.append(
            {
                "name": _value_label(page, tag, name),
                "before": before,
                "now": newest,
                "share_before": then / totals[before] if totals[before] else None,
                "share": now_ / totals[newest] if totals[newest] else None,
                "change": (now_ / totals[newest] - then / totals[before])
                if totals[newest] and totals[before]
                else None,
                "is_significant": chance < SIGNIFICANT / max(1, len(names)),
            }
        )
    return rows


def _value_label(page: Page, tag: Tag, name: str) -> str:
    if name == "no value":
        return page.t("no value")
    if tag.data_type == "boolean":
        return page.t("yes") if name == "true" else page.t("no")
    return tag.value_label(name, page.language)
