"""Writes the quality score of each tag: how far it can be relied on, whether it is used, and what it costs."""

from __future__ import annotations

from pathlib import Path

from tagloom.tags.written_text import FOLDER, WRITTEN_SQL, twin

WEIGHTS = {"coverage": 30, "stability": 20, "use": 20, "cost": 10, "freshness": 20}
"""Part of the score -> its weight in the quality, in percent. A part that is not known is left out of the mean."""

_CONFIG = "{{ config(meta={'updates': 'full_build'}) }}\n\n"

_SQL = """with statistics as (
    select * from {{ ref('tag_statistics') }}
    where as_of_date = {{ tagloom.as_of_date() }}
),

catalogue as (
    select
        object,
        tag,
        used_by
    from {{ ref('tag_catalog') }}
),

stale_values as (
    select
        object,
        tag,
        count(*) as objects
    from {{ ref('tag_stale_values') }}
    group by object, tag
),

mean_cost as (
    select avg(run_seconds) as run_seconds
    from statistics
),

parts as (
    select
        statistics.object,
        statistics.tag,
        statistics.as_of_date,
        cast(round(100 * statistics.coverage) as integer) as coverage,
        cast(
            round(
                100 * case
                    when coalesce(statistics.psi_28d, statistics.psi_previous) >= 0.5 then 0
                    else 1 - coalesce(statistics.psi_28d, statistics.psi_previous) / 0.5
                end
            ) as integer
        ) as stability,
        cast(
            round(
                100 * (
                    1 - power(
                        0.5,
                        case
                            when coalesce(catalogue.used_by, '') = '' then 0
                            else length(catalogue.used_by) - length(replace(catalogue.used_by, ',', '')) + 1
                        end
                    )
                )
            ) as integer
        ) as use,
        cast(
            round(
                100 * case
                    when statistics.run_seconds <= mean_cost.run_seconds then 1
                    else mean_cost.run_seconds / statistics.run_seconds
                end
            ) as integer
        ) as cost,
        cast(
            round(
                100 * statistics.filled
                / cast(nullif(statistics.filled + coalesce(stale_values.objects, 0), 0) as double)
            ) as integer
        ) as freshness
    from statistics
    left join catalogue
        on
            statistics.object = catalogue.object
            and statistics.tag = catalogue.tag
    left join stale_values
        on
            statistics.object = stale_values.object
            and statistics.tag = stale_values.tag
    cross join mean_cost
),

scores as (
    select
        object,
        tag,
        as_of_date,
        coverage,
        stability,
        use,
        cost,
        freshness,
        cast(
            round(
                (
                    @weighted
                )
                / nullif(
                    @weights, 0
                )
            ) as integer
        ) as quality
    from parts
)

select * from scores
"""


def score_files() -> dict[Path, str]:
    """Path below dbt_project -> content of the table of scores and its twin."""
    indent = "\n                    + "
    weighted = indent.join(f"{weight} * coalesce({part}, 0)" for part, weight in WEIGHTS.items())
    weights = indent.join(f"case when {part} is null then 0.0 else {weight} end" for part, weight in WEIGHTS.items())
    sql = _SQL.replace("@weighted", weighted).replace("@weights", weights)
    columns = {
        "object": ("What carries the tag.", "varchar"),
        "tag": ("Name of the tag.", "varchar"),
        "as_of_date": ("Day that the values were computed for.", "date"),
        "coverage": ("Share of objects with a value, in percent.", "integer"),
        "stability": (
            "100 for a distribution like 28 days ago (or on the day before, where no older one is known), 80 at the "
            "limit of slight drift, 50 at that of strong drift, 0 from a stability index of 0.5 on; null at first.",
            "integer",
        ),
        "use": ("0 when nothing uses it, 50 with one user, 75 with two, 88 with three.", "integer"),
        "cost": (
            "100 when it takes no more seconds than the mean of all tags, 50 when it takes twice as many; null when "
            "nobody noted its seconds.",
            "integer",
        ),
        "freshness": ("Share of the known values that were not too old to be shown, in percent.", "integer"),
        "quality": (
            "Mean of those that are known, weighted "
            + ", ".join(f"{part} {weight}" for part, weight in WEIGHTS.items())
            + ".",
            "integer",
        ),
    }
    described = [
        {"name": name, "description": description, "data_type": data_type}
        for name, (description, data_type) in columns.items()
    ]
    for column in described[3:]:
        column["data_tests"] = [{"in_range": {"arguments": {"minimum": 0, "maximum": 100}}}]
    return {
        FOLDER / "tag_scores.sql": f"{WRITTEN_SQL}{_CONFIG}{sql}",
        FOLDER / "tag_scores.yml": twin(
            "tag_scores",
            "One row per object and published tag: how good it is, part by part and as a whole, from 0 to 100.",
            described,
            [{"unique_together": {"arguments": {"columns": ["object", "tag"]}}}],
        ),
    }
