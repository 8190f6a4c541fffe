with orders as (
    select
        *,
        case when {{ tagloom.iso_weekday('order_date') }} >= 6 then 1 else 0 end as is_weekend
    from {{ ref('int_orders') }}
    where
        person_id is not null
        and store_id is not null
        and {{ tagloom.in_last_days('order_date', 365) }}
),

stores as (
    select
        person_id,
        store_id,
        count(*) as orders,
        count(case when is_weekend = 0 then 1 end) as weekday_orders,
        count(case when is_weekend = 1 then 1 end) as weekend_orders,
        {{ tagloom.count_in_last_days('order_date', 90) }} as orders_90d,
        max(ordered_at) as last_ordered_at
    from orders
    group by person_id, store_id
),

ranked as (
    select
        *,
        orders - orders_90d as earlier_orders,
        row_number() over (partition by person_id order by last_ordered_at desc, store_id asc)
            as place_by_time,
        row_number() over (
            partition by person_id order by weekday_orders desc, last_ordered_at desc, store_id asc
        ) as place_on_weekdays,
        row_number() over (
            partition by person_id order by weekend_orders desc, last_ordered_at desc, store_id asc
        ) as place_at_weekends,
        row_number() over (
            partition by person_id order by orders_90d desc, last_ordered_at desc, store_id asc
        ) as place_lately,
        row_number() over (
            partition by person_id order by orders - orders_90d desc, last_ordered_at desc, store_id asc
        ) as place_earlier
    from stores
),

per_person as (
    select
        person_id,
        sum(orders) as orders,
        max(orders) as orders_in_one_store,
        max(case when place_by_time = 1 then store_id end) as last_store_id,
        max(case when place_on_weekdays = 1 then store_id end) as weekday_store_id,
        max(case when place_at_weekends = 1 then store_id end) as weekend_store_id,
        max(case when place_lately = 1 then store_id end) as store_id_lately,
        max(case when place_earlier = 1 then store_id end) as store_id_earlier,
        max(weekday_orders) * 2 > sum(weekday_orders) and sum(weekday_orders) >= 3
            as is_clear_on_weekdays,
        max(weekend_orders) * 2 > sum(weekend_orders) and sum(weekend_orders) >= 3
            as is_clear_at_weekends,
        max(orders_90d) * 2 > sum(orders_90d) and sum(orders_90d) >= 3 as is_clear_lately,
        max(earlier_orders) * 2 > sum(earlier_orders) and sum(earlier_orders) >= 3 as is_clear_earlier
    from ranked
    group by person_id
),

tagged as (
    -- three orders and a clear store on either side, or one errand in another town would count as a move
    select
        person_id,
        last_store_id,
        case
            when orders < 3 then null
            when orders_in_one_store * 10 >= orders * 9 then 'one store'
            when orders_in_one_store * 10 >= orders * 6 then 'home store and others'
            else 'no home store'
        end as store_pattern,
        is_clear_lately and is_clear_earlier and store_id_lately <> store_id_earlier
            as has_changed_store,
        is_clear_on_weekdays and is_clear_at_weekends and weekday_store_id <> weekend_store_id
            as has_weekend_store
    from per_person
)

select * from tagged
