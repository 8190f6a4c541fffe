"""The dbt project as an analyst is changing it: read, compiled and built beside the warehouse, never in it.

dbt reads the project once and keeps what it has read in `<home>/dbt/analyst`, so that the next command is quick.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagloom.settings import PROJECT, Settings
from tagloom.tags.definitions import OBJECT_KEYS

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest
    from dbt.contracts.graph.nodes import ManifestNode

TAG_LAYER = "tag_category"


class TagRequestError(ValueError):
    """What an analyst asked for cannot be done; the message says why and what to do."""


@dataclass(frozen=True)
class FoundTag:
    """What a name means: a tag model, and which of its columns are meant."""

    node: ManifestNode
    object: str
    key: str
    tags: tuple[str, ...]
    """The tag that was named, or all tags of the model."""


class Project:
    """A dbt project that was read: its models, and what dbt makes of them."""

    def __init__(self, settings: Settings, folder: Path = PROJECT / "dbt_project", target: str = "analyst") -> None:
        """Read the project in `folder`; `target` names the folder of the home in which dbt remembers it.

        Raises TagRequestError when dbt cannot read it.
        """
        self._settings = settings
        self._folder = folder
        self._target = settings.home / "dbt" / target
        # Whichever file is built in later is called warehouse.duckdb too: its name becomes the name of the catalogue.
        outcome = self._run(["parse", "--no-write-json"], "warehouse.duckdb", date(1970, 1, 1), manifest=None)
        self.manifest: Manifest = outcome.result
        for node in self.manifest.nodes.values():
            if node.resource_type == "seed":
                # dbt remembers where it read a seed first, and that folder may be a copy that is gone.
                node.root_path = str(folder)

    def models(self) -> Iterator[ManifestNode]:
        """All models and seeds."""
        return (node for node in self.manifest.nodes.values() if node.resource_type in ("model", "seed"))

    def node(self, unique_id: str) -> ManifestNode | None:
        """A model or seed; None for a source."""
        return self.manifest.nodes.get(unique_id)

    def find(self, name: str, preferred: str | None = None) -> FoundTag:
        """The tag model of this name, or the one that has a tag of this name; `product.price` says which object's tag.

        preferred: the object whose tag is meant when several have one of this name.

        Raises TagRequestError when there is none, or several objects have a tag of this name.
        """
        object_name, dot, tag = name.strip().rpartition(".")
        tag_models = [node for node in self.models() if layer_of(node) == TAG_LAYER]
        for node in tag_models:
            if node.name == name:
                return FoundTag(node, *_object_and_key(node), tags=tags_of(node))
        owners = [
            node for node in tag_models if tag in tags_of(node) and (not dot or _object_and_key(node)[0] == object_name)
        ]
        if len(owners) > 1 and preferred:
            owners = [node for node in owners if _object_and_key(node)[0] == preferred] or owners
        if len(owners) == 1:
            return FoundTag(owners[0], *_object_and_key(owners[0]), tags=(tag,))
        if owners:
            choices = " or ".join(f"{_object_and_key(node)[0]}.{tag}" for node in owners)
            raise TagRequestError(f"{tag} is a tag of several objects; write {choices}.")
        known = [node.name for node in tag_models] + [tag for node in tag_models for tag in tags_of(node)]
        close = get_close_matches(tag, sorted(set(known)), n=3)
        meant = f"; did you mean {' or '.join(close)}?" if close else ";"
        raise TagRequestError(
            f"There is no tag or tag model {name!r} in {self._folder.name}/models/{TAG_LAYER}{meant} "
            "`make new-tag` writes one."
        )

    def compile(self, nodes: Iterable[ManifestNode], day: date) -> dict[str, str]:
        """unique_id -> SQL that DuckDB runs, for a day; tables are `"warehouse"."<schema>"."<name>"`."""
        names = sorted(node.name for node in nodes)
        arguments = ["compile", "--select", *names, "--indirect-selection", "empty", "--no-populate-cache"]
        outcome = self._run([*arguments, "--no-write-json"], ":memory:", day, self.manifest)
        return {result.node.unique_id: result.node.compiled_code.strip() for result in outcome.result.results}

    def build(self, warehouse: Path, names: Iterable[str], day: date) -> dict[str, float]:
        """Build models, not their tests, in another warehouse file than the real one; model -> seconds.

        Raises TagRequestError that names each model which could not be built, with the reason.
        """
        arguments = ["build", "--select", *sorted(names), "--exclude-resource-type", "unit_test", "test"]
        outcome = self._run([*arguments, "--no-write-json"], str(warehouse), day, self.manifest)
        return {result.node.name: result.execution_time for result in outcome.result.results}

    def _run(self, arguments: list[str], warehouse: str, day: date, manifest: Manifest | None) -> Any:
        from dbt.cli.main import dbtRunner

        with self._environment(warehouse, day):
            try:
                outcome = dbtRunner(manifest=manifest).invoke([*arguments, "--log-level", "none", "--no-use-colors"])
            finally:
                _let_go()
        if isinstance(outcome.exception, KeyboardInterrupt):
            raise outcome.exception
        if outcome.exception:
            raise TagRequestError(f"dbt cannot {arguments[0]} the project: {_one_line(outcome.exception)}")
        failed = [
            f"{result.node.original_file_path}: {_one_line(result.message)}"
            for result in getattr(outcome.result, "results", [])
            if result.status in ("error", "fail", "runtime error")
        ]
        if failed:
            raise TagRequestError("\n".join(failed))
        return outcome

    @contextmanager
    def _environment(self, warehouse: str, day: date) -> Iterator[None]:
        wanted = {
            "TAGLOOM_AS_OF_DATE": day.isoformat(),
            "TAGLOOM_AFFECTED_ONLY": "false",
            "TAGLOOM_WAREHOUSE": warehouse,
            "TAGLOOM_MEMORY_LIMIT": self._settings.memory_limit,
            "TAGLOOM_TIME_ZONE": self._settings.time_zone,
            "DBT_PROJECT_DIR": str(self._folder),
            "DBT_PROFILES_DIR": str(self._folder),
            "DBT_TARGET_PATH": str(self._target),
            "DBT_LOG_PATH": str(self._target / "logs"),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DBT_LOG_LEVEL_FILE": os.environ.get("DBT_LOG_LEVEL_FILE", "info"),
        }
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def layer_of(node: ManifestNode) -> str:
    """Folder below models/ that a model lies in; `seeds` for a seed."""
    parts = Path(node.original_file_path).parts
    return parts[1] if parts[0] == "models" and len(parts) > 1 else parts[0]


def parents_of(node: ManifestNode) -> list[str]:
    """unique_id of all that a model reads; a seed reads nothing."""
    return list(getattr(node.depends_on, "nodes", ()))


def tag_meta(node: ManifestNode, column: str) -> dict[str, Any] | None:
    """What the twin says of a tag under `config.meta.tag`; None for a column that is no tag."""
    declared = node.columns.get(column)
    if declared is None:
        return None
    meta = {**(declared.meta or {}), **(getattr(declared.config, "meta", None) or {})}
    return meta.get("tag")


def tags_of(node: ManifestNode) -> tuple[str, ...]:
    """The tags of a model, in the order of its twin."""
    return tuple(column for column in node.columns if tag_meta(node, column) is not None)


def object_of(node: ManifestNode) -> tuple[str, str]:
    """Which object a tag model is about, and its key column.

    Raises TagRequestError when its folder says none.
    """
    return _object_and_key(node)


def _object_and_key(node: ManifestNode) -> tuple[str, str]:
    object_name = Path(node.original_file_path).parts[2]
    if object_name not in OBJECT_KEYS:
        raise TagRequestError(
            f"{node.original_file_path}: lies in no object's folder; move it below one of {', '.join(OBJECT_KEYS)}."
        )
    return object_name, OBJECT_KEYS[object_name]


def _let_go() -> None:
    """Close dbt-duckdb's connection, which it would keep open as long as this process lives."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    environment, DuckDBConnectionManager._ENV = DuckDBConnectionManager._ENV, None
    if environment is not None:
        environment.close()


def _one_line(reason: object) -> str:
    return " ".join(str(reason).split())
