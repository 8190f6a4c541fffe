with order_lines as (
    -- fuel, goods outside the catalogue and bookings at the till say nothing about taste
    select
        department,
        product_category,
        cast(date_trunc('month', order_date) as date) as month_start,
        sales_amount
    from {{ ref('int_order_lines') }}
    where
        is_in_catalogue
        and counts_pieces
        and department not in ('COUPON', 'MISCELLANEOUS')
),

lines_added_up_per_month as (
    select
        department,
        product_category,
        month_start,
        cast(count(*) as bigint) as lines,
        cast(sum(sales_amount) as decimal(18, 2)) as sales_amount
    from order_lines
    group by department, product_category, month_start
)

select * from lines_added_up_per_month
