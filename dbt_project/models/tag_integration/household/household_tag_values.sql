-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(
    materialized='view',
    meta={'updates': 'full_build', 'published': false}
) }}

with tag_values as (
    {{ tagloom.long_form(ref('household_tags_channel'), 'household_id', {
        'channels_used_365d': 'integer',
        'email_reachable_members': 'integer',
        'gets_email_twice': 'boolean'
    }) }}
    union all
    {{ tagloom.long_form(ref('household_tags_consumption'), 'household_id', {
        'spend_365d': 'decimal(14,2)',
        'orders_365d': 'integer',
        'shopping_members_365d': 'integer',
        'main_shopper_share': 'integer',
        'spend_trend': 'varchar',
        'distinctive_department': 'varchar',
        'last_order_date': 'date'
    }) }}
    union all
    {{ tagloom.long_form(ref('household_tags_members'), 'household_id', {
        'members': 'integer',
        'active_members_90d': 'integer',
        'has_children': 'boolean',
        'has_two_generations': 'boolean'
    }) }}
)

select * from tag_values
