-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['product_id', 'valid_from'],
    full_refresh=false,
    on_schema_change='append_new_columns',
    meta={'updates': 'full_build', 'published': false}
) }}

with history as (
    {{ tagloom.changed_periods(ref('product_tags_price'), ref('tag_history_days'), 'product_id', {
        'price_band': 'varchar',
        'is_private_label': 'boolean',
        'is_coupon_product': 'boolean'
    }) }}
)

select * from history
