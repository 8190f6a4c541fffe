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
    {{ tagloom.changed_periods(ref('person_tags_lifecycle'), ref('tag_history_days'), 'person_id', {
        'onboarding_step': 'varchar',
        'is_reactivated': 'boolean',
        'lifecycle_stage': 'varchar',
        'is_due_for_purchase': 'boolean'
    }) }}
)

select * from history
