"""The figures about value and groups: the same ones on the pages of value and, saved, on dashboards.

A figure is asked for by a definition, plain values such as `{"figure": "cross", "rows": "rfm_segment", "columns":
"lifecycle_stage"}`, and a filter; it comes back as the spec of a chart with what has to be said about it. Groups of
fewer than ten persons are hidden from those who may not see personal data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from tagloom.portal.association import SIGNIFICANT, Association, association, difference_chance
from tagloom.portal.audience_links import Leaf, leaf_of_value, new_audience
from tagloom.portal.errors import NotFoundError
from tagloom.portal.filters import Filter
from tagloom.portal.groups import groups_of
from tagloom.portal.page import Page
from tagloom.portal.serving import Tag
from tagloom.portal.small_cells import SMALLEST, shown, shown_table

Definition = Mapping[str, Any]

MOST_COHORTS = 12
MOST_STEPS = 5
"""Days, or quarters, side by side in a flow."""

MEASURES = ("share", "persons", "lift")

SCORES = ("recency_score", "frequency_score", "monetary_score")

STATES = ("new", "staying", "back", "away")
"""Where a customer stands in a quarter: bought for the first time; bought again after having bought in the quarter
before; bought again after a pause; did not buy."""


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


def person_tag(page: Page, name: object) -> Tag:
    """A published tag of persons. Raises NotFoundError when there is none of this name."""
    tag = page.snapshot.tags.get(str(name))
    if tag is None:
        raise NotFoundError("There is no such tag: {name}.", "Choose another tag.", name=str(name))
    return tag


def rfm_grid(page: Page, definition: Definition, chosen: Filter) -> Figure:
    """Persons by two of the three scores; a cell leads to an audience."""
    axes = [str(definition.get(name) or standard) for name, standard in (("x", SCORES[1]), ("y", SCORES[0]))]
    across, up = (person_tag(page, name) for name in axes)
    spend = '"spend_365d"' if "spend_365d" in page.snapshot.tags else "null::double"
    found = page.snapshot.rows(
        f"""
        select "{across.name}" as x, "{up.name}" as y, count(*) as persons, avg({spend}) as spend
        from tag_integration.person_tags as persons
        where "{across.name}" is not null and "{up.name}" is not null and {chosen.sql}
        group by all
        """,
        chosen.parameters,
    )
    title = page.t("Persons by {up} and {across}", up=page.title(up), across=page.title(across))
    if not found:
        return Figure(title, None, empty=page.t("Nobody here has a score."))
    counts = {(row["x"], row["y"]): row for row in found}
    scores = range(1, 6)
    whole = [[counts.get((x, y), {}).get("persons", 0) for x in scores] for y in scores]
    seen = shown_table(whole, page.may("see_personal"))
    total = sum(map(sum, whole))
    hidden = page.t("fewer than ten")
    return Figure(
        title,
        {
            "kind": "heatmap",
            "categories": [str(x) for x in scores],
            "series": [{"name": str(y), "values": seen[y - 1]} for y in reversed(scores)],
            "title_x": page.title(across),
            "title_y": page.title(up),
            "hidden": [[hidden if seen[y - 1][x - 1] is None else None for x in scores] for y in reversed(scores)],
            "notes": [
                [
                    None
                    if not seen[y - 1][x - 1]
                    else page.t(
                        "{share} of all, {spend} spent in a year on average",
                        share=f"{seen[y - 1][x - 1] / total:.1%}",
                        spend=f"{counts[x, y]['spend'] or 0:,.0f}",
                    )
                    for x in scores
                ]
                for y in reversed(scores)
            ],
            "urls": [
                [new_audience(page, [leaf_of_value(across, x), leaf_of_value(up, y), *chosen.leaves]) for x in scores]
                for y in reversed(scores)
            ],
        },
        height=330,
        note=page.t("5 is the best fifth. A click on a cell makes an audience of it."),
        has_hidden=any(count is None for row in seen for count in row),
    )


def segments(page: Page, definition: Definition, chosen: Filter) -> Figure:
    """Values of one tag with how many persons have each, their spend and how long ago they bought."""
    tag = person_tag(page, definition.get("tag") or "rfm_segment")
    groups = groups_of(page.snapshot, tag, "words", page.language, page.t)
    known = page.snapshot.tags
    spend = "persons.spend_365d" if "spend_365d" in known else "null::double"
    since = "persons.days_since_last_order" if "days_since_last_order" in known else "null::integer"
    found = {
        row["place"]: row
        for row in page.snapshot.rows(
            f"""
            select {groups.expression} as place, count(*) as persons, avg({spend})::double as spend,
                sum({spend})::double as all_spend, median({since})::double as days
            from tag_integration.person_tags as persons
            where {chosen.sql}
            group by all
            """,
            {**groups.parameters, **chosen.parameters},
        )
    }
    places = [place for place in range(len(groups.labels)) if place in found]
    counts = shown([found[place]["persons"] for place in places], page.may("see_personal"))
    total = sum(row["persons"] for row in found.values())
    everything = sum(row["all_spend"] or 0 for row in found.values())
    title = page.t("Persons by {tag}", tag=page.title(tag))
    if not places:
        return Figure(title, None, empty=page.t("Nobody is left under this filter."))
    leaves = [groups.leaves[place] for place in places]
    urls = [new_audience(page, [*group, *chosen.leaves]) if group is not None else None for group in leaves]
    rows = [
        {
            "name": groups.labels[place],
            "persons": count,
            "share": None if count is None else count / total,
            "spend": None if count is None else found[place]["spend"],
            "share_of_spend": None
            if count is None or not everything
            else (found[place]["all_spend"] or 0) / everything,
            "days": None if count is None else found[place]["days"],
            "url": url,
        }
        for place, count, url in zip(places, counts, urls, strict=True)
    ]
    spec = {
        "kind": "bar",
        "horizontal": True,
        "labels": True,
        "categories": [groups.labels[place] for place in places],
        "series": [{"name": page.t("Persons"), "values": counts}],
        "urls": urls,
        **_target(page, definition),
    }
    return Figure(title, spec, 60 + 28 * len(places), has_hidden=None in counts, rows=rows)


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
        [_day(day) for day in days],
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


def cross(page: Page, definition: Definition, chosen: Filter) -> Figure:
    """Any two tags against each other, and whether they have to do with each other."""
    rows_tag = person_tag(page, definition.get("rows") or "rfm_segment")
    columns_tag = person_tag(page, definition.get("columns") or "lifecycle_stage")
    measure = definition.get("measure") if definition.get("measure") in MEASURES else "share"
    title = page.t("{rows} by {columns}", rows=page.title(rows_tag), columns=page.title(columns_tag))
    down = groups_of(page.snapshot, rows_tag, "row_words", page.language, page.t)
    across = groups_of(page.snapshot, columns_tag, "column_words", page.language, page.t)
    found = page.snapshot.rows(
        f"""
        select {down.expression} as r, {across.expression} as c, count(*) as persons
        from tag_integration.person_tags as persons
        where {chosen.sql}
        group by all
        """,
        {**down.parameters, **across.parameters, **chosen.parameters},
    )
    counts = {(row["r"], row["c"]): row["persons"] for row in found}
    rows = [place for place in range(len(down.labels)) if any(r == place for r, _ in counts)]
    columns = [place for place in range(len(across.labels)) if any(c == place for _, c in counts)]
    if not rows:
        return Figure(title, None, empty=page.t("Nobody is left under this filter."))
    table = [[counts.get((r, c), 0) for c in columns] for r in rows]
    found_association = association(table)
    seen = shown_table(table, page.may("see_personal"))
    spec = _cross_spec(page, measure, table, seen, found_association)
    spec |= {
        "categories": [across.labels[c] for c in columns],
        "series": [
            {"name": down.labels[r], "values": values} for r, values in zip(rows, spec.pop("values"), strict=True)
        ],
        "title_x": page.title(columns_tag),
        "title_y": page.title(rows_tag),
        "urls": [[_audience_of(page, down.leaves[r], across.leaves[c], chosen) for c in columns] for r in rows],
    }
    return Figure(
        title,
        spec,
        90 + 34 * len(rows),
        note=page.t("A click on a cell makes an audience of it."),
        has_hidden=any(count is None for row in seen for count in row),
        facts={"association": found_association, "measure": measure, "chance": _chance(found_association.chance)},
    )


def _cross_spec(
    page: Page,
    measure: object,
    table: list[list[int]],
    seen: list[list[int | None]],
    found: Association,
) -> dict[str, Any]:
    totals = [sum(row) for row in table]
    hidden = page.t("fewer than ten")
    values: list[list[float | None]] = []
    notes: list[list[str | None]] = []
    signs = {1: page.t("significantly more than expected"), -1: page.t("significantly fewer than expected"), 0: ""}
    for r, row in enumerate(seen):
        values.append([])
        notes.append([])
        for c, count in enumerate(row):
            lift = found.lifts[r][c]
            if count is None:
                values[-1].append(None)
                notes[-1].append(None)
                continue
            share = count / totals[r] if totals[r] else 0.0
            values[-1].append({"persons": count, "share": share, "lift": lift}[str(measure)])
            notes[-1].append(
                page.t(
                    "{count} persons, {share} of the row, {lift} times what is expected",
                    count=f"{count:,}",
                    share=f"{share:.1%}",
                    lift="–" if lift is None else f"{lift:.2f}",
                )
                + (f"; {signs[found.stands_out[r][c]]}" if found.stands_out[r][c] else "")
            )
    return {
        "kind": "heatmap",
        "percent": measure == "share",
        "values": values,
        "notes": notes,
        "hidden": [[hidden if count is None else None for count in row] for row in seen],
    }


def _audience_of(page: Page, first: list[Leaf] | None, second: list[Leaf] | None, chosen: Filter) -> str | None:
    if first is None or second is None:
        return None
    return new_audience(page, [*first, *second, *chosen.leaves])


def _chance(chance: float) -> str:
    return "< 0.001" if chance < 0.001 else f"{chance:.3f}"


def trend(page: Page, definition: Definition, chosen: Filter) -> Figure:
    """Shares of the values of a tag on every day that was built, for the quarterly review."""
    tag = person_tag(page, definition.get("tag") or "rfm_segment")
    value = definition.get("value") or None
    title = page.t("{tag} over time", tag=page.title(tag))
    found = _trend_rows(page, tag, chosen)
    days = sorted({row["day"] for row in found})
    if len(days) < 2:
        return Figure(
            title,
            None,
            empty=page.t("One day is known so far ({day}); the trend begins with the second build.", day=_day(days[0]))
            if days
            else page.t("No day is known for this tag and filter."),
        )
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
        "categories": [_day(day) for day in days],
        "series": series,
        "area": len(series) == 1,
        **_target(page, definition, 100),
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


def _target(page: Page, definition: Definition, divided_by: float = 1) -> dict[str, Any]:
    """A line across at the value that was wished for."""
    target = definition.get("target")
    if not isinstance(target, int | float):
        return {}
    return {"target": target / divided_by, "target_label": page.t("Target")}


def _day(day: date) -> str:
    return day.isoformat()


FIGURES: dict[str, Callable[[Page, Definition, Filter], Figure]] = {
    "rfm": rfm_grid,
    "segments": segments,
    "flow": flow,
    "purchases_flow": purchases_flow,
    "cohorts": cohorts,
    "cross": cross,
    "trend": trend,
}
