with orders as (
    select
        person_id,
        order_id,
        order_date,
        ordered_at,
        sales_amount,
        case
            when lines = 1 and fuel_amount > 0 then 'fuel stop'
            when lines >= 20 then 'stock-up'
            when lines >= 6 then 'top-up'
            else 'quick trip'
        end as mission
    from {{ ref('int_orders') }}
    where
        person_id is not null
        and {{ tagloom.in_last_days('order_date', 365) }}
),

missions as (
    select
        person_id,
        mission,
        row_number() over (
            partition by person_id order by count(*) desc, max(ordered_at) desc, mission asc
        ) as place,
        sum(count(*)) over (partition by person_id) as orders
    from orders
    group by person_id, mission
),

latest as (
    select
        person_id,
        sales_amount,
        row_number() over (partition by person_id order by ordered_at desc, order_id desc) as place
    from orders
),

per_person as (
    select
        person_id,
        {{ tagloom.count_in_last_days('order_date', 365, "mission = 'stock-up'") }} as stock_up_trips_365d
    from orders
    group by person_id
),

tagged as (
    -- a usual trip needs three orders to show
    select
        per_person.person_id,
        case when missions.orders >= 3 then missions.mission end as usual_mission,
        per_person.stock_up_trips_365d,
        cast(latest.sales_amount as decimal(14, 2)) as last_order_amount
    from per_person
    inner join missions on per_person.person_id = missions.person_id and missions.place = 1
    inner join latest on per_person.person_id = latest.person_id and latest.place = 1
)

select * from tagged
