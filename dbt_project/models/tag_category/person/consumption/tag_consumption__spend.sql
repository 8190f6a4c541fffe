with orders as (
    select *
    from {{ ref('int_orders') }}
    where person_id is not null
),

per_person as (
    select
        person_id,
        {{ tagloom.count_in_last_days('order_date', 30) }} as orders_30d,
        {{ tagloom.count_in_last_days('order_date', 90) }} as orders_90d,
        {{ tagloom.count_in_last_days('order_date', 365) }} as orders_365d,
        {{ tagloom.sum_in_last_days('sales_amount', 'order_date', 30) }} as spend_30d,
        {{ tagloom.sum_in_last_days('sales_amount', 'order_date', 90) }} as spend_90d,
        {{ tagloom.sum_in_last_days('sales_amount', 'order_date', 180) }} as spend_180d,
        {{ tagloom.sum_in_last_days('sales_amount', 'order_date', 365) }} as spend_365d,
        {{ tagloom.sum_in_last_days('fuel_amount', 'order_date', 365) }} as fuel_spend_365d,
        {{ tagloom.sum_in_last_days('units', 'order_date', 365) }} as units_365d,
        max(
            case when {{ tagloom.in_last_days('order_date', 365) }} then sales_amount end
        ) as largest_basket_365d
    from orders
    group by person_id
),

tagged as (
    select
        person_id,
        orders_30d,
        orders_90d,
        orders_365d,
        cast(spend_30d as decimal(14, 2)) as spend_30d,
        cast(spend_90d as decimal(14, 2)) as spend_90d,
        cast(spend_365d as decimal(14, 2)) as spend_365d,
        {{ tagloom.ratio('spend_365d', 'orders_365d') }} as average_basket_365d,
        cast(largest_basket_365d as decimal(14, 2)) as largest_basket_365d,
        cast(units_365d as bigint) as units_365d,
        fuel_spend_365d > 0 as is_fuel_buyer,
        cast(fuel_spend_365d as decimal(14, 2)) as fuel_spend_365d,
        {{ tagloom.spend_trend('spend_90d', '(spend_180d - spend_90d)') }} as spend_trend
    from per_person
)

select * from tagged
