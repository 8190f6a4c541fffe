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
