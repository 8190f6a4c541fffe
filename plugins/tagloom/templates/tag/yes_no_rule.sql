with orders as (
$orders
),

counted as (
    select
        $key,
        {{ tagloom.count_in_last_days('order_date', 90) }} as orders_90d
    from orders
    group by $key
),

tagged as (
    select
        $key,
        orders_90d >= 3 as $name
    from counted
)

select * from tagged
