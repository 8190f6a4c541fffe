"""Writes the statistics of tags: how the values are spread, and whether that has moved since earlier days.

`tag_value_counts` says how many objects have each value of each tag. From it follow `tag_distributions`, how many are
in each bin on each day, and `tag_statistics`, with a comparison of distributions; both add the rows of one day and
leave other days alone.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from tagloom.tags.definitions import Tag, TagModel
from tagloom.tags.wide_tables import wide_tables
from tagloom.tags.written_text import FOLDER, WRITTEN_SQL, is_numeric, twin

SLIGHT_DRIFT, STRONG_DRIFT = 0.1, 0.25
"""Population stability index from which on a tag's values have moved; the limits are those of credit scoring."""

FEWEST_OBJECTS = 100
"""Drift of fewer objects is not judged: a handful of them that change make an upheaval of any index."""

WHOLE_TYPES = ("tinyint", "smallint", "integer", "int", "bigint", "hugeint")

_SCALE = re.compile(r"\b(\d+)-(\d+)$")
"""A unit that says its scale, such as `index 0-100` or `score 1-5`."""

_SCALES = {"percent": (0, 100), "month": (1, 12)}
"""Other units of which the scale is known."""

_LONGEST_SCALE_OF_SINGLE_STEPS = 12

_DAILY = """{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='as_of_date',
    full_refresh=false,
    on_schema_change='append_new_columns',
    meta={'updates': 'full_build'}
) }}

"""

_COUNTS = """{{ config(meta={'updates': 'full_build', 'published': False}) }}

"""

_COUNTED = "with value_counts as (\n    select * from {{ ref('tag_value_counts') }}\n)"
"""The beginning of both models: what they say follows from the counts."""

_DISTRIBUTIONS = """,

bins as (
    select
        object,
        tag,
        shape,
        bin_from,
        bin_width,
        bin_word,
        sum(objects) as objects
    from value_counts
    group by object, tag, shape, bin_from, bin_width, bin_word
),

named_bins as (
    select
        object,
        tag,
        {{ tagloom.name_of_bin() }} as bin,
        bin_from,
        objects
    from bins
),

distributions as (
    select
        {{ tagloom.as_of_date() }} as as_of_date,
        object,
        tag,
        bin,
        min(bin_from) as bin_from,
        cast(sum(objects) as bigint) as objects
    from named_bins
    group by object, tag, bin
)

select * from distributions
"""

