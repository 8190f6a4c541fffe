"""Writes the statistics of tags: how many objects have a value, and which values occur."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from tagloom.tags.definitions import Tag, TagModel
from tagloom.tags.written_text import FOLDER, WRITTEN_SQL, is_numeric, published, twin


def statistics_files(models: list[TagModel]) -> dict[Path, str]:
    """Path below dbt_project -> content of the table and its twin; the models have published tags."""
    ctes, selects = [], []
    for object_name, group in groupby(models, key=lambda model: model.object):
        tags = [tag for model in group for tag in published(model)]
        aggregates = ["        count(*) as objects"]
        for tag in tags:
            aggregates.append(f"        count({tag.name}) as {tag.name}__filled")
            aggregates.append(f"        count(distinct {tag.name}) as {tag.name}__distinct")
            aggregates.append(f"        cast(min({tag.name}) as {{{{ dbt.type_string() }}}}) as {tag.name}__lowest")
            aggregates.append(f"        cast(max({tag.name}) as {{{{ dbt.type_string() }}}}) as {tag.name}__highest")
            if is_numeric(tag):
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
        FOLDER / "tag_statistics.yml": twin(
            "tag_statistics",
            "One row per object and published tag: how many have a value, and which values occur.",
            described,
            [{"unique_together": {"arguments": {"columns": ["object", "tag"]}}}],
        ),
    }


def _statistics_select(object_name: str, tag: Tag) -> str:
    mean = f"cast({tag.name}__mean as double)" if is_numeric(tag) else "cast(null as double)"
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
