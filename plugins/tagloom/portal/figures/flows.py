"""Who moved where: between the values of a tag, and between buying and not buying."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from tagloom.portal.figures.figure import Definition, Figure, day_label, person_tag
from tagloom.portal.filters import Filter
from tagloom.portal.page import Page
from tagloom.portal.small_cells import SMALLEST

MOST_STEPS = 5
"""Days, or quarters, side by side in a flow."""

STATES = ("new", "staying", "back", "away")
"""Where a customer stands in a quarter: bought for the first time; bought again after having bought in the quarter
before; bought again after a pause; did not buy."""


def flow(page: Page, definition: Definition, chosen: Filter) -> Figure:
    """How persons moved between the values of a tag, from one day to the next, by the history of the tag."""
    tag = person_tag(page, definition.get("tag") or "lifecycle_stage")
    title = page.t("{tag}: who moved where", tag=page.title(tag))
    days = flow_days(page, definition)
    if len(days) < 2:
        return Figure(
            title,
            None,
            empty=page.t("The history of tags knows one day so far; the flow begins with the second build."),
        )
    points = ", ".join(f"({place}, date '{day}')" for place, day in enumerate(days))
    found = page.snapshot.rows(
        f"""
        with points (place, day) as (values {points}),
        stages as (
            select points.place, persons.person_id, history.value
            from points
            cross join tag_integration.person_tags as persons
            inner join tag_integration.tag_history as history
                on history.object = 'person' and history.tag = $tag
                and history.object_id = persons.person_id::varchar
                and history.valid_from <= points.day and coalesce(history.valid_to > points.day, true)
            where {chosen.sql}
        )
        select stages.place, stages.value as source, following.value as target, count(*) as persons
        from stages
        inner join stages as following
            on stages.person_id = following.person_id and following.place = stages.place + 1
        group by all
        order by all
        """,
        {"tag": tag.name, **chosen.parameters},
    )
    order = {value: place for place, value in enumerate(tag.values or ())}
    return _sankey(
        page,
        title,
        [day_label(day) for day in days],
        found,
        lambda value: tag.value_label(value, page.language),
        lambda value: order.get(value, len(order)),
    )


def flow_days(page: Page, definition: Definition) -> list[date]:
    """The days of a flow: those that were asked for, else the newest and even steps back from it."""
    snapshot = page.snapshot
    if (
        "tag_integration.tag_history_days" not in snapshot.tables
        or "tag_integration.tag_history" not in snapshot.tables
    ):
        return []
    known = [
        row["day"]
        for row in snapshot.rows(
            "select as_of_date as day from tag_integration.tag_history_days where as_of_date <= ? order by all",
            [snapshot.as_of_date],
        )
    ]
    asked = [day for day in known if day.isoformat() in (definition.get("days") or ())]
    if len(asked) > 1:
        return asked[-MOST_STEPS:]
    step = max(1, (len(known) - 1) // (MOST_STEPS - 1))
    return known[::-1][::step][:MOST_STEPS][::-1]


def purchases_flow(page: Page, definition: Definition, chosen: Filter) -> Figure:
    """How customers moved between buying and not buying, from quarter to quarter, by their purchases."""
    title = page.t("Customers from quarter to quarter")
    if "serving.person_events" not in page.snapshot.tables:
        return Figure(title, None, empty=page.t("This version has no events."))
    found = page.snapshot.rows(
        f"""
        with active as (
            select distinct persons.person_id, date_trunc('quarter', persons.happened_on) as quarter
            from serving.person_events as persons
            where persons.event in ('purchase', 'web_purchase') and persons.happened_on <= $day and {chosen.sql}
        ),
        quarters as (
            select distinct quarter from active order by quarter desc limit {MOST_STEPS}
        ),
        first_quarters as (
            select person_id, min(quarter) as first_quarter from active group by person_id
        ),
        states as (
            select quarters.quarter, first_quarters.person_id,
                case
                    when active.person_id is null then 'away'
                    when quarters.quarter = first_quarters.first_quarter then 'new'
                    when earlier.person_id is not null then 'staying'
                    else 'back'
                end as state
            from quarters
            inner join first_quarters on first_quarters.first_quarter <= quarters.quarter
            left join active on active.person_id = first_quarters.person_id and active.quarter = quarters.quarter
            left join active as earlier
                on earlier.person_id = first_quarters.person_id
                and earlier.quarter = quarters.quarter - interval 3 month
        )
        select dense_rank() over (order by states.quarter) - 1 as place, states.quarter as day,
            states.state as source, following.state as target, count(*) as persons
        from states
        inner join states as following
            on following.person_id = states.person_id and following.quarter = states.quarter + interval 3 month
        group by states.quarter, states.state, following.state
        order by all
        """,
        {"day": page.snapshot.as_of_date, **chosen.parameters},
    )
    if not found:
        return Figure(title, None, empty=page.t("There are not two quarters with purchases yet."))
    quarters = sorted({row["day"] for row in found})
    names = [f"{day.year} Q{(day.month + 2) // 3}" for day in quarters]
    last = quarters[-1]
    names.append(f"{last.year + (last.month == 10)} Q{(last.month + 2) // 3 % 4 + 1}")
    labels = {"new": "first purchase", "staying": "bought again", "back": "came back", "away": "did not buy"}
    drawn = _sankey(
        page,
        title,
        names,
        found,
        lambda state: page.t(labels[state]),
        lambda state: STATES.index(state),
        {"away": "quiet", "back": "warn"},
    )
    note = page.t(
        "By the quarter of each purchase; customers from before the data begins buy first in its first quarter."
    )
    return replace(drawn, note=note)


def _sankey(
    page: Page,
    title: str,
    steps: Sequence[str],
    found: Sequence[Mapping[str, Any]],
    label: Callable[[str], str],
    order: Callable[[str], int],
    tones: Mapping[str, str] | None = None,
) -> Figure:
    """A flow of rows (place, source, target, persons); streams that are too small are left out."""
    everything = page.may("see_personal")
    streams = [row for row in found if everything or row["persons"] >= SMALLEST]
    if not streams:
        return Figure(title, None, empty=page.t("No stream has ten persons."))

    def name(depth: int, value: str) -> str:
        return f"{steps[depth]} · {label(value)}"

    names: dict[str, dict[str, Any]] = {}
    for row in streams:
        for depth, value in ((row["place"], row["source"]), (row["place"] + 1, row["target"])):
            names.setdefault(
                name(depth, value),
                {
                    "name": name(depth, value),
                    "label": label(value),
                    "group": value,
                    "depth": depth,
                    "tone": (tones or {}).get(value),
                    "place": order(value),
                },
            )
    ordered = sorted(names.values(), key=lambda node: (node["depth"], node["place"], node["label"]))
    links = [
        {
            "source": name(row["place"], row["source"]),
            "target": name(row["place"] + 1, row["target"]),
            "value": row["persons"],
        }
        for row in streams
    ]
    rows = [
        {
            "from_step": steps[row["place"]],
            "to_step": steps[row["place"] + 1],
            "source": label(row["source"]),
            "target": label(row["target"]),
            "persons": row["persons"],
        }
        for row in streams
    ]
    spec = {"kind": "sankey", "ordered": True, "nodes": ordered, "links": links, "steps": list(steps)}
    return Figure(title, spec, 400, has_hidden=len(streams) < len(found), rows=rows, facts={"steps": list(steps)})
