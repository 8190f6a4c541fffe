-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select store_id
    from {{ ref('store_tags_spine') }}
),

tag_store__assortment as (
    select
        store_id,
        top_department,
        private_label_share,
        sells_fuel
    from {{ ref('tag_store__assortment') }}
),

tag_store__sales as (
    select
        store_id,
        sales_365d,
        orders_365d,
        orders_90d,
        buyers_90d,
        average_basket_365d,
        sales_decile,
        sales_trend,
        busiest_weekday,
        last_order_date
    from {{ ref('tag_store__sales') }}
),

side_by_side as (
    select
        spine.store_id,
        tag_store__assortment.top_department,
        tag_store__assortment.private_label_share,
        coalesce(tag_store__assortment.sells_fuel, false) as sells_fuel,
        cast(coalesce(tag_store__sales.sales_365d, 0) as decimal(14, 2)) as sales_365d,
        cast(coalesce(tag_store__sales.orders_365d, 0) as integer) as orders_365d,
        cast(coalesce(tag_store__sales.orders_90d, 0) as integer) as orders_90d,
        cast(coalesce(tag_store__sales.buyers_90d, 0) as integer) as buyers_90d,
        tag_store__sales.average_basket_365d,
        tag_store__sales.sales_decile,
        tag_store__sales.sales_trend,
        tag_store__sales.busiest_weekday,
        tag_store__sales.last_order_date
    from spine
    left join tag_store__assortment
        on spine.store_id = tag_store__assortment.store_id
    left join tag_store__sales
        on spine.store_id = tag_store__sales.store_id
)

select * from side_by_side
