with products as (
    select * from {{ ref('int_products') }}
),

order_lines as (
    select *
    from {{ ref('int_order_lines') }}
    where {{ tagloom.in_last_days('order_date', 365) }}
),

buyers_of_product as (
    -- one row per product and buyer; sales without a known buyer form one group that is no buyer
    select
        product_id,
        person_id,
        count(*) as orders,
        count(case when {{ tagloom.in_last_days('order_date', 90) }} then 1 end) as orders_90d,
        sum(sales_amount) as sales_amount,
        {{ tagloom.sum_in_last_days('sales_amount', 'order_date', 90) }} as sales_90d,
        {{ tagloom.sum_in_last_days('sales_amount', 'order_date', 180) }} as sales_180d,
        {{ tagloom.days_between('min(order_date)', 'max(order_date)') }} as days_from_first_to_last,
        max(order_date) as last_sold_date
    from order_lines
    group by product_id, person_id
),

per_product as (
    select
        product_id,
        sum(orders) as orders,
        sum(sales_amount) as sales_amount,
        sum(sales_90d) as sales_90d,
        sum(sales_180d) as sales_180d,
        count(case when orders_90d > 0 then person_id end) as buyers_90d,
        count(person_id) as buyers,
        count(case when orders > 1 then person_id end) as repeat_buyers,
        sum(case when person_id is not null then days_from_first_to_last end) as days_between_orders,
        sum(case when person_id is not null then orders - 1 end) as repeat_orders,
        max(last_sold_date) as last_sold_date
    from buyers_of_product
    group by product_id
),

tagged as (
    select
        per_product.product_id,
        cast(per_product.sales_amount as decimal(14, 2)) as sales_365d,
        cast(per_product.orders as integer) as orders_365d,
        cast(per_product.buyers_90d as integer) as buyers_90d,
        {{ tagloom.ntile_score('per_product.sales_amount', 10, within='products.department') }}
            as sales_decile,
        {{ tagloom.share_index('per_product.repeat_buyers', 'per_product.buyers') }}
            as repeat_purchase_share,
        case
            when per_product.repeat_buyers >= 5
                then {{ tagloom.ratio('per_product.days_between_orders', 'per_product.repeat_orders', 1) }}
        end as repurchase_cycle_days,
        {{ tagloom.spend_trend(
            'per_product.sales_90d', '(per_product.sales_180d - per_product.sales_90d)'
        ) }} as sales_trend,
        per_product.last_sold_date
    from per_product
    inner join products on per_product.product_id = products.product_id
)

select * from tagged
