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

days as (
    -- what is distinct is counted after a second group by, which is cheaper than count(distinct)
    select
        person_id,
        department,
        product_category,
        order_date,
        count(*) as lines,
        sum(sales_amount) as sales_amount
    from order_lines
    group by person_id, department, product_category, order_date
),

days_added_up_per_category as (
    select
        person_id,
        department,
        product_category,
        cast(sum(lines) as int) as lines,
        cast(count(*) as int) as days,
        cast(sum(sales_amount) as decimal(14, 2)) as sales_amount,
        min(order_date) as first_order_date,
        max(order_date) as last_order_date,
        cast(sum(lines * {{ tagloom.decay('order_date', 90) }}) as decimal(14, 6)) as weight
    from days
    group by person_id, department, product_category
)

select * from days_added_up_per_category