_STATISTICS = (
    """,

counts as (
    select
        object,
        tag,
        cast(sum(objects) as bigint) as objects,
        cast(sum(case when number is not null or word is not null then objects else 0 end) as bigint) as filled,
        count(case when number is not null or word is not null then 1 end) as distinct_values,
        min(word) as lowest_word,
        max(word) as highest_word,
        min(case when shape <> 'date' then number end) as lowest_number,
        max(case when shape <> 'date' then number end) as highest_number,
        round(sum(case when shape <> 'date' then number * objects end), 6) as total
    from value_counts
    group by object, tag
),

numbers_in_order as (
    select
        value_counts.object,
        value_counts.tag,
        value_counts.number,
        counts.filled,
        sum(value_counts.objects) over (
            partition by value_counts.object, value_counts.tag order by value_counts.number
            rows between unbounded preceding and current row
        ) as objects_up_to_here
    from value_counts
    inner join counts
        on
            value_counts.object = counts.object
            and value_counts.tag = counts.tag
    where value_counts.number is not null
),

quantiles as (
    select
        object,
        tag,
        min(case when objects_up_to_here >= 0.05 * filled then number end) as p05,
        min(case when objects_up_to_here >= 0.25 * filled then number end) as p25,
        min(case when objects_up_to_here >= 0.50 * filled then number end) as p50,
        min(case when objects_up_to_here >= 0.75 * filled then number end) as p75,
        min(case when objects_up_to_here >= 0.95 * filled then number end) as p95
    from numbers_in_order
    group by object, tag
),

frequent_values as (
    select
        value_counts.object,
        value_counts.tag,
        coalesce(value_counts.word, {{ tagloom.number_as_text('value_counts.number') }}) as value,
        value_counts.objects
    from value_counts
    inner join counts
        on
            value_counts.object = counts.object
            and value_counts.tag = counts.tag
    where
        (value_counts.number is not null or value_counts.word is not null)
        and value_counts.objects * 1000 >= counts.objects
),

places as (
    select
        object,
        tag,
        concat(value, ': ', cast(objects as {{ dbt.type_string() }})) as value_and_objects,
        row_number() over (partition by object, tag order by objects desc, value asc) as place
    from frequent_values
),

top_values as (
    select
        object,
        tag,
        {{ tagloom.text_list('value_and_objects', 'place') }} as top_values
    from places
    where place <= 5
    group by object, tag
),

compared_days as (
    select
        'previous' as compared_with,
        max(as_of_date) as as_of_date
    from {{ ref('tag_distributions') }}
    where as_of_date < {{ tagloom.as_of_date() }}
    union all
    select
        '28d' as compared_with,
        max(as_of_date) as as_of_date
    from {{ ref('tag_distributions') }}
    where as_of_date <= {{ tagloom.days_before_as_of(28) }}
),

compared_bins as (
    select
        compared_days.compared_with,
        distributions.object,
        distributions.tag,
        distributions.bin,
        distributions.objects as objects_before,
        0 as objects_now
    from {{ ref('tag_distributions') }} as distributions
    inner join compared_days
        on distributions.as_of_date = compared_days.as_of_date
    union all
    select
        compared_days.compared_with,
        distributions.object,
        distributions.tag,
        distributions.bin,
        0 as objects_before,
        distributions.objects as objects_now
    from {{ ref('tag_distributions') }} as distributions
    cross join compared_days
    where
        distributions.as_of_date = {{ tagloom.as_of_date() }}
        and compared_days.as_of_date is not null
),

bins as (
    select
        compared_with,
        object,
        tag,
        bin,
        -- Half an object more in each bin: an empty one, or a few objects, must not look like an upheaval.
        cast(sum(objects_before) as double) + 0.5 as objects_before,
        cast(sum(objects_now) as double) + 0.5 as objects_now,
        sum(sum(objects_before)) over (partition by compared_with, object, tag) as all_objects_before
    from compared_bins
    group by compared_with, object, tag, bin
),

shares as (
    select
        compared_with,
        object,
        tag,
        objects_before / sum(objects_before) over (partition by compared_with, object, tag) as share_before,
        objects_now / sum(objects_now) over (partition by compared_with, object, tag) as share_now
    from bins
    where all_objects_before > 0
),

indices as (
    select
        compared_with,
        object,
        tag,
        round(sum((share_now - share_before) * ln(share_now / share_before)), 4) as stability_index
    from shares
    group by compared_with, object, tag
),

stability as (
    select
        object,
        tag,
        max(case when compared_with = 'previous' then stability_index end) as psi_previous,
        max(case when compared_with = '28d' then stability_index end) as psi_28d
    from indices
    group by object, tag
),

tags_of_models as (
    select
        object,
        tag,
        model,
        count(*) over (partition by model) as tags
    from {{ ref('tag_catalog') }}
    where status = 'published'
),

run_times as (
    select
        tags_of_models.object,
        tags_of_models.tag,
        cast(max(model_runs.seconds) / max(tags_of_models.tags) as double) as run_seconds
    from tags_of_models
    inner join {{ ref('stg_operations__model_runs') }} as model_runs
        on tags_of_models.model = model_runs.model
    where model_runs.layer = 'tag_category' and model_runs.as_of_date = {{ tagloom.as_of_date() }}
    group by tags_of_models.object, tags_of_models.tag
),

statistics as (
    select
        counts.object,
        counts.tag,
        {{ tagloom.as_of_date() }} as as_of_date,
        counts.objects,
        counts.filled,
        counts.objects - counts.filled as missing,
        counts.filled / cast(nullif(counts.objects, 0) as double) as coverage,
        counts.distinct_values,
        coalesce(counts.lowest_word, {{ tagloom.number_as_text('counts.lowest_number') }}) as lowest_value,
        coalesce(counts.highest_word, {{ tagloom.number_as_text('counts.highest_number') }}) as highest_value,
        round(counts.total / nullif(counts.filled, 0), 6) as mean_value,
        quantiles.p05,
        quantiles.p25,
        quantiles.p50,
        quantiles.p75,
        quantiles.p95,
        top_values.top_values,
        stability.psi_previous,
        stability.psi_28d,
        case
            when coalesce(stability.psi_previous, stability.psi_28d) is null or counts.objects < @fewest then null
            when greatest(coalesce(stability.psi_previous, 0), coalesce(stability.psi_28d, 0)) >= @strong then 'strong'
            when greatest(coalesce(stability.psi_previous, 0), coalesce(stability.psi_28d, 0)) >= @slight then 'slight'
            else 'none'
        end as drift,
        run_times.run_seconds
    from counts
    left join quantiles
        on
            counts.object = quantiles.object
            and counts.tag = quantiles.tag
    left join top_values
        on
            counts.object = top_values.object
            and counts.tag = top_values.tag
    left join stability
        on
            counts.object = stability.object
            and counts.tag = stability.tag
    left join run_times
        on
            counts.object = run_times.object
            and counts.tag = run_times.tag
)

select * from statistics
""".replace("@strong", str(STRONG_DRIFT))
    .replace("@slight", str(SLIGHT_DRIFT))
    .replace("@fewest", str(FEWEST_OBJECTS))
)

