-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['household_id', 'valid_from'],
    full_refresh=false,
    on_schema_change='append_new_columns',
    meta={'updates': 'full_build', 'published': false}
) }}

with history as (
    {{ tagloom.changed_periods(ref('household_tags_members'), ref('tag_history_days'), 'household_id', {
        'has_children': 'boolean',
        'has_two_generations': 'boolean'
    }) }}
)

select * from history
