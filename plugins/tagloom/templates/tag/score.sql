with orders as (
$orders
),

totals as (
    select
        $key,
        {{ tagloom.count_in_last_days('order_date', 90) }} as orders_90d,
        {{ tagloom.sum_in_last_days('sales_amount', 'order_date', 90) }} as spend_90d
    from orders
    group by $key
),

tagged as (
    -- half of the points for coming often, half for spending much
    select
        $key,
        cast(
            round(
                {{ tagloom.points('orders_90d', 12, 50) }}
                + {{ tagloom.points('spend_90d', 500, 50) }}
            ) as integer
        ) as $name
    from totals
)

select * from tagged