_COUNT_COLUMNS = {
    "object": ("What carries the tag.", "varchar"),
    "tag": ("Name of the tag.", "varchar"),
    "shape": ("How its values are put into bins: listed, text, whole, number, date or scale.", "varchar"),
    "number": ("The value of a number, the age of a date in days; null for others and for null.", "double"),
    "word": ("The value of anything else, and a date, as text.", "varchar"),
    "bin_from": ("Lower end of the bin of a number or a date.", "double"),
    "bin_width": ("Width of the bins of a scale.", "double"),
    "bin_word": ("The bin of anything else.", "varchar"),
    "objects": ("How many objects have the value.", "bigint"),
}

_DISTRIBUTION_COLUMNS = {
    "as_of_date": ("Day that the values were computed for.", "date"),
    "object": ("What carries the tag.", "varchar"),
    "tag": ("Name of the tag.", "varchar"),
    "bin": ("The value, or the values in a range; the age in days for a date, 'no value' for null.", "varchar"),
    "bin_from": ("Lower end of the range, to sort by; null for words and for null.", "double"),
    "objects": ("How many objects are in the bin.", "bigint"),
}

_STATISTIC_COLUMNS = {
    "object": ("What carries the tag.", "varchar"),
    "tag": ("Name of the tag.", "varchar"),
    "as_of_date": ("Day that the values were computed for.", "date"),
    "objects": ("How many objects there are.", "bigint"),
    "filled": ("How many of them have a value.", "bigint"),
    "missing": ("How many of them have none.", "bigint"),
    "coverage": ("Share of objects with a value, 0 to 1.", "double"),
    "distinct_values": ("How many different values occur.", "bigint"),
    "lowest_value": ("Smallest value as text.", "varchar"),
    "highest_value": ("Largest value as text.", "varchar"),
    "mean_value": ("Mean of numeric tags, null for others.", "double"),
    "p05": ("Value that 5 % of the objects with a value do not exceed; of dates the age in days.", "double"),
    "p25": ("The same of 25 %.", "double"),
    "p50": ("The same of half of them, the median.", "double"),
    "p75": ("The same of 75 %.", "double"),
    "p95": ("The same of 95 %.", "double"),
    "top_values": (
        "The five most frequent values that at least one object in a thousand has, as 'gold: 12, silver: 7'.",
        "varchar",
    ),
    "psi_previous": ("Population stability index against the newest earlier day; null when there is none.", "double"),
    "psi_28d": ("The same against the newest day that is at least 28 days earlier.", "double"),
    "drift": (
        f"Whether the values have moved, by the larger index: none, slight from {SLIGHT_DRIFT} on, strong from "
        f"{STRONG_DRIFT} on; null without an earlier day, or of fewer than {FEWEST_OBJECTS} objects.",
        "varchar",
    ),
    "run_seconds": ("Seconds that its tag model took for that day, divided among the tags of the model.", "double"),
}


