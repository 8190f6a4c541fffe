with orders as (
$orders
),

tagged as (
    select
        $key,
        {{ tagloom.count_in_last_days('order_date', 90) }} as $name
    from orders
    group by $key
)

select * from tagged
