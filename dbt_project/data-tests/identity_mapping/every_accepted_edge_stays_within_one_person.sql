-- What the guards accept and the solver keeps is one person at both ends.
select
    edges.left_key,
    edges.right_key
from {{ ref('identity_edges') }} as edges
inner join {{ ref('identity_map') }} as left_map
    on edges.left_key = left_map.identifier_key
inner join {{ ref('identity_map') }} as right_map
    on edges.right_key = right_map.identifier_key
left join {{ ref('identity_rejected_edges') }} as rejected_edges
    on
        edges.left_key = rejected_edges.left_key
        and edges.right_key = rejected_edges.right_key
where
    rejected_edges.left_key is null
    and left_map.person_id <> right_map.person_id
