"""What depends on a table, from dbt's manifest: which customer tags, audiences and reports are wrong when it is."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

TAG_FOLDER = ("models", "tag_category")
AUDIENCE_FOLDER = ("models", "serving", "audiences")
SERVING_FOLDER = ("models", "serving")
IDENTITY_FOLDER = ("models", "identity_mapping")

BY_IDENTITY = "tags through identity mapping"
"""What `Dependents.lists` calls the tags of `tags_by_identity`."""


@dataclass(frozen=True)
class Dependents:
    """What stands on a table, directly or not, and the table itself where it is one of these. Sorted, each once."""

    tags: tuple[str, ...] = ()
    """Tag columns; of a tag model whose columns are not declared as tags, the model's name."""
    tags_by_identity: tuple[str, ...] = ()
    """Those of `tags` that depend on the table only because it helps to tell who is who: every system does."""
    audiences: tuple[str, ...] = ()
    others: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Folder below models/serving -> models, such as reports and exports; `exposures` -> dbt exposures."""
    note: str = ""
    """Why nothing is known, when nothing is known."""

    @property
    def lists(self) -> dict[str, tuple[str, ...]]:
        """What is not empty, by what it is: tags (those by identity apart), audiences, reports ..."""
        own = tuple(tag for tag in self.tags if tag not in set(self.tags_by_identity))
        named = {"tags": own, BY_IDENTITY: self.tags_by_identity, "audiences": self.audiences, **self.others}
        return {name: members for name, members in named.items() if members}


def load_manifest(path: Path) -> dict:
    """Read dbt's manifest.json; empty when it is missing or cut short, since a mail must go out all the same."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def dependents(manifest: dict, table: str) -> Dependents:
    """Follow the lineage upwards from <schema>.<table>, a dbt source or model."""
    if not manifest:
        return Dependents(
            note="What depends on it is not known: dbt's manifest.json is missing; `dbt parse` writes it."
        )
    nodes = {**manifest.get("nodes", {}), **manifest.get("sources", {}), **manifest.get("exposures", {})}
    start = next((name for name, node in nodes.items() if _table(node) == table), None)
    if start is None:
        return Dependents(note=f"What depends on {table} is not known: no dbt source or model makes or reads it.")

    children = manifest.get("child_map", {})
    identity = {name for name, node in nodes.items() if _folders(node)[:2] == IDENTITY_FOLDER}
    reached = _reach(start, children, set())
    directly = reached if start in identity else _reach(start, children, identity)

    tags: set[str] = set()
    audiences: set[str] = set()
    others: dict[str, set[str]] = defaultdict(set)
    direct_tags: set[str] = set()
    for name in reached & nodes.keys():
        node, folders = nodes[name], _folders(nodes[name])
        match node.get("resource_type"):
            case "exposure":
                others["exposures"].add(node.get("label") or node["name"])
            case "model" if folders[:2] == TAG_FOLDER:
                names = _tag_columns(node) or {node["name"]}
                tags |= names
                direct_tags |= names if name in directly else set()
            case "model" if folders[:3] == AUDIENCE_FOLDER:
                audiences.add(node["name"])
            case "model" if folders[:2] == SERVING_FOLDER:
                others[folders[2] if len(folders) > 2 else "serving"].add(node["name"])
    return Dependents(
        tags=tuple(sorted(tags)),
        tags_by_identity=tuple(sorted(tags - direct_tags)),
        audiences=tuple(sorted(audiences)),
        others={name: tuple(sorted(members)) for name, members in sorted(others.items())},
    )


def _reach(start: str, children: dict[str, list[str]], closed: set[str]) -> set[str]:
    """Every node above `start`, without walking into the closed ones."""
    reached, waiting = {start}, [start]
    while waiting:
        new = set(children.get(waiting.pop(), ())) - reached - closed
        reached |= new
        waiting.extend(new)
    return reached


def _folders(node: dict) -> tuple[str, ...]:
    return PurePosixPath(node.get("original_file_path", "").replace("\\", "/")).parts[:-1]


def _table(node: dict) -> str | None:
    if node.get("resource_type") not in ("source", "model", "seed", "snapshot"):
        return None
    return f"{node.get('schema')}.{node.get('identifier') or node.get('alias') or node.get('name')}"


def _tag_columns(node: dict) -> set[str]:
    """Columns that say they are customer tags, in either place where dbt keeps a column's meta."""
    return {
        name
        for name, column in node.get("columns", {}).items()
        if {**column.get("meta", {}), **column.get("config", {}).get("meta", {})}.get("tag")
    }
