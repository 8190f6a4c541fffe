"""What happens to definitions before a build computes tags: they are checked, and the catalogue's books are written."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tagloom.tags import definition_versions, lineage_of_tags
from tagloom.tags.definitions import load_tags
from tagloom.tags.tag_uses import check_uses

if TYPE_CHECKING:
    import duckdb

LAYER = "tag_category"
"""The layer before which this is done."""

log = logging.getLogger(__name__)


def prepare(connection: duckdb.DuckDBPyConnection, manifest: dict, project: Path, as_of_date: date) -> list[str]:
    """Refuse to build when a tag that is not published is used, else note every tag's definition and lineage.

    `manifest` is dbt's, for its exposures. May be run again and killed at any time. Returns (and logs) one sentence per
    published tag whose definition has changed while its version has not.

    Raises TagError with one line per problem.
    """
    tag_models = load_tags(project / "models" / LAYER)
    read = check_uses(project, tag_models)
    warnings = definition_versions.record(connection, tag_models, as_of_date)
    lineage_of_tags.record(connection, manifest, read)
    for warning in warnings:
        log.warning(warning)
    return warnings
