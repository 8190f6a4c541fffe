-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(materialized='view') }}

with spine as (
    select product_id
    from {{ ref('product_tags_spine') }}
),

product_tags_lifecycle as (
    select
        product_id,
        peak_month,
        is_seasonal,
        product_stage
    from {{ ref('product_tags_lifecycle') }}
),

product_tags_price as (
    select
        product_id,
        average_price_365d,
        price_band,
        is_private_label,
        discounted_order_share,
        is_coupon_product
    from {{ ref('product_tags_price') }}
),

product_tags_sales as (
    select
        product_id,
        sales_365d,
        orders_365d,
        buyers_90d,
        sales_decile,
        repeat_purchase_share,
        repurchase_cycle_days,
        sales_trend,
        last_sold_date
    from {{ ref('product_tags_sales') }}
),

side_by_side as (
    select
        spine.product_id,
        product_tags_lifecycle.peak_month,
        product_tags_lifecycle.is_seasonal,
        product_tags_lifecycle.product_stage,
        product_tags_price.average_price_365d,
        product_tags_price.price_band,
        product_tags_price.is_private_label,
        product_tags_price.discounted_order_share,
        product_tags_price.is_coupon_product,
        product_tags_sales.sales_365d,
        product_tags_sales.orders_365d,
        product_tags_sales.buyers_90d,
        product_tags_sales.sales_decile,
        product_tags_sales.repeat_purchase_share,
        product_tags_sales.repurchase_cycle_days,
        product_tags_sales.sales_trend,
        product_tags_sales.last_sold_date
    from spine
    inner join product_tags_lifecycle
        on spine.product_id = product_tags_lifecycle.product_id
    inner join product_tags_price
        on spine.product_id = product_tags_price.product_id
    inner join product_tags_sales
        on spine.product_id = product_tags_sales.product_id
)

select * from side_by_side
