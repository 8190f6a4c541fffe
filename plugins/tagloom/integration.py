"""Writes the tag integration layer from the tag twins: wide tables, the catalogue and the statistics, as plain SQL.

dbt cannot find models by looping over its graph, and lists kept by hand drift; so the refs are written by `make tags`,
and `make lint` fails when they are stale.
"""

from __future__ import annotations

import csv
import io
from itertools import groupby
from pathlib import Path

import yaml

from tagloom.tags import Tag, TagError, TagModel

FOLDER = Path("models/tag_integration")
CATALOGUE_SEED = Path("seeds/tag_definitions.csv")

WRITTEN_SQL = "-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.\n"
WRITTEN_YAML = "# Written by `make tags` from the tag twins in models/tag_category; change those, not this file.\n"

NUMERIC = ("tinyint", "smallint", "integer", "bigint", "decimal", "double", "float", "real")

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


def integration_files(models: list[TagModel]) -> dict[Path, str]:
    """Path below dbt_project -> content, for every file that follows from the tag twins.

    Raises TagError when no tag is published.
    """
    files: dict[Path, str] = {CATALOGUE_SEED: _catalogue_seed(models)}
    published = [model for model in models if _published(model)]
    if not published:
        raise TagError("models/tag_category: no tag has the status published; there is nothing to put side by side")
    for object_name, group in groupby(published, key=lambda model: model.object):
        files |= _object_files(object_name, list(group))
    files |= _catalogue_files()
    files |= _statistics_files(published)
    return files


def _published(model: TagModel) -> list[Tag]:
    return [tag for tag in model.columns if tag.status == "published"]


def _object_files(object_name: str, models: list[TagModel]) -> dict[Path, str]:
    folder = FOLDER / object_name
    files: dict[Path, str] = {}
    key = models[0].key
    tables: dict[str, list[Tag]] = {}
    spine = f"{object_name}_tags_spine"
    if object_name != "person":
        files[folder / f"{spine}.sql"] = _spine_sql(key, models)
        files[folder / f"{spine}.yml"] = _table_yaml(
            spine, f"One row per {object_name} that any tag model knows.", object_name, key, []
        )
    for category, group in groupby(models, key=lambda model: model.category):
        members = list(group)
        table = f"{object_name}_tags_{category}"
        tables[table] = [tag for model in members for tag in _published(model)]
        files[folder / f"{table}.sql"] = _category_sql(object_name, key, members)
        files[folder / f"{table}.yml"] = _table_yaml(
            table,
            f"One row per {object_name}: the tags of category {category}.",
            object_name,
            key,
            tables[table],
        )
    wide = f"{object_name}_tags"
    files[folder / f"{wide}.sql"] = _wide_sql(object_name, key, tables)
    files[folder / f"{wide}.yml"] = _table_yaml(
        wide,
        f"One row per {object_name}: every published tag.",
        object_name,
        key,
        [tag for tags in tables.values() for tag in tags],
    )
    return files


def _spine_ref(object_name: str) -> str:
    return "persons" if object_name == "person" else f"{object_name}_tags_spine"


def _spine_sql(key: str, models: list[TagModel]) -> str:
    selects = "\n    union\n".join(f"    select {key}\n    from {{{{ ref('{model.name}') }}}}" for model in models)
    return f"{WRITTEN_SQL}with known_keys as (\n{selects}\n)\n\nselect * from known_keys\n"


def _category_sql(object_name: str, key: str, models: list[TagModel]) -> str:
    tables = {model.name: _published(model) for model in models}
    values = [_filled(table, tag) for table, tags in tables.items() for tag in tags]
    return _side_by_side_sql(object_name, key, tables, values, join="left")


def _wide_sql(object_name: str, key: str, tables: dict[str, list[Tag]]) -> str:
    values = [f"{table}.{tag.name}" for table, tags in tables.items() for tag in tags]
    return _side_by_side_sql(object_name, key, tables, values, join="inner")


def _side_by_side_sql(object_name: str, key: str, tables: dict[str, list[Tag]], values: list[str], join: str) -> str:
    """SQL of one row per object: the spine, joined with each table, and the given select expressions."""
    ctes = [f"spine as (\n    select {key}\n    from {{{{ ref('{_spine_ref(object_name)}') }}}}\n)"]
    joins = []
    for table, tags in tables.items():
        columns = ",\n".join(f"        {name}" for name in (key, *(tag.name for tag in tags)))
        ctes.append(f"{table} as (\n    select\n{columns}\n    from {{{{ ref('{table}') }}}}\n)")
        joins.append(f"    {join} join {table}\n        on spine.{key} = {table}.{key}")
    lines = ",\n".join(f"        {value}" for value in (f"spine.{key}", *values))
    ctes.append(f"side_by_side as (\n    select\n{lines}\n    from spine\n" + "\n".join(joins) + "\n)")
    return f"{WRITTEN_SQL}with " + ",\n\n".join(ctes) + "\n\nselect * from side_by_side\n"