def statistics_files(models: list[TagModel]) -> dict[Path, str]:
    """Path below dbt_project -> content of the three tables and their twins; the models have published tags."""
    return {
        FOLDER
        / "tag_value_counts.sql": f"{WRITTEN_SQL}{_COUNTS}{_value_counts(models)}\n\nselect * from value_counts\n",
        FOLDER / "tag_value_counts.yml": twin(
            "tag_value_counts",
            "One row per object, tag and value on the day that was built last: how many objects have it.",
            _described(_COUNT_COLUMNS),
            [
                {
                    # Of all values it would cost as much as to count them; those of one kind show whether any is twice.
                    "unique_together": {
                        "arguments": {"columns": ["object", "tag", "word"]},
                        "config": {"where": "shape = 'listed'"},
                    }
                }
            ],
        ),
        FOLDER / "tag_distributions.sql": f"{WRITTEN_SQL}{_DAILY}{_COUNTED}{_DISTRIBUTIONS}",
        FOLDER / "tag_distributions.yml": _twin(
            "tag_distributions",
            "One row per day, object, tag and bin: how many objects have a value in it.",
            _DISTRIBUTION_COLUMNS,
            ["as_of_date", "object", "tag", "bin"],
        ),
        FOLDER / "tag_statistics.sql": f"{WRITTEN_SQL}{_DAILY}{_COUNTED}{_STATISTICS}",
        FOLDER / "tag_statistics.yml": _twin(
            "tag_statistics",
            "One row per day, object and published tag: how many have a value, which values occur, whether they moved.",
            _STATISTIC_COLUMNS,
            ["as_of_date", "object", "tag"],
        ),
    }


def shape(tag: Tag) -> str | list[float]:
    """How the values of a tag are put into bins: a word, or low, high and step of its scale; see macro value_counts."""
    data_type = tag.data_type.lower()
    if data_type in ("date", "timestamp"):
        return "date"
    if is_numeric(tag):
        is_whole = data_type in WHOLE_TYPES
        scale = _scale(tag.unit)
        if scale is None:
            return "whole" if is_whole else "number"
        low, high = scale
        single_steps = is_whole and high - low <= _LONGEST_SCALE_OF_SINGLE_STEPS
        step = 1 if single_steps else (high - low) / 10
        return [low, high, int(step) if step == int(step) else step]
    return "listed" if data_type in ("boolean", "bool") or tag.values else "text"


def _scale(unit: str | None) -> tuple[int, int] | None:
    if unit in _SCALES:
        return _SCALES[unit]
    found = _SCALE.search(unit or "")
    if not found or int(found[1]) >= int(found[2]):
        return None
    return int(found[1]), int(found[2])


def _value_counts(models: list[TagModel]) -> str:
    """CTE value_counts over the physical tables of all objects."""
    calls = []
    for object_name, group in groupby(models, key=lambda model: model.object):
        for table in wide_tables(object_name, list(group)):
            shapes = ",\n".join(f"        '{tag.name}': {shape(tag)!r}" for tag in table.columns)
            calls.append(
                f"    {{{{ tagloom.value_counts('{object_name}', ref('{table.name}'), {{\n{shapes}\n    }}) }}}}"
            )
    return "with value_counts as (\n" + "\n    union all\n".join(calls) + "\n)"


def _twin(name: str, grain: str, columns: dict[str, tuple[str, str]], key: list[str]) -> str:
    return twin(name, grain, _described(columns), [{"unique_together": {"arguments": {"columns": key}}}])


def _described(columns: dict[str, tuple[str, str]]) -> list[dict]:
    return [
        {"name": column, "description": description, "data_type": data_type}
        for column, (description, data_type) in columns.items()
    ]
