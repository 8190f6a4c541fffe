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
    {{ tagloom.changed_periods(ref('person_tags_value'), ref('tag_history_days'), 'person_id', {
        'engagement_level': 'varchar',
        'loyalty_level': 'varchar',
        'purchase_likelihood_band': 'varchar',
        'rfm_segment': 'varchar',
        'spend_tier': 'varchar'
    }) }}
)

select * from history
