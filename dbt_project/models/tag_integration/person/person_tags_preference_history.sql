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
    {{ tagloom.changed_periods(ref('person_tags_preference'), ref('tag_history_days'), 'person_id', {
        'pet_kind': 'varchar',
        'has_baby_needs': 'boolean',
        'is_alcohol_buyer': 'boolean',
        'is_tobacco_buyer': 'boolean',
        'brand_kind_preference': 'varchar',
        'discount_affinity': 'varchar',
        'eating_style': 'varchar'
    }) }}
)

select * from history
