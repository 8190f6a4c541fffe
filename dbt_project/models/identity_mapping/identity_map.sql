with accepted_identifiers as (
    select
        identifiers.identifier_key,
        identifiers.identifier_type,
        identifiers.identifier_hash,
        components.component_key,
        policy.strength,
        policy.makes_person
    from {{ ref('identity_identifiers') }} as identifiers
    inner join {{ ref('identity_components') }} as components
        on identifiers.identifier_key = components.identifier_key
    inner join {{ ref('identity_policy') }} as policy
        on identifiers.identifier_type = policy.identifier_type
    where identifiers.rejected_because is null
),

components_of_somebody as (
    select distinct component_key
    from accepted_identifiers
    where makes_person
),

identifiers_of_somebody as (
    select
        accepted_identifiers.identifier_key,
        accepted_identifiers.identifier_type,
        accepted_identifiers.identifier_hash,
        accepted_identifiers.component_key,
        accepted_identifiers.strength
    from accepted_identifiers
    inner join components_of_somebody
        on accepted_identifiers.component_key = components_of_somebody.component_key
),

run as ({{ tagloom.run_of_identity() }}),

previous_map as ({{ tagloom.previous_identity_map() }}),

registered_persons as (
    select
        person_id,
        anchor_key
    from {{ tagloom.previous_person_registry() }}
),

-- An identifier that no component holds any more still may have been the strongest one its person had.
identifiers_of_living_persons as (
    select
        previous_map.person_id,
        previous_map.identifier_key,
        identifiers_of_somebody.component_key,
        coalesce(policy.strength, 0) as strength
    from previous_map
    left join identifiers_of_somebody
        on previous_map.identifier_key = identifiers_of_somebody.identifier_key
    left join {{ ref('identity_registry') }} as registry
        on previous_map.identifier_key = registry.identifier_key
    left join {{ ref('identity_policy') }} as policy
        on registry.identifier_type = policy.identifier_type
),

living_persons as (
    select distinct person_id
    from previous_map
),

components_with_a_living_persons_identifiers as (
    select
        person_id,
        component_key,
        sum(strength) as strength
    from identifiers_of_living_persons
    where component_key is not null
    group by person_id, component_key
),

anchors_of_living_persons as (
    select
        person_id,
        component_key
    from (
        select
            person_id,
            component_key,
            row_number() over (
                partition by person_id
                order by strength desc, identifier_key asc
            ) as anchor_rank
        from identifiers_of_living_persons
    ) as ranked_identifiers
    where anchor_rank = 1
),

-- A living person claims the component that holds its anchor, else the one with most of its identifiers.
claims_of_living_persons as (
    select
        person_id,
        component_key
    from (
        select
            components.person_id,
            components.component_key,
            row_number() over (
                partition by components.person_id
                order by
                    case when components.component_key = anchors.component_key then 0 else 1 end asc,
                    components.strength desc,
                    components.component_key asc
            ) as claim_rank
        from components_with_a_living_persons_identifiers as components
        inner join anchors_of_living_persons as anchors
            on components.person_id = anchors.person_id
    ) as ranked_components
    where claim_rank = 1
),

-- Somebody who was merged away comes back only with the anchor.
claims_of_retired_persons as (
    select
        registered_persons.person_id,
        identifiers_of_somebody.component_key
    from registered_persons
    inner join identifiers_of_somebody
        on registered_persons.anchor_key = identifiers_of_somebody.identifier_key
    left join living_persons
        on registered_persons.person_id = living_persons.person_id
    where living_persons.person_id is null
),

claims as (
    select
        person_id,
        component_key,
        0 as is_retired
    from claims_of_living_persons
    union all
    select
        person_id,
        component_key,
        1 as is_retired
    from claims_of_retired_persons
),

known_persons as (
    select
        component_key,
        person_id
    from (
        select
            component_key,
            person_id,
            row_number() over (
                partition by component_key
                order by is_retired asc, person_id asc
            ) as claim_rank
        from claims
    ) as ranked_claims
    where claim_rank = 1
),

last_person as (
    select coalesce(max(person_id), 0) as person_id
    from (
        select person_id from registered_persons
        union all
        select person_id from previous_map
    ) as persons_of_before
),

-- A build of a past day registers nobody, so who is new in it gets no number of the sequence.
new_persons as (
    select
        components_of_somebody.component_key,
        case
            when run.is_past then -components_of_somebody.component_key
            else last_person.person_id + row_number() over (order by components_of_somebody.component_key asc)
        end as person_id
    from components_of_somebody
    left join known_persons
        on components_of_somebody.component_key = known_persons.component_key
    cross join last_person
    cross join run
    where known_persons.component_key is null
),

persons as (
    select
        component_key,
        person_id
    from known_persons
    union all
    select
        component_key,
        person_id
    from new_persons
),

mapped_identifiers as (
    select
        identifiers_of_somebody.identifier_key,
        identifiers_of_somebody.identifier_type,
        identifiers_of_somebody.identifier_hash,
        cast(persons.person_id as bigint) as person_id
    from identifiers_of_somebody
    inner join persons
        on identifiers_of_somebody.component_key = persons.component_key
)

select * from mapped_identifiers
