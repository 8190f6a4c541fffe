-- How many identifiers of a type a person may have; only a link that somebody made by hand may go beyond it.
with persons_linked_by_hand as (
    select distinct identity_map.person_id
    from {{ ref('identity_edges') }} as edges
    inner join {{ ref('identity_map') }} as identity_map
        on edges.left_key = identity_map.identifier_key
    where
        edges.kind = 'manual'
        and edges.rejected_because is null
)

select
    identity_map.person_id,
    identity_map.identifier_type,
    count(*) as identifiers
from {{ ref('identity_map') }} as identity_map
inner join {{ ref('identity_policy') }} as policy
    on identity_map.identifier_type = policy.identifier_type
left join persons_linked_by_hand
    on identity_map.person_id = persons_linked_by_hand.person_id
where
    policy.per_person is not null
    and persons_linked_by_hand.person_id is null
group by identity_map.person_id, identity_map.identifier_type
having count(*) > max(policy.per_person)
