-- Baskets and money of the tills up to as_of_date all arrive, whoever bought and whatever the
-- catalogue knows.
with delivered as (
    select
        count(distinct basket_id) as orders,
        coalesce(sum(sales_amount), 0) as sales_amount
    from {{ ref('stg_pos__basket_lines') }}
    where {{ tagloom.known_by_as_of_date(tagloom.local_date('sold_at')) }}
),

kept as (
    select
        count(*) as orders,
        coalesce(sum(sales_amount), 0) as sales_amount
    from {{ ref('int_orders') }}
)

select
    delivered.orders as delivered_orders,
    kept.orders as kept_orders,
    delivered.sales_amount as delivered_sales_amount,
    kept.sales_amount as kept_sales_amount
from delivered
cross join kept
where
    delivered.orders <> kept.orders
    or delivered.sales_amount <> kept.sales_amount
