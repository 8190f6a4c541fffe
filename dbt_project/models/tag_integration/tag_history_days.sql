-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='as_of_date',
    full_refresh=false,
    on_schema_change='fail',
    meta={'updates': 'full_build'}
) }}

with this_day as (
    select {{ tagloom.as_of_date() }} as as_of_date
)

select * from this_day
