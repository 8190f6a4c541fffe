"""Writes the wide tables of the tag integration layer, one row per object, as plain SQL.

dbt cannot find models by looping over its graph, and lists kept by hand drift; so the refs are written.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from tagloom.tags.definitions import Tag, TagModel
from tagloom.tags.written_text import FOLDER, WRITTEN_SQL, published, twin


def wide_table_files(object_name: str, models: list[TagModel]) -> dict[Path, str]:
    """Path below dbt_project -> content of the tables of one object's models."""
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
        tables[table] = [tag for model in members for tag in published(model)]
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
    tables = {model.name: published(model) for model in models}
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
    return twin(table, grain, columns)
