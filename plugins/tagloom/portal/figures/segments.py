"""Persons by the scores of RFM, and by the values of one tag."""

from __future__ import annotations

from tagloom.portal.audience_links import leaf_of_value, new_audience
from tagloom.portal.figures.figure import Definition, Figure, person_tag, target_line
from tagloom.portal.filters import Filter
from tagloom.portal.groups import groups_of
from tagloom.portal.page import Page
from tagloom.portal.small_cells import shown, shown_table

SCORES = ("recency_score", "frequency_score", "monetary_score")


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
        **target_line(page, definition),
    }
    return Figure(title, spec, 60 + 28 * len(places), has_hidden=None in counts, rows=rows)
