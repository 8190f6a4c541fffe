-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(
    materialized='view',
    meta={'updates': 'full_build', 'published': false}
) }}

with tag_values as (
    {{ tagloom.long_form(ref('store_tags_sales'), 'store_id', {
        'top_department': 'varchar',
        'private_label_share': 'integer',
        'sells_fuel': 'boolean',
        'sales_365d': 'decimal(14,2)',
        'orders_365d': 'integer',
        'orders_90d': 'integer',
        'buyers_90d': 'integer',
        'average_basket_365d': 'decimal(14,2)',
        'sales_decile': 'integer',
        'sales_trend': 'varchar',
        'busiest_weekday': 'varchar',
        'last_order_date': 'date'
    }) }}
    union all
    {{ tagloom.long_form(ref('store_tags_visits'), 'store_id', {
        'wifi_visits_90d': 'integer',
        'average_visit_minutes_90d': 'decimal(14,1)',
        'checkout_share_90d': 'integer'
    }) }}
)

select * from tag_values
