"""Which models of a dbt project differ from another version of it in what gives values, and what stands on them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tagloom.tags.project import Project, layer_of, parents_of, tag_meta

if TYPE_CHECKING:
    from dbt.contracts.graph.nodes import ManifestNode

IDENTITY = "identity_mapping"

WORDS_FOR_PEOPLE = ("title", "title_zh", "owner", "since", "history")
"""Keys of `meta.tag` that change no value of the tag."""

_COMMENTS = re.compile(r"\{#.*?#\}|--[^\n]*", re.DOTALL)


@dataclass(frozen=True)
class Changes:
    """What differs between two versions of a project. Everything by unique_id."""

    because: dict[str, tuple[str, ...]]
    """Models of the new version whose own definition differs -> SQL, twin, macro <name>, new."""
    gone: tuple[str, ...]
    """Models of the old version that the new one has not."""


def changes(before: Project, after: Project) -> Changes:
    """Compare two versions of a project, but for what only tells people something."""
    old = {node.unique_id: _definition(before, node) for node in before.models()}
    because = {}
    for node in after.models():
        new = _definition(after, node)
        if node.unique_id not in old:
            because[node.unique_id] = ("new",)
        elif reasons := _reasons(old[node.unique_id], new):
            because[node.unique_id] = reasons
    present = {node.unique_id for node in after.models()}
    return Changes(because, tuple(sorted(set(old) - present)))


def above(project: Project, names: Iterable[str]) -> set[str]:
    """Everything that reads these models, directly or not."""
    children = defaultdict(set)
    for node in project.models():
        for parent in parents_of(node):
            children[parent].add(node.unique_id)
    return _reach(names, lambda name: children[name])


def below(project: Project, names: Iterable[str]) -> set[str]:
    """Every model and seed that these read, directly or not; nothing behind who is who."""

    def parents(name: str) -> list[str]:
        node = project.node(name)
        return [] if node is None or layer_of(node) == IDENTITY else parents_of(node)

    return {name for name in _reach(names, parents) if project.node(name) is not None}


def _reach(names: Iterable[str], neighbours) -> set[str]:
    reached: set[str] = set()
    waiting = list(names)
    while waiting:
        new = set(neighbours(waiting.pop())) - reached
        reached |= new
        waiting.extend(new)
    return reached


def _definition(project: Project, node: ManifestNode) -> dict[str, Any]:
    return {
        "SQL": node.checksum.checksum if node.resource_type == "seed" else _code(node.raw_code),
        "twin": {column: _promise(node, column) for column in node.columns},
        "settings": (node.config.materialized, node.config.meta),
        "macros": _macros(project, node),
    }


def _promise(node: ManifestNode, column: str) -> tuple:
    meta = tag_meta(node, column) or {}
    kept = {key: value for key, value in meta.items() if key not in WORDS_FOR_PEOPLE}
    return (node.columns[column].data_type, sorted((key, str(value)) for key, value in kept.items()))


def _macros(project: Project, node: ManifestNode) -> dict[str, str]:
    """The project's own macros that a model uses, directly or through others; dbt's come with its version."""
    found: dict[str, str] = {}
    waiting = list(node.depends_on.macros)
    while waiting:
        macro = project.manifest.macros.get(waiting.pop())
        if macro is not None and macro.package_name == node.package_name and macro.name not in found:
            found[macro.name] = _code(macro.macro_sql)
            waiting.extend(macro.depends_on.macros)
    return found


def _reasons(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, ...]:
    macros = sorted(name for name, text in new["macros"].items() if old["macros"].get(name, text) != text)
    parts = [part for part in ("SQL", "twin", "settings") if old[part] != new[part]]
    return (*parts, *(f"macro {name}" for name in macros))


def _code(text: str) -> str:
    return " ".join(_COMMENTS.sub(" ", text).split())
