"""Keeps the files that are written from declarations in step with them: `make tags` writes, `make lint` compares."""

from __future__ import annotations

from pathlib import Path

from tagloom.alerting.routing import ROUTING_FILE, Routing
from tagloom.contracts import SKELETON
from tagloom.identity.policy import POLICY_FILE, load_policy, policy_files
from tagloom.identity.policy_schema import SCHEMA_FILE as POLICY_SCHEMA_FILE
from tagloom.identity.policy_schema import policy_schema
from tagloom.monitoring.declarations import MONITORS, Monitor
from tagloom.observations import WRITTEN_YAML, check_identifier_types, source_files
from tagloom.quality_skeleton import skeleton_files, stale_skeleton, write_skeleton
from tagloom.settings import PROJECT, Settings
from tagloom.source_tools.schema import SCHEMA_FILE, schema_text, source_schema
from tagloom.sources import load_sources
from tagloom.tags.definitions import TagModel, load_tags
from tagloom.tags.integration import integration_files
from tagloom.tags.tag_uses import use_problems
from tagloom.tags.written_text import FOLDER

DBT_PROJECT = PROJECT / "dbt_project"

TAGS = Path("models") / "tag_category"
"""Where tag models lie, below the dbt project."""

SCHEMA = Path("sources") / SCHEMA_FILE
POLICY_SCHEMA = Path("identity") / POLICY_SCHEMA_FILE
ROUTING_SCHEMA = Path("alerts") / "routing.schema.json"
MONITOR_SCHEMA = Path("monitors") / "monitor.schema.json"
"""The written files that are not below the dbt project: they lie beside what they are the schemas of."""


def written_files(settings: Settings, project: Path = DBT_PROJECT, policy: Path = POLICY_FILE) -> dict[Path, str]:
    """Path below the dbt project -> content, for all that follows from declarations, identity policy and tag twins.

    The schemas, which are the same whatever is declared, are among them. Raises SourceError, PolicyError or TagError,
    which name every problem.
    """
    return _written_files(settings, project, policy, load_tags(project / TAGS))


def _written_files(settings: Settings, project: Path, policy: Path, tags: list[TagModel]) -> dict[Path, str]:
    rules = policy_files(load_policy(policy))
    sources = load_sources(settings.sources)
    check_identifier_types(sources, policy)
    schemas = {
        SCHEMA: source_schema(),
        POLICY_SCHEMA: policy_schema(),
        ROUTING_SCHEMA: schema_text(Routing, "plugins/tagloom/alerting/routing.py"),
        MONITOR_SCHEMA: schema_text(Monitor, "plugins/tagloom/monitoring/declarations.py"),
    }
    return source_files(sources) | rules | integration_files(tags) | schemas


def write_files(settings: Settings, project: Path = DBT_PROJECT, policy: Path = POLICY_FILE) -> list[Path]:
    """Write what has changed, remove what nothing stands behind any more, and return the paths that were touched."""
    wanted = written_files(settings, project, policy)
    touched = []
    for path, content in wanted.items():
        file = _place(path, settings, project, policy)
        if not file.exists() or file.read_text(encoding="utf-8") != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
            touched.append(path)
    for path in _orphans(wanted, project):
        (project / path).unlink()
        touched.append(path)
    return sorted(touched) + _write_skeleton(settings, project)


def stale_files(settings: Settings, project: Path = DBT_PROJECT, policy: Path = POLICY_FILE) -> list[str]:
    """One sentence per written file that is missing, differs, or has nothing behind it any more.

    And one per tag that is a draft, retired or deleted while something uses it: what is written would not fit.
    """
    tags = load_tags(project / TAGS)
    wanted = _written_files(settings, project, policy, tags)
    problems = [
        f"{path}: is stale; run `make tags` and commit what it writes"
        for path, content in wanted.items()
        for file in [_place(path, settings, project, policy)]
        if not file.exists() or file.read_text(encoding="utf-8") != content
    ]
    problems += [f"{path}: nothing stands behind it any more; run `make tags`" for path in _orphans(wanted, project)]
    # The skeleton of checks follows from the twins as they lie there; while these are stale it says nothing new.
    if not problems and (soda := project.parent / "soda").exists():
        problems += stale_skeleton(soda, skeleton_files(project, load_sources(settings.sources)))
    return sorted(problems) + use_problems(project, tags)


def _write_skeleton(settings: Settings, project: Path) -> list[Path]:
    """What Soda checks because twins and declarations say so; from the twins that have just been written."""
    soda = project.parent / "soda"
    if not soda.exists():
        return []
    touched = write_skeleton(soda, skeleton_files(project, load_sources(settings.sources)))
    return [Path("soda", SKELETON, path) for path in touched]


def _place(path: Path, settings: Settings, project: Path, policy: Path) -> Path:
    folders = {
        SCHEMA: settings.sources,
        POLICY_SCHEMA: policy.parent,
        ROUTING_SCHEMA: ROUTING_FILE.parent,
        MONITOR_SCHEMA: MONITORS,
    }
    return folders[path] / path.name if path in folders else project / path


def _orphans(wanted: dict[Path, str], project: Path) -> list[Path]:
    """Files of earlier writes: all of tag_integration is written, of staging what says so in its first line."""
    candidates = [
        *(project / FOLDER).rglob("*.sql"),
        *(project / FOLDER).rglob("*.yml"),
        *(path for path in (project / "models" / "staging").glob("*/_*__sources.yml") if _is_written(path)),
    ]
    return [path.relative_to(project) for path in candidates if path.relative_to(project) not in wanted]


def _is_written(path: Path) -> bool:
    return path.read_text(encoding="utf-8").startswith(WRITTEN_YAML)
