with purchases as (
    select distinct
        person_id,
        product_category,
        order_date
    from {{ ref('int_order_lines') }}
    where
        person_id is not null
        and counts_pieces
        and is_in_catalogue
        and department not in ('COUPON', 'MISCELLANEOUS')
        and product_category is not null
        and product_category not like 'COUPON%'
        and {{ tagloom.in_last_days('order_date', 365) }}
),

categories as (
    select
        person_id,
        product_category,
        count(*) as days,
        {{ tagloom.days_between('min(order_date)', 'max(order_date)') }} as days_from_first_to_last,
        {{ tagloom.days_between('max(order_date)', tagloom.as_of_date()) }} as days_since_last
    from purchases
    group by person_id, product_category
),

cycles as (
    -- five purchases at least and a week between them: what is bought on every trip needs no reminder
    select
        *,
        cast(days_from_first_to_last as double) / (days - 1) as cycle_days
    from categories
    where days >= 5 and days_from_first_to_last >= 7 * (days - 1)
),

due as (
    select
        *,
        row_number() over (
            partition by person_id order by days desc, days_since_last / cycle_days desc, product_category asc
        ) as place,
        count(*) over (partition by person_id) as due_categories
    from cycles
    where days_since_last >= cycle_days and days_since_last <= cycle_days * 2
),

tagged as (
    select
        person_id,
        product_category as due_category,
        cast(due_categories as integer) as due_categories
    from due
    where place = 1
)

select * from tagged
