"""Any two tags against each other."""

from __future__ import annotations

from typing import Any

from tagloom.portal.association import Association, association
from tagloom.portal.audience_links import Leaf, new_audience
from tagloom.portal.figures.figure import Definition, Figure, person_tag
from tagloom.portal.filters import Filter
from tagloom.portal.groups import groups_of
from tagloom.portal.page import Page
from tagloom.portal.small_cells import shown_table

MEASURES = ("share", "persons", "lift")


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
