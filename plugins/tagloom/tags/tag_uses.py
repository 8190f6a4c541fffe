"""Refuses what would break readers: a tag that is a draft, retired or deleted must not be used by anything.

Looked at are the SQL of audiences, reports, exports, other tags and data tests, column by column, and what the quality
contracts of the wide tables name. A draft may use another draft.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import yaml

from tagloom.tags.column_lineage import Column, LineageError, query_columns
from tagloom.tags.definitions import TagError, TagModel
from tagloom.tags.lineage_of_tags import Project, TagName, read_project

_SODA_VARIABLE = re.compile(r"\$\{[^}]*\}")

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_uses(project: Path, tag_models: list[TagModel], contracts: Path | None = None) -> Project:
    """Read the project and return it when nothing uses a tag that is not published.

    Raises TagError with one line per tag that is used all the same, which lists its users.
    """
    read = read_project(project, tag_models)
    problems = [*read.problems, *forbidden_uses(read, contracts or project.parent / "soda" / "contracts")]
    if problems:
        raise TagError("\n".join(problems))
    return read


def use_problems(project: Path, tag_models: list[TagModel], contracts: Path | None = None) -> list[str]:
    """The same as sentences, none when all is well."""
    try:
        check_uses(project, tag_models, contracts)
    except TagError as error:
        return str(error).splitlines()
    return []


def forbidden_uses(project: Project, contracts: Path) -> list[str]:
    """One sentence per tag that is not published and is used: which tag, its state, by which files."""
    status = {(model.object, tag.name): tag.status for model in project.tag_models for tag in model.columns}
    users: dict[TagName, set[str]] = defaultdict(set)
    for tag, file in (*_uses_by_models(project, status), *_uses_by_contracts(project, contracts)):
        if status.get(tag) != "published":
            users[tag].add(file)
    return [_sentence(tag, status.get(tag), sorted(files)) for tag, files in sorted(users.items())]


def _uses_by_models(project: Project, status: dict[TagName, str]) -> Iterator[tuple[TagName, str]]:
    drafts = {model.name for model in project.tag_models if all(tag.status == "draft" for tag in model.columns)}
    for name, query in project.queries.items():
        # A data test may look at a retired tag as long as its SQL is there.
        read = query.unknown if project.models[name].layer == "data-tests" else query.used | query.unknown
        for column in read:
            tag = _tag(project, column)
            if tag and not (name in drafts and status.get(tag) == "draft"):
                yield tag, f"{project.models[name].path}"


def _tag(project: Project, column: Column) -> TagName | None:
    """The tag that a column is, or would be if there were one of that name."""
    table, name = column
    if column in project.tag_of_column:
        return project.tag_of_column[column]
    if table in project.wide:
        key = project.tables[table][0]
        return None if name in (key, "*") else (project.wide[table], name)
    model = next((model for model in project.tag_models if model.name == table), None)
    if model is None or table not in project.tables or name in (*project.tables[table], "*"):
        return None
    return model.object, name


def _uses_by_contracts(project: Project, contracts: Path) -> Iterator[tuple[TagName, str]]:
    """Columns that contracts of the wide tables check, and those that queries of any contract read."""
    wide = {f"tag_integration.{table}": table for table in project.wide}
    schema = {name: project.tables[table] for name, table in wide.items()}
    for path in sorted(contracts.rglob("*.yml")):
        text = path.read_text(encoding="utf-8")
        if not any(f"{object_name}_tags" in text for object_name in set(project.wide.values())):
            continue
        try:
            contract = yaml.load(text, Loader=_LOADER)
        except yaml.YAMLError:
            # Soda says so, with the line.
            continue
        file = f"{path.relative_to(contracts.parent.parent)}"
        table = str(contract.get("dataset", "")).rpartition("/")[2]
        if table in project.wide:
            for column in contract.get("columns") or []:
                tag = _tag(project, (table, str(column.get("name"))))
                if tag:
                    yield tag, file
        for query in _texts(contract, "query"):
            try:
                found = query_columns(_SODA_VARIABLE.sub("0", query), schema)
            except LineageError:
                continue
            for name, column in found.used | found.unknown:
                tag = _tag(project, (wide[name], column)) if name in wide else None
                if tag:
                    yield tag, file


def _texts(value: object, key: str) -> Iterator[str]:
    """Every text below the key, however deep."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key and isinstance(inner, str):
                yield inner
            else:
                yield from _texts(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, key)


def _sentence(tag: TagName, status: str | None, files: list[str]) -> str:
    state = {
        None: "no twin declares it (any more); declare it again",
        "draft": "it is a draft; publish it",
        "retired": "it is retired; publish it again",
    }[status]
    return f"{tag[0]} tag {tag[1]}: {state}, or take it out of {', '.join(files)}"
