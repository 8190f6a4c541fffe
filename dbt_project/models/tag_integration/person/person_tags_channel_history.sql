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
    {{ tagloom.changed_periods(ref('person_tags_channel'), ref('tag_history_days'), 'person_id', {
        'contact_channel': 'varchar',
        'is_promotable': 'boolean',
        'is_web_to_store_shopper': 'boolean',
        'has_active_card': 'boolean',
        'has_web_account': 'boolean',
        'has_app': 'boolean',
        'has_wifi_device': 'boolean',
        'is_email_reachable': 'boolean',
        'is_phone_reachable': 'boolean',
        'is_push_reachable': 'boolean',
        'email_consent': 'boolean',
        'wants_newsletter': 'boolean',
        'app_platform': 'varchar',
        'dominant_channel': 'varchar',
        'is_multichannel': 'boolean'
    }) }}
)

select * from history
