{{ config(meta={'updates': 'full_build'}) }}

with orders as (
$orders
),

totals as (
    select
        $key,
        {{ tagloom.days_between('max(order_date)', tagloom.as_of_date()) }} as days_since_order,
        count(distinct order_date) as days_with_orders,
        sum(sales_amount) as sales_amount
    from orders
    where {{ tagloom.in_last_days('order_date', 365) }}
    group by $key
),

scored as (
    select
        $key,
        {{ tagloom.ntile_score('days_since_order', 5, 'least') }} as recency_score,
        {{ tagloom.ntile_score('days_with_orders', 5, 'most') }} as frequency_score,
        {{ tagloom.ntile_score('sales_amount', 5, 'most') }} as monetary_score
    from totals
),

tagged as (
    select
        $key,
        case
            when recency_score >= 4 and frequency_score >= 4 and monetary_score >= 4 then 'best'
            when recency_score >= 3 and monetary_score >= 3 then 'good'
            when recency_score <= 2 and monetary_score >= 3 then 'fading'
            else 'other'
        end as $name
    from scored
)

select * from tagged
