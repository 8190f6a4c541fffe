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
    {{ tagloom.changed_periods(ref('person_tags_consumption'), ref('tag_history_days'), 'person_id', {
        'usual_mission': 'varchar',
        'purchase_rhythm': 'varchar',
        'is_fuel_buyer': 'boolean',
        'spend_trend': 'varchar'
    }) }}
)

select * from history
