with categories as (
    -- five purchases at least and a week between them: what is bought on every trip needs no reminder
    select
        person_id,
        department,
        product_category,
        days,
        {{ tagloom.days_between('first_order_date', 'last_order_date') }} as days_from_first_to_last,
        {{ tagloom.days_between('last_order_date', tagloom.as_of_date()) }} as days_since_last
    from {{ ref('int_categories_bought') }}
    where
        person_id is not null
        and days >= 5
        and product_category not like 'COUPON%'
),

cycles as (
    select
        *,
        cast(days_from_first_to_last as double) / (days - 1) as cycle_days
    from categories
    where days_from_first_to_last >= 7 * (days - 1)
),

due as (
    select
        *,
        row_number() over (
            partition by person_id
            order by days desc, days_since_last / cycle_days desc, product_category asc, department asc
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
