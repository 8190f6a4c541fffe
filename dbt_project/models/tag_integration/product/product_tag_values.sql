-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(
    materialized='view',
    meta={'updates': 'full_build', 'published': false}
) }}

with tag_values as (
    {{ tagloom.long_form(ref('product_tags_lifecycle'), 'product_id', {
        'peak_month': 'integer',
        'is_seasonal': 'boolean',
        'product_stage': 'varchar'
    }) }}
    union all
    {{ tagloom.long_form(ref('product_tags_price'), 'product_id', {
        'average_price_365d': 'decimal(14,2)',
        'price_band': 'varchar',
        'is_private_label': 'boolean',
        'discounted_order_share': 'integer',
        'is_coupon_product': 'boolean'
    }) }}
    union all
    {{ tagloom.long_form(ref('product_tags_sales'), 'product_id', {
        'sales_365d': 'decimal(14,2)',
        'orders_365d': 'integer',
        'buyers_90d': 'integer',
        'sales_decile': 'integer',
        'repeat_purchase_share': 'integer',
        'repurchase_cycle_days': 'decimal(14,1)',
        'sales_trend': 'varchar',
        'last_sold_date': 'date'
    }) }}
)

select * from tag_values
