-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(meta={'updates': 'full_build'}) }}

with statistics as (
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
                    30 * coalesce(coverage, 0)
                    + 20 * coalesce(stability, 0)
                    + 20 * coalesce(use, 0)
                    + 10 * coalesce(cost, 0)
                    + 20 * coalesce(freshness, 0)
                )
                / nullif(
                    case when coverage is null then 0.0 else 30 end
                    + case when stability is null then 0.0 else 20 end
                    + case when use is null then 0.0 else 20 end
                    + case when cost is null then 0.0 else 10 end
                    + case when freshness is null then 0.0 else 20 end, 0
                )
            ) as integer
        ) as quality
    from parts
)

select * from scores
