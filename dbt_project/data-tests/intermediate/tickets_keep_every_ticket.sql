-- As many tickets as came in up to as_of_date, whoever asked.
with delivered as (
    select count(*) as tickets
    from {{ ref('stg_support__tickets') }}
    where {{ tagloom.known_by_as_of_date(tagloom.local_date('opened_at')) }}
),

kept as (
    select count(*) as tickets
    from {{ ref('int_support_tickets') }}
)

select
    delivered.tickets as delivered_tickets,
    kept.tickets as kept_tickets
from delivered
cross join kept
where delivered.tickets <> kept.tickets
