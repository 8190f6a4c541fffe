with orders as (
    select *
    from {{ ref('int_orders') }}
    where person_id is not null
),

order_days as (
    select
        person_id,
        cast(count(distinct order_date) as integer) as days_with_orders,
        {{ tagloom.days_between('min(order_date)', 'max(order_date)') }} as days_from_first_to_last
    from orders
    where {{ tagloom.in_last_days('order_date', 365) }}
    group by person_id
),

intervals as (
    -- two gaps at least: one gap is an accident, not a rhythm
    select
        person_id,
        days_with_orders,
        case
            when days_with_orders >= 3
                then {{ tagloom.ratio('days_from_first_to_last', '(days_with_orders - 1)', 1) }}
        end as purchase_interval_days
    from order_days
),

tagged as (
    select
        person_id,
        days_with_orders as shopping_days_365d,
        purchase_interval_days,
        case
            when purchase_interval_days < 3.5 then 'several a week'
            when purchase_interval_days < 10.5 then 'weekly'
            when purchase_interval_days < 21 then 'fortnightly'
            when purchase_interval_days < 45 then 'monthly'
            when purchase_interval_days is not null then 'rare'
        end as purchase_rhythm
    from intervals
)

select * from tagged
