"""The catalogue of customer tags: a tree with search, and everything that is known of one tag."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from tagloom.portal.audience_links import leaf_of_value, new_audience
from tagloom.portal.errors import NotFoundError
from tagloom.portal.page import Page, page_of
from tagloom.portal.rights import needs
from tagloom.portal.serving import Snapshot, Tag
from tagloom.portal.small_cells import shown
from tagloom.portal.sql_highlight import highlighted

router = APIRouter()

OBJECT_TITLES = {"person": "Persons", "household": "Households", "product": "Products", "store": "Stores"}

KIND_TITLES = {
    "fact": "Fact",
    "statistic": "Statistic",
    "rule": "Rule",
    "preference": "Preference",
    "rfm": "RFM",
    "lifecycle": "Lifecycle",
    "habit": "Habit",
    "sequence": "Sequence",
    "score": "Score",
    "prediction": "Prediction",
    "import": "Import",
    "derived": "Derived",
    "comparison": "Comparison",
}
IF_MISSING = {"null": "unknown", "zero": "counted as 0", "false": "counted as no"}
PERSONAL_DATA = {"none": "none", "indirect": "indirect", "direct": "direct: it names the person"}
USED_BY = {"warehouse": "in the warehouse", "tag": "another tag", "audience": "saved audience", "export": "export"}
STATUS = {"draft": "draft", "retired": "retired", "published": "published"}

NO_VALUE = "no value"
"""How tag_distributions names null."""

MOST_BINS = 24
"""Bars of a distribution; the rest is added up."""

MOST_LINES = 6
"""Values in a chart over time; the rest is added up."""

SCORE_PARTS = ("coverage", "stability", "freshness", "use", "cost")


@router.get("/tags", dependencies=[needs("see")])
def tags(page: Page = Depends(page_of)) -> Response:
    """Show the tree of all tags of one kind of thing, to be searched in English and Chinese."""
    snapshot = page.snapshot
    chosen = page.request.query_params.get("object", "person")
    if chosen not in snapshot.objects:
        chosen = "person"
    scores = _by_tag(snapshot, "tag_scores", chosen)
    statistics = _by_tag(snapshot, "tag_statistics", chosen)
    others = [tag for tag in snapshot.catalogue if tag.object == chosen and tag.status != "published"]
    everything = [*snapshot.objects.get(chosen, {}).values(), *others]
    tree: dict[str, dict[str, list[Tag]]] = {}
    for tag in everything:
        first, _, rest = tag.category.partition("/")
        tree.setdefault(first, {}).setdefault(rest, []).append(tag)
    tree = {first: dict(sorted(parts.items())) for first, parts in sorted(tree.items())}
    return page.render(
        "tags/tags.html",
        tree=tree,
        chosen=chosen,
        objects=[
            (OBJECT_TITLES.get(name, name.title()), name, len(snapshot.objects[name])) for name in snapshot.objects
        ],
        scores=scores,
        statistics=statistics,
        kind_titles=KIND_TITLES,
        status=STATUS,
        count=len(everything),
        drifting=sum(1 for row in statistics.values() if row["drift"] == "strong"),
    )


@router.get("/tags/{object_name}/{name}", dependencies=[needs("see")])
def one_tag(object_name: str, name: str, page: Page = Depends(page_of)) -> Response:
    """Show a tag: what it means, how it is computed, from what and for whom, how many have it, and how well it does."""
    snapshot = page.snapshot
    tag = next((tag for tag in snapshot.catalogue if (tag.object, tag.name) == (object_name, name)), None)
    if tag is None:
        raise NotFoundError("There is no such tag: {name}.", "Look it up in the tree of tags.", name=name)
    is_published = name in snapshot.objects.get(object_name, {})
    everything = page.may("see_personal") or object_name != "person"
    statistics = _history(snapshot, "tag_statistics", tag)
    scores = _history(snapshot, "tag_scores", tag)
    days = _distributions(snapshot, tag)
    users = _users(page, tag)
    return page.render(
        "tags/tag.html",
        tag=tag,
        branch=tag.category.partition("/")[0].capitalize(),
        kind=KIND_TITLES.get(tag.kind, tag.kind),
        status=STATUS[tag.status],
        if_missing=IF_MISSING.get(tag.if_missing, tag.if_missing),
        personal_data=PERSONAL_DATA.get(tag.personal_data, tag.personal_data),
        used_by=USED_BY,
        is_published=is_published,
        statistics=statistics[-1] if statistics else None,
        score=scores[-1] if scores else None,
        distribution=_distribution_chart(page, tag, days, everything),
        has_hidden=not everything,
        coverage=_coverage_chart(page, statistics),
        values_over_time=_values_over_time(page, tag, days, everything),
        quality=_quality_chart(page, scores[-1]) if scores else None,
        lineage=_lineage(page, tag, users),
        users=users,
        sql=highlighted(tag.sql) if tag.sql else "",
        siblings=[other for other in snapshot.catalogue if other.model == tag.model and other.name != tag.name],
        audience=new_audience(page, [_first_leaf(tag)]) if object_name == "person" and is_published else "",
        stale=_stale(snapshot, tag),
    )


def _by_tag(snapshot: Snapshot, table: str, object_name: str) -> dict[str, dict[str, Any]]:
    """The newest row of each tag."""
    if f"tag_integration.{table}" not in snapshot.tables:
        return {}
    rows = snapshot.rows(
        f"""
        from tag_integration.{table}
        where object = $object
            and as_of_date = (select max(as_of_date) from tag_integration.{table} where as_of_date <= $day)
        """,
        {"object": object_name, "day": snapshot.as_of_date},
    )
    return {row["tag"]: row for row in rows}


def _history(snapshot: Snapshot, table: str, tag: Tag) -> list[dict[str, Any]]:
    """All rows of a tag, the newest last."""
    if f"tag_integration.{table}" not in snapshot.tables:
        return []
    return snapshot.rows(
        f"from tag_integration.{table} where object = ? and tag = ? and as_of_date <= ? order by as_of_date",
        [tag.object, tag.name, snapshot.as_of_date],
    )


def _distributions(snapshot: Snapshot, tag: Tag) -> dict[str, list[dict[str, Any]]]:
    """Day -> its bins in their order, the newest day last."""
    order = {value: place for place, value in enumerate(tag.values or ())}
    rows = _history(snapshot, "tag_distributions", tag)
    days: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        days.setdefault(row["as_of_date"].isoformat(), []).append(row)
    for bins in days.values():
        bins.sort(
            key=lambda row: (
                row["bin"] == NO_VALUE,
                order.get(row["bin"], len(order)) if order else 0,
                row["bin_from"] if row["bin_from"] is not None else 0,
                -row["objects"] if row["bin_from"] is None else 0,
                row["bin"],
            )
        )
    return days


def _bin_label(page: Page, tag: Tag, name: str) -> str:
    if name == NO_VALUE:
        return page.t("no value")
    if tag.data_type == "boolean":
        return page.t({"true": "yes", "false": "no"}.get(name, name))
    return tag.value_label(name, page.language)


def _distribution_chart(
    page: Page, tag: Tag, days: Mapping[str, list[dict[str, Any]]], everything: bool
) -> dict[str, Any] | None:
    if not days:
        return None
    bins = _at_most(list(days.values())[-1], MOST_BINS)
    counts = shown([row["objects"] for row in bins], everything)
    is_listed = tag.object == "person" and tag.data_type in ("text", "boolean")
    chart: dict[str, Any] = {
        "kind": "bar",
        "horizontal": tag.data_type in ("text", "boolean"),
        "labels": tag.data_type in ("text", "boolean"),
        "categories": [_bin_label(page, tag, row["bin"]) for row in bins],
        "series": [{"name": page.t(OBJECT_TITLES.get(tag.object, "Persons")), "values": counts}],
    }
    if is_listed:
        chart["urls"] = [
            None if row.get("is_rest") else new_audience(page, [leaf_of_value(tag, _value_of_bin(tag, row["bin"]))])
            for row in bins
        ]
    return chart


def _value_of_bin(tag: Tag, name: str) -> object:
    if name == NO_VALUE:
        return None
    return name == "true" if tag.data_type == "boolean" else name


def _at_most(bins: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """The bins, words beyond the most frequent added up; null stays."""
    words = [row for row in bins if row["bin"] != NO_VALUE]
    if len(words) <= most or words[0]["bin_from"] is not None:
        return bins
    rest = words[most:]
    added = {"bin": f"+{len(rest)}", "bin_from": None, "objects": sum(row["objects"] for row in rest), "is_rest": True}
    return [*words[:most], added, *(row for row in bins if row["bin"] == NO_VALUE)]


def _coverage_chart(page: Page, statistics: list[dict[str, Any]]) -> dict[str, Any] | None:
    if len(statistics) < 2:
        return None
    return {
        "kind": "line",
        "area": True,
        "percent": True,
        "minimum": 0,
        "maximum": 1,
        "categories": [row["as_of_date"].isoformat() for row in statistics],
        "series": [{"name": page.t("Coverage"), "values": [row["coverage"] for row in statistics]}],
    }


def _values_over_time(
    page: Page, tag: Tag, days: Mapping[str, list[dict[str, Any]]], everything: bool
) -> dict[str, Any] | None:
    """Shares of the most frequent values on every day that is known."""
    if len(days) < 2:
        return None
    newest = [row for row in list(days.values())[-1] if row["bin"] != NO_VALUE]
    names = [row["bin"] for row in sorted(newest, key=lambda row: -row["objects"])[:MOST_LINES]]
    names = [row["bin"] for row in newest if row["bin"] in names]
    series = []
    for name in names:
        values: list[float | None] = []
        for bins in days.values():
            total = sum(row["objects"] for row in bins) or 1
            counts = dict(
                zip([row["bin"] for row in bins], shown([row["objects"] for row in bins], everything), strict=True)
            )
            count = counts.get(name, 0)
            values.append(None if count is None else count / total)
        series.append({"name": _bin_label(page, tag, name), "values": values})
    return {"kind": "line", "percent": True, "categories": list(days), "series": series}


def _quality_chart(page: Page, score: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "coverage": page.t("Coverage"),
        "stability": page.t("Stability"),
        "freshness": page.t("Freshness"),
        "use": page.t("Use"),
        "cost": page.t("Low cost"),
    }
    known = [part for part in SCORE_PARTS if score.get(part) is not None]
    return {
        "kind": "bar",
        "horizontal": True,
        "labels": True,
        "minimum": 0,
        "maximum": 100,
        "categories": [names[part] for part in known],
        "series": [{"name": page.t("Points of 100"), "values": [score[part] for part in known]}],
    }


def _users(page: Page, tag: Tag) -> list[tuple[str, str, str]]:
    """Who uses the tag: (kind, name, address or nothing), from dbt and from what people saved in the portal."""
    known = {(other.object, other.name): other for other in page.snapshot.catalogue}
    found = []
    for name in (name.strip() for name in tag.used_by.split(",") if name.strip()):
        # Tags stand there as object.tag, models by their name.
        object_name, _, tag_name = name.rpartition(".")
        user = known.get((object_name or tag.object, tag_name))
        if user is None:
            found.append(("warehouse", name, ""))
        else:
            found.append(("tag", user.label(page.language), page.url(f"/tags/{user.object}/{user.name}")))
    if tag.object == "person":
        try:
            library = import_module("tagloom.audiences.library")
        except ModuleNotFoundError:
            return found
        for line in library.users_of_tags(page.settings, [tag.name]):
            kind, _, name = line.partition(" ")
            found.append((kind, name, page.url("/audiences")))
    return found


def _lineage(page: Page, tag: Tag, users: Iterable[tuple[str, str, str]]) -> dict[str, Any] | None:
    """Sources, columns, the tag with those it is computed from, and its users, as layers from left to right."""
    nodes: dict[str, dict[str, Any]] = {}
    links: list[dict[str, Any]] = []

    def node(name: str, layer: int, label: str, group: str, **more: object) -> str:
        nodes.setdefault(name, {"name": name, "label": label, "layer": layer, "group": group, **more})
        return name

    middle = node(f"tag {tag.name}", 2, tag.label(page.language), "tag", tone="accent", size=18)
    sources = [name.strip() for name in tag.upstream_sources.split(",") if name.strip()]
    for column in (name.strip() for name in tag.upstream_columns.split(",")):
        if not column:
            continue
        model, _, field = column.partition(".")
        here = node(f"column {column}", 1, field or model, "column", note=model)
        links.append({"source": here, "target": middle})
        source, _, table = model.removeprefix("stg_").partition("__")
        for name in sources:
            if name.partition(".")[0] == source and (not table or name.partition(".")[2] == table):
                links.append({"source": node(f"source {name}", 0, name, "source"), "target": here})
    reached = {link["source"] for link in links}
    for name in sources:
        if f"source {name}" not in reached:
            links.append({"source": node(f"source {name}", 0, name, "source"), "target": middle})
    for kind, name, address in users:
        links.append(
            {"source": middle, "target": node(f"{kind} {name}", 3, name, "user", url=address or None, note=kind)}
        )
    if not links:
        return None
    most = max(sum(1 for one in nodes.values() if one["layer"] == layer) for layer in range(4))
    named = {one["name"]: one["label"] for one in nodes.values()}
    for link in links:
        link["label"] = f"{named[link['source']]} → {named[link['target']]}"
    return {"kind": "graph", "directed": True, "nodes": list(nodes.values()), "links": links, "height": 90 + 34 * most}


def _first_leaf(tag: Tag) -> dict[str, Any]:
    if tag.data_type == "boolean":
        return leaf_of_value(tag, True)
    if tag.values:
        return leaf_of_value(tag, tag.values[0])
    return {"field": f"tag:{tag.name}", "operator": "notNull", "value": None}


def _stale(snapshot: Snapshot, tag: Tag) -> int:
    """How many values are hidden because they were learnt too long ago."""
    if "tag_integration.tag_stale_values" not in snapshot.tables:
        return 0
    return snapshot.value(
        "select count(*) from tag_integration.tag_stale_values where object = ? and tag = ?", [tag.object, tag.name]
    )
