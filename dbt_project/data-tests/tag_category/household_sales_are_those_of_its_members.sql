-- Of what households spend nothing is counted twice and nothing is left out.
with households as (
    select
        coalesce(sum(spend_365d), 0) as spend,
        coalesce(sum(orders_365d), 0) as orders,
        coalesce(sum(shopping_members_365d), 0) as shoppers
    from {{ ref('tag_household__spend') }}
),

members as (
    select
        coalesce(sum(orders.sales_amount), 0) as spend,
        count(*) as orders,
        count(distinct orders.person_id) as shoppers
    from {{ ref('int_orders') }} as orders
    inner join {{ ref('household_members') }} as household_members
        on orders.person_id = household_members.person_id
    where {{ tagloom.in_last_days('orders.order_date', 365) }}
)

select
    households.spend,
    members.spend as spend_of_members,
    households.orders,
    members.orders as orders_of_members
from households
cross join members
where
    households.spend <> members.spend
    or households.orders <> members.orders
    or households.shoppers <> members.shoppers
