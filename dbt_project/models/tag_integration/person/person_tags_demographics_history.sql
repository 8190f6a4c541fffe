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
    {{ tagloom.changed_periods(ref('person_tags_demographics'), ref('tag_history_days'), 'person_id', {
        'income_tier': 'varchar',
        'household_size': 'varchar',
        'household_type': 'varchar',
        'kids_count': 'varchar',
        'has_kids': 'boolean',
        'home_ownership': 'varchar',
        'marital_status': 'varchar',
        'life_stage': 'varchar',
        'age_band': 'varchar',
        'generation': 'varchar',
        'is_in_household': 'boolean'
    }) }}
)

select * from history
