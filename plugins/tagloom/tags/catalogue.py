"""Writes the catalogue of tags: a seed that holds what every twin says, and the table over it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from tagloom.tags.definitions import TagModel
from tagloom.tags.written_text import FOLDER, WRITTEN_SQL, twin, yaml_text

CATALOGUE_SEED = Path("seeds/tag_definitions.csv")

CATALOGUE_COLUMNS = {
    "tag": "Name of the tag, a column of <object>_tags.",
    "object": "What carries the tag: person, household, product, store.",
    "title": "What business users call it.",
    "title_zh": "What they call it in Chinese.",
    "category": "Path in the catalogue, levels separated by a slash.",
    "kind": "fact, statistic, rule, preference, score, prediction, lifecycle or import.",
    "data_type": "SQL type.",
    "unit": "What a value counts, empty where it is a word or a yes.",
    "if_missing": "What an object has that the model does not cover: null, zero or false.",
    "owner": "Who answers for the definition.",
    "refresh": "How often it is computed.",
    "valid_days": "Days after which a value that was not computed again is stale.",
    "personal_data": "none, indirect or direct.",
    "status": "draft, published or retired; only published tags are in the wide tables.",
    "since": "First day of the definition.",
    "model": "The tag model that computes it.",
    "description": "What is counted and which decision it serves.",
}


def catalogue_files(models: list[TagModel]) -> dict[Path, str]:
    """Path below dbt_project -> content of the seed and the table."""
    return {CATALOGUE_SEED: _catalogue_seed(models)} | _catalogue_models()


def _catalogue_seed(models: list[TagModel]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(CATALOGUE_COLUMNS)
    for model in models:
        for tag in model.columns:
            writer.writerow(
                [
                    tag.name,
                    model.object,
                    tag.title,
                    tag.title_zh,
                    "/".join(tag.category),
                    tag.kind,
                    tag.data_type,
                    tag.unit or "",
                    tag.if_missing,
                    tag.owner,
                    tag.refresh,
                    tag.valid_days,
                    tag.personal_data,
                    tag.status,
                    tag.since.isoformat(),
                    model.name,
                    " ".join(tag.description.split()),
                ]
            )
    return file.getvalue()


def _catalogue_type(name: str) -> str:
    return {"valid_days": "integer", "since": "date"}.get(name, "varchar")


def _catalogue_models() -> dict[Path, str]:
    columns = ",\n".join(f"        cast({name} as {_catalogue_type(name)}) as {name}" for name in CATALOGUE_COLUMNS)
    sql = (
        f"{WRITTEN_SQL}with definitions as (\n    select\n{columns}\n    from {{{{ ref('tag_definitions') }}}}\n)\n\n"
        "select * from definitions\n"
    )
    described = [
        {"name": name, "description": description, "data_type": _catalogue_type(name)}
        for name, description in CATALOGUE_COLUMNS.items()
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
            "tag_catalog", "One row per object and tag of any status: the definition.", described, unique
        ),
        CATALOGUE_SEED.with_name("_tag_definitions.yml"): yaml_text({"seeds": [seed]}),
    }
