with orders as (
    select *
    from {{ ref('int_orders') }}
    where person_id is not null
),

web_sessions as (
    select *
    from {{ ref('int_web_sessions') }}
    where person_id is not null
),

app_installations as (
    select *
    from {{ ref('int_app_installations') }}
    where person_id is not null
),

uses as (
    -- of the app only the last day of use is known
    select
        person_id,
        'store' as channel,
        count(*) as times
    from orders
    where {{ tagloom.in_last_days('order_date', 365) }}
    group by person_id

    union all

    select
        person_id,
        'web' as channel,
        count(*) as times
    from web_sessions
    where {{ tagloom.in_last_days('session_date', 365) }}
    group by person_id

    union all

    select
        person_id,
        'app' as channel,
        cast(null as bigint) as times
    from app_installations
    where {{ tagloom.in_last_days('last_active_date', 365) }}
    group by person_id
),

per_person as (
    select
        person_id,
        cast(count(*) as integer) as channels,
        coalesce(max(case when channel = 'store' then times end), 0) as store_orders,
        coalesce(max(case when channel = 'web' then times end), 0) as web_visits
    from uses
    group by person_id
),

tagged as (
    select
        person_id,
        channels as channels_used_365d,
        case
            when store_orders > 0 and store_orders >= web_visits then 'store'
            when web_visits > 0 then 'web'
        end as dominant_channel,
        channels >= 2 as is_multichannel
    from per_person
)

select * from tagged
