"""Writes the catalogue of tags: a seed that holds what every twin says, and the table over it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import get_args

from tagloom.tags.definitions import Tag, TagModel
from tagloom.tags.written_text import FOLDER, WRITTEN_SQL, twin, yaml_text

CATALOGUE_SEED = Path("seeds/tag_definitions.csv")

KINDS = get_args(Tag.model_fields["kind"].annotation)

CATALOGUE_COLUMNS = {
    "tag": "Name of the tag, a column of <object>_tags.",
    "object": "What carries the tag: person, household, product, store.",
    "title": "What business users call it.",
    "title_zh": "What they call it in Chinese.",
    "category": "Path in the catalogue, levels separated by a slash.",
    "kind": f"{', '.join(KINDS[:-1])} or {KINDS[-1]}.",
    "data_type": "SQL type.",
    "unit": "What a value counts, empty where it is a word or a yes.",
    "if_missing": "What an object has that the model does not cover: null, zero or false.",
    "owner": "Who answers for the definition.",
    "refresh": "How often it is computed.",
    "valid_days": "Days after which a value that was not learnt again is stale, and null.",
    "known_on": "Column of the model that says when the value was last learnt, empty: with every build.",
    "personal_data": "none, indirect or direct.",
    "status": "draft, published or retired; only published tags are in the wide tables.",
    "since": "First day of the definition.",
    "version": "Version of its meaning.",
    "history": "Whether every value is kept with its days.",
    "model": "The tag model that computes it.",
    "sql_path": "Its SQL file, below dbt_project.",
    "value_titles": "Its values in their order and their Chinese names, as JSON; empty: no fixed set of values.",
    "description": "What is counted and which decision it serves.",
}
"""Column of the seed -> what it says."""

BUILT_COLUMNS = {
    "definition_hash": ("definitions_in_force", "Hash of the SQL and of what the twin says about values."),
    "changed_on": ("definitions_in_force", "The day of the first build with this definition."),
    "upstream_sources": ("lineage", "Tables of sources that it is computed from, as source.table."),
    "upstream_columns": ("lineage", "Columns that decide its value, as staging_model.column."),
    "used_by": ("lineage", "Audiences, reports, exports, exposures and other tags that use it; empty: none."),
    "sql": ("lineage", "SQL of its model as written."),
}
"""Column that only a build knows -> where the catalogue has it from, and what it says. Null when no build wrote it."""


def catalogue_files(models: list[TagModel]) -> dict[Path, str]:
    """Path below dbt_project -> content of the seed and the table."""
    return {CATALOGUE_SEED: _catalogue_seed(models)} | _catalogue_models()


def _catalogue_seed(models: list[TagModel]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(CATALOGUE_COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_catalogue_row(model, tag) for model in models for tag in model.columns)
    return file.getvalue()


def _catalogue_row(model: TagModel, tag: Tag) -> dict[str, object]:
    return {
        "tag": tag.name,
        "object": model.object,
        "title": tag.title,
        "title_zh": tag.title_zh,
        "category": "/".join(tag.category),
        "kind": tag.kind,
        "data_type": tag.data_type,
        "unit": tag.unit or "",
        "if_missing": tag.if_missing,
        "owner": tag.owner,
        "refresh": tag.refresh,
        "valid_days": tag.valid_days,
        "known_on": tag.known_on or "",
        "personal_data": tag.personal_data,
        "status": tag.status,
        "since": tag.since.isoformat(),
        "version": tag.version,
        "history": str(tag.history).lower(),
        "model": model.name,
        "sql_path": f"models/tag_category/{model.object}/{model.category}/{model.name}.sql",
        "value_titles": json.dumps(tag.values, ensure_ascii=False) if tag.values else "",
        "description": " ".join(tag.description.split()),
    }


def _catalogue_type(name: str) -> str:
    types = {"valid_days": "integer", "since": "date", "version": "integer", "history": "boolean", "changed_on": "date"}
    return types.get(name, "varchar")


def _catalogue_models() -> dict[Path, str]:
    said = ",\n".join(f"        cast({name} as {_catalogue_type(name)}) as {name}" for name in CATALOGUE_COLUMNS)
    columns = [f"definitions.{name}" for name in CATALOGUE_COLUMNS] + [
        f"{table}.{'model_sql as sql' if name == 'sql' else name}" for name, (table, _) in BUILT_COLUMNS.items()
    ]
    listed = ",\n".join(f"        {column}" for column in columns)
    sql = f"""{WRITTEN_SQL}with definitions as (
    select
{said}
    from {{{{ ref('tag_definitions') }}}}
),

definitions_in_force as (
    select * from {{{{ ref('stg_operations__tag_definitions') }}}}
),

lineage as (
    select * from {{{{ ref('stg_operations__tag_lineage') }}}}
),

catalogue as (
    select
{listed}
    from definitions
    left join definitions_in_force
        on
            definitions.object = definitions_in_force.object
            and definitions.tag = definitions_in_force.tag
    left join lineage
        on
            definitions.object = lineage.object
            and definitions.tag = lineage.tag
)

select * from catalogue
"""
    descriptions = CATALOGUE_COLUMNS | {name: description for name, (_, description) in BUILT_COLUMNS.items()}
    described: list[dict] = [
        {"name": name, "description": description, "data_type": _catalogue_type(name)}
        for name, description in descriptions.items()
    ]
    described[0]["data_tests"] = ["not_null"]
    unique = [{"unique_together": {"arguments": {"columns": ["object", "tag"]}}}]
    types = {name: _catalogue_type(name) for name in CATALOGUE_COLUMNS}
    seed = {
        "name": "tag_definitions",
        "description": "One row per tag of any status: what its twin says of it.",
        "config": {"column_types": types},
    }
    return {
        FOLDER / "tag_catalog.sql": sql,
        FOLDER / "tag_catalog.yml": twin(
            "tag_catalog",
            "One row per object and tag of any status: the definition, what it comes from and who uses it.",
            described,
            unique,
        ),
        CATALOGUE_SEED.with_name("_tag_definitions.yml"): yaml_text({"seeds": [seed]}),
    }
