-- Lines, quantities and money of the tills up to as_of_date all arrive: no join loses or doubles
-- a line.
with delivered as (
    select
        count(*) as order_lines,
        coalesce(sum(quantity), 0) as quantity,
        coalesce(sum(sales_amount), 0) as sales_amount
    from {{ ref('stg_pos__basket_lines') }}
    where {{ tagloom.known_by_as_of_date(tagloom.local_date('sold_at')) }}
),

kept as (
    select
        count(*) as order_lines,
        coalesce(sum(quantity), 0) as quantity,
        coalesce(sum(sales_amount), 0) as sales_amount
    from {{ ref('int_order_lines') }}
)

select
    delivered.order_lines as delivered_order_lines,
    kept.order_lines as kept_order_lines,
    delivered.quantity as delivered_quantity,
    kept.quantity as kept_quantity,
    delivered.sales_amount as delivered_sales_amount,
    kept.sales_amount as kept_sales_amount
from delivered
cross join kept
where
    delivered.order_lines <> kept.order_lines
    or delivered.quantity <> kept.quantity
    or delivered.sales_amount <> kept.sales_amount
