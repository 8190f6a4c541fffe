-- The open rows of the history are the members of the newest day built; a build of a past day shows other members.
with open_rows as (
    select
        household_id,
        person_id
    from {{ ref('household_history') }}
    where valid_to is null
),

newest as (
    select max(greatest(valid_from, coalesce(valid_to, valid_from))) as changed_on
    from {{ ref('household_history') }}
)

select
    members.person_id,
    open_rows.person_id as person_of_history
from {{ ref('household_members') }} as members
full outer join open_rows
    on
        members.household_id = open_rows.household_id
        and members.person_id = open_rows.person_id
cross join newest
where
    (members.person_id is null or open_rows.person_id is null)
    and newest.changed_on <= {{ tagloom.as_of_date() }}
