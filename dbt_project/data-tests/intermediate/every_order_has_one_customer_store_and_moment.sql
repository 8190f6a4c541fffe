-- The lines of a receipt agree on card, store and time.
-- int_orders takes one value of each and relies on it.
select order_id
from {{ ref('int_order_lines') }}
group by order_id
having
    min(person_id) <> max(person_id)
    or count(person_id) not in (0, count(*))
    or min(store_id) <> max(store_id)
    or min(ordered_at) <> max(ordered_at)