def _filled(table: str, tag: Tag) -> str:
    column = f"{table}.{tag.name}"
    match tag.if_missing:
        case "zero":
            return f"cast(coalesce({column}, 0) as {tag.data_type.replace(',', ', ')}) as {tag.name}"
        case "false":
            return f"coalesce({column}, false) as {tag.name}"
        case _:
            return column


def _table_yaml(table: str, grain: str, object_name: str, key: str, tags: list[Tag]) -> str:
    key_type = "bigint" if object_name == "person" else "varchar"
    columns: list[dict] = [
        {"name": key, "description": f"The {object_name}.", "data_type": key_type, "data_tests": ["not_null", "unique"]}
    ]
    columns += [{"name": tag.name, "description": tag.description, "data_type": tag.data_type} for tag in tags]
    return _yaml(table, grain, columns)


def _yaml(table: str, grain: str, columns: list[dict], data_tests: list | None = None) -> str:
    model: dict = {"name": table, "description": grain, "columns": columns}
    if data_tests:
        model["data_tests"] = data_tests
    return WRITTEN_YAML + yaml.safe_dump({"models": [model]}, sort_keys=False, allow_unicode=True, width=118)


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


def _catalogue_files() -> dict[Path, str]:
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
        FOLDER / "tag_catalog.yml": _yaml(
            "tag_catalog", "One row per object and tag of any status: the definition.", described, unique
        ),
        CATALOGUE_SEED.with_name("_tag_definitions.yml"): WRITTEN_YAML
        + yaml.safe_dump({"seeds": [seed]}, sort_keys=False, allow_unicode=True, width=118),
    }


def _statistics_files(models: list[TagModel]) -> dict[Path, str]:
    ctes, selects = [], []
    for object_name, group in groupby(models, key=lambda model: model.object):
        tags = [tag for model in group for tag in _published(model)]
        aggregates = ["        count(*) as objects"]
        for tag in tags:
            aggregates.append(f"        count({tag.name}) as {tag.name}__filled")
            aggregates.append(f"        count(distinct {tag.name}) as {tag.name}__distinct")
            aggregates.append(f"        cast(min({tag.name}) as {{{{ dbt.type_string() }}}}) as {tag.name}__lowest")
            aggregates.append(f"        cast(max({tag.name}) as {{{{ dbt.type_string() }}}}) as {tag.name}__highest")
            if _is_numeric(tag):
                aggregates.append(f"        avg({tag.name}) as {tag.name}__mean")
        ctes.append(
            f"{object_name}_aggregates as (\n    select\n"
            + ",\n".join(aggregates)
            + f"\n    from {{{{ ref('{object_name}_tags') }}}}\n)"
        )
        selects += [_statistics_select(object_name, tag) for tag in tags]
    ctes.append("statistics as (\n" + "\n    union all\n".join(selects) + "\n)")
    columns = {
        "object": ("What carries the tag.", "varchar"),
        "tag": ("Name of the tag.", "varchar"),
        "as_of_date": ("Day that the values were computed for.", "date"),
        "objects": ("How many objects there are.", "bigint"),
        "filled": ("How many of them have a value.", "bigint"),
        "coverage": ("Share of objects with a value, 0 to 1.", "double"),
        "distinct_values": ("How many different values occur.", "bigint"),
        "lowest_value": ("Smallest value as text.", "varchar"),
        "highest_value": ("Largest value as text.", "varchar"),
        "mean_value": ("Mean of numeric tags, null for others.", "double"),
    }
    described = [
        {"name": name, "description": description, "data_type": data_type}
        for name, (description, data_type) in columns.items()
    ]
    return {
        FOLDER / "tag_statistics.sql": f"{WRITTEN_SQL}with " + ",\n\n".join(ctes) + "\n\nselect * from statistics\n",
        FOLDER / "tag_statistics.yml": _yaml(
            "tag_statistics",
            "One row per object and published tag: how many have a value, and which values occur.",
            described,
            [{"unique_together": {"arguments": {"columns": ["object", "tag"]}}}],
        ),
    }


def _statistics_select(object_name: str, tag: Tag) -> str:
    mean = f"cast({tag.name}__mean as double)" if _is_numeric(tag) else "cast(null as double)"
    return f"""    select
        '{object_name}' as object,
        '{tag.name}' as tag,
        {{{{ tagloom.as_of_date() }}}} as as_of_date,
        objects,
        {tag.name}__filled as filled,
        {tag.name}__filled / cast(nullif(objects, 0) as double) as coverage,
        {tag.name}__distinct as distinct_values,
        {tag.name}__lowest as lowest_value,
        {tag.name}__highest as highest_value,
        {mean} as mean_value
    from {object_name}_aggregates"""


def _is_numeric(tag: Tag) -> bool:
    return tag.data_type.lower().startswith(NUMERIC)
