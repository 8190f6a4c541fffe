"""What those who bought first in a month did afterwards."""

from __future__ import annotations

from datetime import date
from typing import Any

from tagloom.portal.errors import NotFoundError
from tagloom.portal.figures.figure import Definition, Figure
from tagloom.portal.filters import Filter
from tagloom.portal.page import Page
from tagloom.portal.small_cells import SMALLEST

MOST_COHORTS = 12


def cohorts(page: Page, definition: Definition, chosen: Filter) -> Figure:
    """Of those who bought first in a month, how many did something in each month after it."""
    event = str(definition.get("event") or "purchase")
    events = {row["event"]: row for row in event_choices(page)}
    if event not in events:
        raise NotFoundError("There is no such event: {name}.", "Choose another event.", name=event)
    title = page.t("{event}, by month of the first purchase", event=page.title(events[event]))
    found = page.snapshot.rows(
        f"""
        with firsts as (
            select persons.person_id, min(persons.happened_on) as first_on
            from serving.person_events as persons
            where persons.event in ('purchase', 'web_purchase') and {chosen.sql}
            group by persons.person_id
        ),
        cohort_months as (
            select person_id, date_trunc('month', first_on) as cohort from firsts
        ),
        newest as (
            select distinct cohort from cohort_months order by cohort desc limit {MOST_COHORTS}
        )
        select cohort_months.cohort,
            date_diff('month', cohort_months.cohort, date_trunc('month', events.happened_on)) as months,
            count(distinct cohort_months.person_id) as persons
        from cohort_months
        inner join newest on cohort_months.cohort = newest.cohort
        inner join serving.person_events as events
            on events.person_id = cohort_months.person_id
            and events.event = $event and events.happened_on >= cohort_months.cohort and events.happened_on <= $day
        group by all
        union all
        select cohort, -1, count(*) from cohort_months inner join newest using (cohort) group by all
        order by all
        """,
        {"event": event, "day": page.snapshot.as_of_date, **chosen.parameters},
    )
    sizes = {row["cohort"]: row["persons"] for row in found if row["months"] == -1}
    if not sizes:
        return Figure(title, None, empty=page.t("Nobody here has bought yet."))
    counts = {(row["cohort"], row["months"]): row["persons"] for row in found}
    everything = page.may("see_personal")
    day = page.snapshot.as_of_date
    most = max(months_between(cohort, day) for cohort in sizes)
    names = list(range(most + 1))
    series, hidden, notes = [], [], []
    small = page.t("fewer than ten")
    for cohort, size in sorted(sizes.items()):
        values: list[float | None] = []
        masks: list[str | None] = []
        texts: list[str | None] = []
        for months in names:
            count = counts.get((cohort, months), 0)
            if months > months_between(cohort, day):
                values.append(None)
                masks.append("–")
                texts.append(None)
            elif not everything and (size < SMALLEST or 0 < count < SMALLEST):
                values.append(None)
                masks.append(small)
                texts.append(None)
            else:
                values.append(count / size)
                masks.append(None)
                texts.append(page.t("{count} of {size} persons", count=f"{count:,}", size=f"{size:,}"))
        series.append({"name": f"{cohort:%Y-%m}", "values": values})
        hidden.append(masks)
        notes.append(texts)
    spec = {
        "kind": "heatmap",
        "percent": True,
        "categories": [str(months) for months in names],
        "series": series,
        "title_x": page.t("Months after the first purchase"),
        "title_y": page.t("First purchase"),
        "hidden": hidden,
        "notes": notes,
    }
    return Figure(
        title,
        spec,
        80 + 30 * len(series),
        page.t(
            "Share of each month's new customers. The first month of the data also holds customers from before it; "
            "the newest may not be over."
        ),
        has_hidden=any(mask == small for row in hidden for mask in row),
        rows=[
            {"name": f"{cohort:%Y-%m}", "persons": size if everything or size >= SMALLEST else None}
            for cohort, size in sorted(sizes.items())
        ],
    )


def months_between(first: date, last: date) -> int:
    """Whole calendar months from the month of one day to that of another."""
    return (last.year - first.year) * 12 + last.month - first.month


def event_choices(page: Page) -> list[dict[str, Any]]:
    """The events of this version, the most frequent first."""
    if "serving.event_catalog" not in page.snapshot.tables:
        return []
    return page.snapshot.rows("from serving.event_catalog where events > 0 order by events desc")
