with accepted_identifiers as (
    select
        identifiers.identifier_key,
        identifiers.identifier_type,
        identifiers.identifier_hash,
        components.component_key as person_id,
        policy.makes_person
    from {{ ref('identity_identifiers') }} as identifiers
    inner join {{ ref('identity_components') }} as components
        on identifiers.identifier_key = components.identifier_key
    inner join {{ ref('identity_policy') }} as policy
        on identifiers.identifier_type = policy.identifier_type
    where identifiers.rejected_because is null
),

persons as (
    select distinct person_id
    from accepted_identifiers
    where makes_person
),

mapped_identifiers as (
    select
        accepted_identifiers.identifier_key,
        accepted_identifiers.identifier_type,
        accepted_identifiers.identifier_hash,
        accepted_identifiers.person_id
    from accepted_identifiers
    inner join persons
        on accepted_identifiers.person_id = persons.person_id
)

select * from mapped_identifiers
