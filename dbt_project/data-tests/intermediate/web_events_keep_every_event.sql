-- As many events as were delivered up to as_of_date, whoever's account it was.
with delivered as (
    select count(*) as events
    from {{ ref('stg_web__events') }}
    where {{ tagloom.known_by_as_of_date(tagloom.local_date('occurred_at')) }}
),

kept as (
    select count(*) as events
    from {{ ref('int_web_events') }}
)

select
    delivered.events as delivered_events,
    kept.events as kept_events
from delivered
cross join kept
where delivered.events <> kept.events
