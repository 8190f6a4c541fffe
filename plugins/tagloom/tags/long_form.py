"""Writes the long form of the wide tables, one row per object and tag, for whoever reads keys and values."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from tagloom.tags.definitions import TagModel
from tagloom.tags.wide_tables import WideTable, wide_tables
from tagloom.tags.written_text import FOLDER, WRITTEN_SQL, twin

_VIEW = """{{ config(
    materialized='view',
    meta={'updates': 'full_build', 'published': false}
) }}

"""


def long_form_files(models: list[TagModel]) -> dict[Path, str]:
    """Path below dbt_project -> content of the view `<object>_tag_values` of each object, and of its twin."""
    files = {}
    for object_name, group in groupby(models, key=lambda model: model.object):
        tables = wide_tables(object_name, list(group))
        view = FOLDER / object_name / f"{object_name}_tag_values"
        files[view.with_suffix(".sql")] = _view_sql(tables)
        files[view.with_suffix(".yml")] = _view_yaml(view.name, object_name, tables)
    return files


def _view_sql(tables: list[WideTable]) -> str:
    calls = [
        f"    {{{{ tagloom.long_form(ref('{table.name}'), '{table.key}', {{\n"
        + ",\n".join(f"        '{tag.name}': '{tag.data_type}'" for tag in table.columns)
        + "\n    }) }}"
        for table in tables
    ]
    values = "\n    union all\n".join(calls)
    return f"{WRITTEN_SQL}{_VIEW}with tag_values as (\n{values}\n)\n\nselect * from tag_values\n"


def _view_yaml(view: str, object_name: str, tables: list[WideTable]) -> str:
    key = tables[0].key
    columns = [
        {
            "name": key,
            "description": f"The {object_name}.",
            "data_type": "bigint" if object_name == "person" else "varchar",
        },
        {"name": "tag", "description": "Name of the tag.", "data_type": "varchar"},
        {"name": "data_type", "description": "SQL type of the value in the wide table.", "data_type": "varchar"},
        {"name": "value", "description": "The value as text, never null.", "data_type": "varchar"},
    ]
    # The wide tables are tested row by row; here only that a tag is not told of twice.
    return twin(
        view,
        f"One row per {object_name} and published tag that has a value.",
        columns,
        [
            {
                "unique_together": {
                    "arguments": {"columns": [key, "tag"]},
                    "config": {"where": f"tag = '{tables[0].columns[0].name}'"},
                }
            }
        ],
    )
