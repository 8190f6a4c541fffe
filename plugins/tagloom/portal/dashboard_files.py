"""Dashboards with their charts as YAML files, to be kept in git, reviewed and brought to another installation.

One file per dashboard. A chart that counts the members of an audience names it by folder and name, as the files of
audiences do, because another installation has other numbers; so audiences are brought there first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tagloom.audiences import library
from tagloom.audiences.evaluate import events_of_version
from tagloom.portal.serving import Snapshot
from tagloom.portal.store import audit, charts
from tagloom.portal.store.charts import KEPT, MOST_TARGET, Dashboard
from tagloom.yaml_files import YamlFiles, slug

KEYS = {"dashboard": str, "owner": str, "description": str, "charts": list}
CHART_KEYS = {"title": str, "definition": dict, "filter": str}

REFERENCE = "audience:"

LONGEST_TITLE = 160
LONGEST_DESCRIPTION = 2_000
LONGEST_WORD = 200
"""Characters of a tag, value or event in a definition."""

TAGS_OF = {
    "rfm": ("x", "y"),
    "segments": ("tag",),
    "flow": ("tag",),
    "cross": ("rows", "columns"),
    "trend": ("tag",),
}
"""Figure -> what in its definition names a tag."""


class DashboardFileError(ValueError):
    """A file cannot be read as a dashboard, or one cannot be written; the message names the file and the key."""


FILES = YamlFiles("dashboard", DashboardFileError)


@dataclass(frozen=True)
class Imported:
    """What became of one file."""

    file: Path
    name: str
    charts: list[tuple[str, dict[str, Any], str]]
    """Title, definition and filter as the store keeps them."""
    state: str
    """new, changed or unchanged."""


def export_yaml(store: Session, folder: Path) -> list[Path]:
    """Write every dashboard into a file in `folder` and remove those of dashboards that are gone.

    Returns what was written or removed; files that say the same already stay as they are. Raises DashboardFileError
    when a chart counts an audience that was deleted, before anything is written.
    """
    paths = {audience.id: audience.path for audience in library.list_audiences(store)}
    files: dict[Path, dict[str, Any]] = {}
    for dashboard in charts.dashboards(store):
        name = slug(dashboard.name, "dashboard")
        file = folder / f"{name}.yml"
        if file in files:
            file = file.with_name(f"{name}-{dashboard.id}.yml")
        files[file] = _content(store, dashboard, paths)
    return FILES.write(folder, files)


def import_yaml(store: Session, folder: Path, by: str) -> list[Imported]:
    """Save every dashboard of the files below `folder`, charts in the order of the file; other dashboards stay.

    Raises DashboardFileError, which names file and key, when one cannot be saved; the caller then commits nothing.
    """
    contents = {file: _checked(file) for file in sorted(folder.rglob("*.yml"))}
    if not contents:
        raise DashboardFileError(f"{folder}: holds no dashboard; `portal export-yaml` writes one file for each.")
    files: dict[str, Path] = {}
    for file, content in contents.items():
        other = files.setdefault(_one_line(content["dashboard"]), file)
        if other != file:
            raise DashboardFileError(f"{file}: dashboard: {other} has the same name; give one of them another.")
    ids = {audience.path: audience.id for audience in library.list_audiences(store)}
    return [_import(store, file, content, ids, by) for file, content in contents.items()]


def check_version(snapshot: Snapshot, imported: list[Imported]) -> None:
    """Raise DashboardFileError for charts that ask for what the published version does not have, all in one message."""
    events = events_of_version(snapshot)
    problems = []
    for done in imported:
        for number, (_, definition, code) in enumerate(done.charts):
            place = f"{done.file}: charts[{number}]"
            for key in TAGS_OF.get(definition["figure"], ()):
                if definition.get(key) and definition[key] not in snapshot.tags:
                    problems.append(f"{place}.definition.{key}: there is no tag {definition[key]}.")
            event = definition.get("event")
            if event and event not in events:
                problems.append(f"{place}.definition.event: there is no event {event}.")
            kind, _, condition = code.partition(":")
            if kind == "tag":
                name, _, value = condition.partition("=")
                tag = snapshot.tags.get(name)
                if tag is None:
                    problems.append(f"{place}.filter: there is no tag {name}.")
                elif tag.values is not None and value not in tag.values:
                    problems.append(f"{place}.filter: {name} has no value {value!r}.")
    if problems:
        raise DashboardFileError("\n".join(problems))


def _content(store: Session, dashboard: Dashboard, paths: dict[int, str]) -> dict[str, Any]:
    content: dict[str, Any] = {"dashboard": dashboard.name, "owner": dashboard.owner}
    if dashboard.description:
        content["description"] = dashboard.description
    content["charts"] = []
    for number, chart in enumerate(charts.charts_of(store, dashboard.id), start=1):
        said: dict[str, Any] = {"title": chart.title} if chart.title else {}
        said["definition"] = chart.definition
        if chart.filter.startswith(REFERENCE):
            audience = int(chart.filter.removeprefix(REFERENCE))
            if audience not in paths:
                raise DashboardFileError(
                    f"Dashboard {dashboard.name}, chart {number}: its filter is an audience that was deleted; take "
                    "the chart off the dashboard first."
                )
            said["filter"] = REFERENCE + paths[audience]
        elif chart.filter:
            said["filter"] = chart.filter
        content["charts"].append(said)
    return content


def _import(store: Session, file: Path, content: dict[str, Any], ids: dict[str, int], by: str) -> Imported:
    name, description = _one_line(content["dashboard"]), content.get("description", "").strip()
    wanted = []
    for number, chart in enumerate(content.get("charts", [])):
        code = chart.get("filter", "")
        if code.startswith(REFERENCE):
            path = code.removeprefix(REFERENCE)
            if path not in ids:
                raise DashboardFileError(
                    f"{file}: charts[{number}].filter: there is no audience {path}; bring it with "
                    "`audiences import-yaml` first, or correct the name."
                )
            code = f"{REFERENCE}{ids[path]}"
        wanted.append((_one_line(chart.get("title", "")), chart["definition"], code))
    dashboard = store.scalar(select(Dashboard).where(Dashboard.name == name))
    state = "unchanged"
    try:
        if dashboard is None:
            dashboard = charts.create_dashboard(store, name, content.get("owner") or by, description)
            state = "new"
        before = dashboard.owner, dashboard.description
        dashboard.owner = content.get("owner") or dashboard.owner
        dashboard.description = description
        changed = charts.set_charts(store, dashboard.id, wanted, by)
    except ValueError as error:
        raise DashboardFileError(f"{file}: {error}") from error
    if state != "new" and (changed or before != (dashboard.owner, dashboard.description)):
        state = "changed"
    if state != "unchanged":
        deed = "dashboard created" if state == "new" else "dashboard changed"
        audit.record(store, by, "", deed, f"dashboard:{dashboard.id}", f"{name}, from {file.name}")
    store.flush()
    return Imported(file, name, wanted, state)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _checked(file: Path) -> dict[str, Any]:
    content = FILES.read(file)
    FILES.check_keys(file, content, KEYS, ("dashboard",))
    FILES.check_kinds(file, content, KEYS)
    if len(content.get("description", "").strip()) > LONGEST_DESCRIPTION:
        raise DashboardFileError(f"{file}: description: has more than {LONGEST_DESCRIPTION:,} characters; shorten it.")
    for number, chart in enumerate(content.get("charts", [])):
        place = f"charts[{number}]."
        if not isinstance(chart, dict):
            raise DashboardFileError(f"{file}: charts[{number}]: must have the key definition.")
        FILES.check_keys(file, chart, CHART_KEYS, ("definition",), place)
        FILES.check_kinds(file, chart, CHART_KEYS, place)
        if len(_one_line(chart.get("title", ""))) > LONGEST_TITLE:
            raise DashboardFileError(f"{file}: {place}title: has more than {LONGEST_TITLE} characters; shorten it.")
        kind, colon, rest = chart.get("filter", "").partition(":")
        is_filter = (kind == "audience" and rest) or (kind == "tag" and all(rest.partition("=")) and len(rest) < 390)
        if chart.get("filter") and not (colon and is_filter):
            raise DashboardFileError(
                f"{file}: {place}filter: {chart['filter']!r} is none; write audience:folder/name or tag:name=value."
            )
        _check_definition(file, chart["definition"], f"{place}definition.")
    return content


def _check_definition(file: Path, definition: dict[str, Any], place: str) -> None:
    figure = definition.get("figure")
    if not isinstance(figure, str) or figure not in KEPT:
        raise DashboardFileError(f"{file}: {place}figure: {figure!r} is not one of {', '.join(KEPT)}.")
    FILES.check_keys(file, definition, ("figure", "target", *KEPT[figure]), (), place)
    for key in KEPT[figure]:
        value = definition.get(key, "")
        if key == "days":
            if value and not (isinstance(value, list) and all(isinstance(day, str) for day in value)):
                raise DashboardFileError(
                    f"{file}: {place}{key}: must be a list of days in quotes, such as '2017-12-31'."
                )
        elif not isinstance(value, str) or len(value) > LONGEST_WORD:
            raise DashboardFileError(f"{file}: {place}{key}: must be a text of at most {LONGEST_WORD} characters.")
    target = definition.get("target", 0)
    if isinstance(target, bool) or not isinstance(target, int | float) or not -MOST_TARGET < target < MOST_TARGET:
        raise DashboardFileError(f"{file}: {place}target: must be a number.")
