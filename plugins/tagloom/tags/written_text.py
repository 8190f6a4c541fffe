"""What the written models of the tag integration layer have in common: first lines, folders and YAML twins."""

from __future__ import annotations

from pathlib import Path

import yaml

from tagloom.tags.definitions import Tag, TagModel

FOLDER = Path("models/tag_integration")
"""Where they are written, below the dbt project."""

WRITTEN_SQL = "-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.\n"
WRITTEN_VIEW = WRITTEN_SQL + "{{ config(materialized='view') }}\n\n"
"""First lines of a written model that is a view."""

WRITTEN_YAML = "# Written by `make tags` from the tag twins in models/tag_category; change those, not this file.\n"

NUMERIC = ("tinyint", "smallint", "integer", "bigint", "decimal", "double", "float", "real")


def published(model: TagModel) -> list[Tag]:
    """The tags of a model that readers see."""
    return [tag for tag in model.columns if tag.status == "published"]


def is_numeric(tag: Tag) -> bool:
    """Whether values of the tag can be added and averaged."""
    return tag.data_type.lower().startswith(NUMERIC)


def twin(
    table: str, grain: str, columns: list[dict], data_tests: list | None = None, *, is_published: bool = True
) -> str:
    """YAML twin of a written model; one that is not published stays in the warehouse."""
    model: dict = {"name": table, "description": grain}
    if not is_published:
        model["config"] = {"meta": {"published": False}}
    model["columns"] = columns
    if data_tests:
        model["data_tests"] = data_tests
    return yaml_text({"models": [model]})


def yaml_text(content: dict) -> str:
    """A written YAML file."""
    return WRITTEN_YAML + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=118)
