-- A person keeps its number by its anchor, so everybody has one, of his own. A build of a past day registers nobody.
with last_change as (
    select max(coalesce(valid_to, valid_from)) as changed_on
    from {{ ref('identity_map_history') }}
)

select distinct identity_map.person_id
from {{ ref('identity_map') }} as identity_map
cross join last_change
left join {{ ref('person_registry') }} as registry
    on identity_map.person_id = registry.person_id
left join {{ ref('identity_map') }} as anchors
    on
        registry.anchor_key = anchors.identifier_key
        and registry.person_id = anchors.person_id
where
    last_change.changed_on <= {{ tagloom.as_of_date() }}
    and anchors.person_id is null
