-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='as_of_date',
    full_refresh=false,
    on_schema_change='append_new_columns',
    meta={'updates': 'full_build'}
) }}

with value_counts as (
    select * from {{ ref('tag_value_counts') }}
),

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
            when coalesce(stability.psi_previous, stability.psi_28d) is null or counts.objects < 100 then null
            when greatest(coalesce(stability.psi_previous, 0), coalesce(stability.psi_28d, 0)) >= 0.25 then 'strong'
            when greatest(coalesce(stability.psi_previous, 0), coalesce(stability.psi_28d, 0)) >= 0.1 then 'slight'
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
