-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(materialized='view') }}

with spine as (
    select store_id
    from {{ ref('store_tags_spine') }}
),

store_tags_sales as (
    select
        store_id,
        top_department,
        private_label_share,
        sells_fuel,
        sales_365d,
        orders_365d,
        orders_90d,
        buyers_90d,
        average_basket_365d,
        sales_decile,
        sales_trend,
        busiest_weekday,
        last_order_date
    from {{ ref('store_tags_sales') }}
),

store_tags_visits as (
    select
        store_id,
        wifi_visits_90d,
        average_visit_minutes_90d,
        checkout_share_90d
    from {{ ref('store_tags_visits') }}
),

side_by_side as (
    select
        spine.store_id,
        store_tags_sales.top_department,
        store_tags_sales.private_label_share,
        store_tags_sales.sells_fuel,
        store_tags_sales.sales_365d,
        store_tags_sales.orders_365d,
        store_tags_sales.orders_90d,
        store_tags_sales.buyers_90d,
        store_tags_sales.average_basket_365d,
        store_tags_sales.sales_decile,
        store_tags_sales.sales_trend,
        store_tags_sales.busiest_weekday,
        store_tags_sales.last_order_date,
        store_tags_visits.wifi_visits_90d,
        store_tags_visits.average_visit_minutes_90d,
        store_tags_visits.checkout_share_90d
    from spine
    inner join store_tags_sales
        on spine.store_id = store_tags_sales.store_id
    inner join store_tags_visits
        on spine.store_id = store_tags_visits.store_id
)

select * from side_by_side
