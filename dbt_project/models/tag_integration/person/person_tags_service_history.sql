-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['person_id', 'valid_from'],
    full_refresh=false,
    on_schema_change='append_new_columns',
    meta={'updates': 'full_build', 'published': false}
) }}

with history as (
    {{ tagloom.changed_periods(ref('person_tags_service'), ref('tag_history_days'), 'person_id', {
        'bought_after_service': 'boolean',
        'has_open_ticket': 'boolean',
        'is_unhappy': 'boolean'
    }) }}
)

select * from history
