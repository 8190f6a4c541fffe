-- Each identifier has one current person, and it is the same in the map and in the history.
with last_change as (
    select max(coalesce(valid_to, valid_from)) as changed_on
    from {{ ref('identity_map_history') }}
),

open_rows as (
    select
        identifier_key,
        count(*) as open_rows,
        max(person_id) as person_id
    from {{ ref('identity_map_history') }}
    where valid_to is null
    group by identifier_key
)

select
    identity_map.identifier_key,
    open_rows.identifier_key as identifier_key_of_history
from {{ ref('identity_map') }} as identity_map
full outer join open_rows
    on
        identity_map.identifier_key = open_rows.identifier_key
        and identity_map.person_id = open_rows.person_id
cross join last_change
where
    last_change.changed_on <= {{ tagloom.as_of_date() }}
    and (
        identity_map.identifier_key is null
        or open_rows.identifier_key is null
        or open_rows.open_rows > 1
    )
