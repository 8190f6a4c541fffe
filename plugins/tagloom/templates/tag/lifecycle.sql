with orders as (
$orders
),

order_days as (
    select
        $key,
        {{ tagloom.days_between('min(order_date)', tagloom.as_of_date()) }} as days_since_first,
        {{ tagloom.days_between('max(order_date)', tagloom.as_of_date()) }} as days_since_last
    from orders
    group by $key
),

tagged as (
    -- later states come first
    select
        $key,
        case
            when days_since_last > 180 then 'lost'
            when days_since_last > 60 then 'dormant'
            when days_since_first <= 60 then 'new'
            else 'active'
        end as $name
    from order_days
)

select * from tagged
