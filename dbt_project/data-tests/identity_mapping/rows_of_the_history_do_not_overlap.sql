-- On no day has an identifier two persons.
select
    one.identifier_key,
    one.run_number,
    other.run_number as other_run_number
from {{ ref('identity_map_history') }} as one
inner join {{ ref('identity_map_history') }} as other
    on
        one.identifier_key = other.identifier_key
        and one.run_number < other.run_number
where
    one.valid_to is null
    or one.valid_to > other.valid_from
