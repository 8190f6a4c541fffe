with order_lines as (
    -- fuel, goods outside the catalogue and bookings at the till say nothing about taste
    select *
    from {{ ref('int_order_lines') }}
    where
        is_in_catalogue
        and counts_pieces
        and department not in ('COUPON', 'MISCELLANEOUS')
        and {{ tagloom.in_last_days('order_date', 365) }}
),

lines_added_up_per_category as (
    select
        person_id,
        department,
        product_category,
        cast(count(*) as int) as lines,
        cast(sum(sales_amount) as decimal(14, 2)) as sales_amount,
        max(order_date) as last_order_date,
        cast(sum({{ tagloom.decay('order_date', 90) }}) as decimal(14, 6)) as weight
    from order_lines
    group by person_id, department, product_category
)

select * from lines_added_up_per_category
