with orders as (
$orders
),

tagged as (
    select
        $key,
        min(order_date) as $name
    from orders
    group by $key
)

select * from tagged
