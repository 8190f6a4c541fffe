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
    -- the first rule that fits decides
    select
        $key,
        case
            when orders_90d >= 12 then 'often'
            when orders_90d >= 3 then 'sometimes'
            else 'seldom'
        end as $name
    from counted
)

select * from tagged
