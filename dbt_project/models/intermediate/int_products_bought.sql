with order_lines as (
    select *
    from {{ ref('int_order_lines') }}
    where
        person_id is not null
        and {{ tagloom.in_last_days('order_date', 365) }}
),

lines_added_up_per_product as (
    select
        person_id,
        product_id,
        -- The catalogue has one department of a product.
        min(case when is_in_catalogue then department end) as department,
        cast(count(*) as int) as orders,
        min(order_date) as first_order_date,
        max(order_date) as last_order_date
    from order_lines
    group by person_id, product_id
)

select * from lines_added_up_per_product
