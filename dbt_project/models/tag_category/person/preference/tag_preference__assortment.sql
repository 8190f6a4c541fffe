{{ config(meta={'updates': 'full_build'}) }}

with order_lines as (
    -- fuel, goods outside the catalogue and bookings at the till say nothing about taste
    select *
    from {{ ref('int_order_lines') }}
    where
        person_id is not null
        and is_in_catalogue
        and counts_pieces
        and department not in ('COUPON', 'MISCELLANEOUS')
        and {{ tagloom.in_last_days('order_date', 365) }}
),

categories as (
    select
        person_id,
        department,
        product_category,
        sum(sales_amount) as sales_amount,
        max(order_date) as last_order_date
    from order_lines
    group by person_id, department, product_category
),

departments as (
    select
        person_id,
        department,
        sum(sales_amount) as sales_amount,
        sum(sum(sales_amount)) over (partition by person_id) as person_amount,
        sum(sum(sales_amount)) over (partition by department) as department_amount,
        sum(sum(sales_amount)) over () as total_amount,
        max(last_order_date) as last_order_date
    from categories
    group by person_id, department
),

ranked_departments as (
    select
        *,
        {{ tagloom.ratio(
            'cast(sales_amount as double) * cast(total_amount as double)',
            'cast(person_amount as double) * cast(department_amount as double)',
            1
        ) }} as lift,
        row_number() over (
            partition by person_id order by sales_amount desc, last_order_date desc, department asc
        ) as place
    from departments
),

distinctive_departments as (
    -- five percent of the own spend at least, so that one bouquet makes nobody a florist's friend
    select
        person_id,
        department,
        lift,
        row_number() over (
            partition by person_id order by lift desc, sales_amount desc, department asc
        ) as place
    from ranked_departments
    where lift >= 1.5 and sales_amount >= person_amount * 0.05
),

ranked_categories as (
    select
        person_id,
        product_category,
        sum(sales_amount) as sales_amount,
        row_number() over (
            partition by person_id
            order by sum(sales_amount) desc, max(last_order_date) desc, product_category asc
        ) as place
    from categories
    where product_category is not null and product_category not like 'COUPON%'
    group by person_id, product_category
),

tagged as (
    select
        ranked_departments.person_id,
        ranked_departments.department as favourite_department,
        {{ tagloom.share_index(
            'ranked_departments.sales_amount', 'ranked_departments.person_amount'
        ) }} as favourite_department_index,
        ranked_categories.product_category as favourite_category,
        {{ tagloom.share_index(
            'ranked_categories.sales_amount', 'ranked_departments.person_amount'
        ) }} as favourite_category_index,
        distinctive_departments.department as distinctive_department,
        distinctive_departments.lift as distinctive_department_lift
    from ranked_departments
    left join ranked_categories
        on
            ranked_departments.person_id = ranked_categories.person_id
            and ranked_categories.place = 1
    left join distinctive_departments
        on
            ranked_departments.person_id = distinctive_departments.person_id
            and distinctive_departments.place = 1
    where ranked_departments.place = 1 and ranked_departments.person_amount > 0
)

select * from tagged
