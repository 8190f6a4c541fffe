with orders as (
    select *
    from {{ ref('int_orders') }}
    where
        person_id is not null
        and {{ tagloom.in_last_days('order_date', 365) }}
),

web_sessions as (
    select *
    from {{ ref('int_web_sessions') }}
    where
        person_id is not null
        and {{ tagloom.in_last_days('session_date', 365) }}
),

visitors as (
    select distinct person_id from web_sessions
),

moments as (
    select
        person_id,
        'visit' as moment,
        started_at as happened_at,
        has_purchase
    from web_sessions

    union all

    select
        orders.person_id,
        'order' as moment,
        orders.ordered_at as happened_at,
        false as has_purchase
    from orders
    inner join visitors on orders.person_id = visitors.person_id
),

moments_with_the_visit_before as (
    -- a visit that ended with a purchase in the web shop has had its order
    select
        *,
        max(case when moment = 'visit' and not has_purchase then happened_at end) over (
            partition by person_id
            order by happened_at asc, moment desc
            rows between unbounded preceding and current row
        ) as last_visit_at,
        max(case when moment = 'order' then happened_at end) over (
            partition by person_id
            order by happened_at asc, moment desc
            rows between unbounded preceding and 1 preceding
        ) as last_order_at
    from moments
),

per_person as (
    -- one visit leads to one order: the next
    select
        person_id,
        count(
            case
                when
                    moment = 'order'
                    and {{ tagloom.seconds_between('last_visit_at', 'happened_at') }} <= 3 * 24 * 60 * 60
                    and (last_order_at is null or last_order_at <= last_visit_at)
                    then 1
            end
        ) as orders_after_visit,
        count(case when moment = 'visit' and not has_purchase then 1 end) as visits
    from moments_with_the_visit_before
    group by person_id
),

tagged as (
    select
        person_id,
        cast(orders_after_visit as integer) as web_led_store_orders_365d,
        orders_after_visit >= 2 and orders_after_visit * 2 >= visits as is_web_to_store_shopper
    from per_person
)

select * from tagged
