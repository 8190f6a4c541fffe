-- What somebody has forbidden holds, unless somebody has linked the same two later.
with decisions as (
    select
        decisions.kind,
        row_number() over (
            partition by
                least(left_map.identifier_key, right_map.identifier_key),
                greatest(left_map.identifier_key, right_map.identifier_key)
            order by decisions.decision_id desc
        ) as age,
        left_map.identifier_key as left_key,
        right_map.identifier_key as right_key,
        left_map.person_id as left_person_id,
        right_map.person_id as right_person_id
    from {{ ref('stg_operations__identity_decisions') }} as decisions
    inner join {{ ref('identity_map') }} as left_map
        on
            decisions.left_type = left_map.identifier_type
            and decisions.left_hash = left_map.identifier_hash
    inner join {{ ref('identity_map') }} as right_map
        on
            decisions.right_type = right_map.identifier_type
            and decisions.right_hash = right_map.identifier_hash
    where decisions.kind in ('link', 'never_link')
)

select
    left_key,
    right_key
from decisions
where
    age = 1
    and kind = 'never_link'
    and left_key <> right_key
    and left_person_id = right_person_id
