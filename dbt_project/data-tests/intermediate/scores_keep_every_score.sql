-- As many scores as were delivered up to as_of_date, whoever's card it was.
with delivered as (
    select count(*) as scores
    from {{ ref('stg_scores__scores') }}
    where {{ tagloom.known_by_as_of_date(tagloom.local_date('scored_at')) }}
),

kept as (
    select count(*) as scores
    from {{ ref('int_scores') }}
)

select
    delivered.scores as delivered_scores,
    kept.scores as kept_scores
from delivered
cross join kept
where delivered.scores <> kept.scores
