-- Every customer that a list names by as_of_date is kept once per list, however often and in whatever spelling.
with delivered as (
    select distinct
        identifier_type,
        coalesce(card_number, customer_number, email, phone) as identifier,
        list_name
    from {{ ref('stg_lists__entries') }}
    where
        coalesce(card_number, customer_number, email, phone) is not null
        and {{ tagloom.known_by_as_of_date('set_on') }}
),

counted as (
    select count(*) as entries from delivered
),

kept as (
    select count(*) as entries from {{ ref('int_listed_tags') }}
)

select
    counted.entries as delivered_entries,
    kept.entries as kept_entries
from counted
cross join kept
where counted.entries <> kept.entries
