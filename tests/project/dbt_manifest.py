"""What the tests of the project's rules ask dbt's manifest."""

from __future__ import annotations

import copy
from pathlib import PurePosixPath


def models(manifest: dict) -> list[dict]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def folders(node: dict) -> tuple[str, ...]:
    """Folders of a model below models/; the first is its layer."""
    return PurePosixPath(node["original_file_path"]).parts[1:-1]


def layer(node: dict) -> str:
    """Layer of a model; `seed` or `source` for those."""
    return folders(node)[0] if node["resource_type"] == "model" else node["resource_type"]


def doctored(manifest: dict, name: str, changes: dict) -> dict:
    """The manifest with one model or data test changed; a key `config.materialized` goes one level down."""
    other = {part: copy.copy(manifest[part]) for part in ("nodes", "sources", "unit_tests", "macros")}
    [key] = [node["unique_id"] for node in other["nodes"].values() if node["name"] == name]
    node = other["nodes"][key] = copy.deepcopy(other["nodes"][key])
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = node
        for parent in parents:
            place = place[parent]
        place[last] = value
    return other
