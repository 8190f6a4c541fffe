-- The tagged layer loses no sale: segments, persons without one and unknown persons add up to what the tills reported.
with reported as (
    select
        sum(orders) as orders,
        sum(sales_amount) as sales_amount
    from {{ ref('report_sales_by_segment') }}
),

sold as (
    select
        count(distinct basket_id) as orders,
        sum(sales_amount) as sales_amount
    from {{ ref('stg_pos__basket_lines') }}
    where {{ tagloom.known_by_as_of_date('cast(' ~ tagloom.local_time('sold_at') ~ ' as date)') }}
)

select
    reported.orders,
    reported.sales_amount,
    sold.orders as sold_orders,
    sold.sales_amount as sold_amount
from reported
cross join sold
where
    coalesce(reported.orders, 0) <> coalesce(sold.orders, 0)
    or coalesce(reported.sales_amount, 0) <> coalesce(sold.sales_amount, 0)
