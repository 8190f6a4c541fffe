-- The policy says which identifiers a person has only once.
select
    identity_map.person_id,
    identity_map.identifier_type,
    count(*) as identifiers
from {{ ref('identity_map') }} as identity_map
inner join {{ ref('identity_policy') }} as policy
    on identity_map.identifier_type = policy.identifier_type
where policy.is_unique
group by identity_map.person_id, identity_map.identifier_type
having count(*) > 1
