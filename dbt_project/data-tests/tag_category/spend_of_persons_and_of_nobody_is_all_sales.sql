-- What persons spent and what nobody is known to have spent is what the tills took,
-- in money and in orders: no person is lost and none is counted twice.
with all_orders as (
    select
        sum(sales_amount) as sales_amount,
        count(*) as orders
    from {{ ref('int_orders') }}
    where {{ tagloom.in_last_days('order_date', 365) }}
),

orders_of_nobody as (
    select
        coalesce(sum(sales_amount), 0) as sales_amount,
        count(*) as orders
    from {{ ref('int_orders') }}
    where person_id is null and {{ tagloom.in_last_days('order_date', 365) }}
),

tagged as (
    select
        coalesce(sum(spend_365d), 0) as sales_amount,
        coalesce(sum(orders_365d), 0) as orders
    from {{ ref('tag_consumption__spend') }}
)

select
    all_orders.sales_amount as sales_of_tills,
    tagged.sales_amount as sales_of_persons,
    orders_of_nobody.sales_amount as sales_of_nobody
from all_orders
cross join orders_of_nobody
cross join tagged
where
    coalesce(all_orders.sales_amount, 0) <> tagged.sales_amount + orders_of_nobody.sales_amount
    or all_orders.orders <> tagged.orders + orders_of_nobody.orders
