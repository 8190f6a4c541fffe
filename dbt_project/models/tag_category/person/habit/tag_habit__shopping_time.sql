with orders as (
    select
        person_id,
        order_date,
        ordered_at,
        order_hour,
        {{ tagloom.iso_weekday('order_date') }} as iso_weekday,
        {{ tagloom.part_of_day('order_hour') }} as part_of_day,
        case
            when extract(day from order_date) <= 10 then 'beginning'
            when extract(day from order_date) <= 20 then 'middle'
            else 'end'
        end as part_of_month
    from {{ ref('int_orders') }}
    where
        person_id is not null
        and {{ tagloom.in_last_days('order_date', 365) }}
),

per_person as (
    select
        person_id,
        count(*) as orders,
        count(case when iso_weekday >= 6 then 1 end) as weekend_orders,
        count(case when part_of_month = 'beginning' then 1 end) as orders_at_beginning,
        count(case when part_of_month = 'middle' then 1 end) as orders_at_middle,
        count(case when part_of_month = 'end' then 1 end) as orders_at_end
    from orders
    group by person_id
),

weekdays as (
    select
        person_id,
        iso_weekday,
        row_number() over (
            partition by person_id order by count(*) desc, max(ordered_at) desc, iso_weekday asc
        ) as place
    from orders
    group by person_id, iso_weekday
),

parts_of_day as (
    select
        person_id,
        part_of_day,
        row_number() over (
            partition by person_id order by count(*) desc, max(ordered_at) desc, part_of_day asc
        ) as place
    from orders
    group by person_id, part_of_day
),

hours as (
    select
        person_id,
        order_hour,
        row_number() over (
            partition by person_id order by count(*) desc, max(ordered_at) desc, order_hour asc
        ) as place
    from orders
    group by person_id, order_hour
),

tagged as (
    -- a habit needs three orders to show
    select
        per_person.person_id,
        {{ tagloom.weekday_name('weekdays.iso_weekday') }} as usual_weekday,
        parts_of_day.part_of_day as usual_part_of_day,
        cast(hours.order_hour as integer) as usual_hour,
        case
            when per_person.orders_at_beginning * 2 > per_person.orders then 'beginning'
            when per_person.orders_at_middle * 2 > per_person.orders then 'middle'
            when per_person.orders_at_end * 2 > per_person.orders then 'end'
        end as usual_part_of_month,
        {{ tagloom.share_index('per_person.weekend_orders', 'per_person.orders') }}
            as weekend_order_share,
        per_person.weekend_orders * 2 >= per_person.orders as is_weekend_shopper
    from per_person
    inner join weekdays on per_person.person_id = weekdays.person_id and weekdays.place = 1
    inner join parts_of_day
        on per_person.person_id = parts_of_day.person_id and parts_of_day.place = 1
    inner join hours on per_person.person_id = hours.person_id and hours.place = 1
    where per_person.orders >= 3
)

select * from tagged
