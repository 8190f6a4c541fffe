"""What a failure hits: from dbt's manifest and from the catalogue that is published."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tagloom.lineage import (
    OBJECT,
    CataloguedTag,
    Dependents,
    dependents,
    everything,
    load_manifest,
    tables_of_nodes,
    together,
)

if TYPE_CHECKING:
    from tagloom.settings import Settings

_FAILED_NODE = re.compile(r"the (?:model|seed|snapshot|data test) (\S+) (?:could not be built|failed):")
"""How `transform` names what failed."""


def published_catalogue(settings: Settings) -> dict[str, CataloguedTag]:
    """Tag -> where its values come from and who uses it, as published; empty when nothing is, or it cannot be read."""
    import duckdb

    from tagloom.publish import open_current

    try:
        with open_current(settings) as connection:
            rows = connection.execute(
                "select object, tag, coalesce(upstream_sources, ''), coalesce(used_by, '') "
                "from tag_integration.tag_catalog"
            ).fetchall()
    except (duckdb.Error, OSError, ValueError):
        # A mail must go out whatever state the published file is in.
        return {}
    return {
        tag if kind == OBJECT else f"{kind}.{tag}": CataloguedTag(_members(sources), _members(users))
        for kind, tag, sources, users in rows
    }


def impact_of(settings: Settings, tables: Iterable[str]) -> dict[str, Dependents]:
    """Table -> what depends on it; `raw_pos.*` stands for all tables of a source."""
    manifest, catalogue = load_manifest(settings.dbt_target / "manifest.json"), published_catalogue(settings)
    return {table: dependents(manifest, table, catalogue) for table in tables}


def impact_of_build(settings: Settings, problem: str = "") -> Dependents:
    """What is stale when a build did not come to its end: what stands on the failed models that `problem` names.

    Without a name it is everything: nothing of the day is published. Without dbt's manifest, what the catalogue knows.
    """
    manifest = load_manifest(settings.dbt_target / "manifest.json")
    tables = failed_tables(manifest, problem)
    if tables:
        catalogue = published_catalogue(settings)
        return together(dependents(manifest, table, catalogue) for table in tables)
    if manifest:
        return everything(manifest)
    catalogue = published_catalogue(settings)
    users = {user for tag in catalogue.values() for user in tag.used_by if "." not in user}
    return Dependents(
        tags=tuple(sorted(catalogue)),
        audiences=tuple(sorted(user for user in users if user.startswith("audience_"))),
    )


def failed_tables(manifest: dict, problem: str, *, compared: bool = False) -> list[str]:
    """<schema>.<table> of the models that an error of the build names, and of those whose data tests it names.

    With `compared`, also those that these data tests compare them with.
    """
    return tables_of_nodes(manifest, _FAILED_NODE.findall(problem), compared=compared)


def _members(text: str) -> frozenset[str]:
    return frozenset(part for part in (one.strip() for one in text.split(",")) if part)
