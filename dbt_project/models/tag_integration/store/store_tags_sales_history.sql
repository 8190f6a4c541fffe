-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['store_id', 'valid_from'],
    full_refresh=false,
    on_schema_change='append_new_columns',
    meta={'updates': 'full_build', 'published': false}
) }}

with history as (
    {{ tagloom.changed_periods(ref('store_tags_sales'), ref('tag_history_days'), 'store_id', {
        'sells_fuel': 'boolean',
        'sales_trend': 'varchar',
        'busiest_weekday': 'varchar'
    }) }}
)

select * from history
