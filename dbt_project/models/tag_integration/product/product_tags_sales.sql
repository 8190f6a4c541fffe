-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select product_id
    from {{ ref('product_tags_spine') }}
),

tag_product__sales as (
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
    from {{ ref('tag_product__sales') }}
),

side_by_side as (
    select
        spine.product_id,
        cast(coalesce(tag_product__sales.sales_365d, 0) as decimal(14, 2)) as sales_365d,
        cast(coalesce(tag_product__sales.orders_365d, 0) as integer) as orders_365d,
        cast(coalesce(tag_product__sales.buyers_90d, 0) as integer) as buyers_90d,
        tag_product__sales.sales_decile,
        tag_product__sales.repeat_purchase_share,
        tag_product__sales.repurchase_cycle_days,
        tag_product__sales.sales_trend,
        tag_product__sales.last_sold_date
    from spine
    left join tag_product__sales
        on spine.product_id = tag_product__sales.product_id
)

select * from side_by_side
