-- Products and stores split the same sales: goods without a catalogue entry stay in the totals.
with tills as (
    select
        coalesce(sum(sales_amount), 0) as sales_amount,
        coalesce(sum(case when store_id is not null then sales_amount end), 0) as sales_in_stores
    from {{ ref('int_orders') }}
    where {{ tagloom.in_last_days('order_date', 365) }}
),

products as (
    select coalesce(sum(sales_365d), 0) as sales_amount
    from {{ ref('tag_product__sales') }}
),

stores as (
    select coalesce(sum(sales_365d), 0) as sales_amount
    from {{ ref('tag_store__sales') }}
)

select
    tills.sales_amount as sales_of_tills,
    products.sales_amount as sales_of_products,
    stores.sales_amount as sales_of_stores
from tills
cross join products
cross join stores
where tills.sales_amount <> products.sales_amount or tills.sales_in_stores <> stores.sales_amount
