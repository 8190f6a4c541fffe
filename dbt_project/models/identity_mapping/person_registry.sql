{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='person_id',
    full_refresh=false,
    on_schema_change='fail'
) }}

with identity_map as (
    select
        identifier_key,
        person_id
    from {{ ref('identity_map') }}
),

run as ({{ tagloom.run_of_identity() }}),

previous_map as ({{ tagloom.previous_identity_map() }}),

registered_persons as (
    select
        person_id,
        anchor_key,
        registered_date
    from {{ tagloom.previous_person_registry() }}
),

living_persons as (
    select distinct person_id
    from identity_map
),

-- Who was merged away keeps the anchor that he had at last.
identifiers_of_persons as (
    select
        identifier_key,
        person_id
    from identity_map
    union all
    select
        previous_map.identifier_key,
        previous_map.person_id
    from previous_map
    left join living_persons
        on previous_map.person_id = living_persons.person_id
    where living_persons.person_id is null
),

anchors as (
    select
        person_id,
        identifier_key as anchor_key
    from (
        select
            identifiers_of_persons.person_id,
            identifiers_of_persons.identifier_key,
            row_number() over (
                partition by identifiers_of_persons.person_id
                order by coalesce(policy.strength, 0) desc, identifiers_of_persons.identifier_key asc
            ) as anchor_rank
        from identifiers_of_persons
        left join {{ ref('identity_registry') }} as registry
            on identifiers_of_persons.identifier_key = registry.identifier_key
        left join {{ ref('identity_policy') }} as policy
            on registry.identifier_type = policy.identifier_type
    ) as ranked_identifiers
    where anchor_rank = 1
),

new_and_renewed_persons as (
    select
        anchors.person_id,
        anchors.anchor_key,
        coalesce(registered_persons.registered_date, {{ tagloom.as_of_date() }}) as registered_date
    from anchors
    cross join run
    left join registered_persons
        on anchors.person_id = registered_persons.person_id
    where
        not run.is_past
        and (registered_persons.person_id is null or anchors.anchor_key <> registered_persons.anchor_key)
)

select * from new_and_renewed_persons
