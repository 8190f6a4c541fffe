-- Fuel and own brand are disjoint parts of what was paid, and discounted lines are a part of it.
select
    order_id,
    sales_amount,
    fuel_amount,
    private_label_amount,
    discounted_amount
from {{ ref('int_orders') }}
where
    sales_amount >= 0
    and (
        fuel_amount + private_label_amount > sales_amount
        or discounted_amount > sales_amount
    )
