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
    {{ tagloom.changed_periods(ref('person_tags_behaviour'), ref('tag_history_days'), 'person_id', {
        'has_abandoned_cart_30d': 'boolean',
        'deepest_web_step_30d': 'varchar',
        'deepest_web_step_365d': 'varchar',
        'usual_web_exit': 'varchar',
        'has_unmet_search': 'boolean',
        'last_cart_outcome': 'varchar',
        'usual_web_platform': 'varchar'
    }) }}
)

select * from history
