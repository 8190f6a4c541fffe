with identity_map as (
    select
        identifier_key,
        person_id
    from {{ ref('identity_map') }}
),

living_persons as (
    select distinct person_id
    from identity_map
),

last_days as (
    select
        person_id,
        max(valid_to) as last_day
    from {{ ref('identity_map_history') }}
    where valid_to <= {{ tagloom.as_of_date() }}
    group by person_id
),

redirects as (
    select
        registry.person_id,
        identity_map.person_id as survivor_id,
        coalesce(last_days.last_day, registry.registered_date) as since
    from {{ ref('person_registry') }} as registry
    left join living_persons
        on registry.person_id = living_persons.person_id
    left join identity_map
        on registry.anchor_key = identity_map.identifier_key
    left join last_days
        on registry.person_id = last_days.person_id
    where
        living_persons.person_id is null
        and registry.registered_date <= {{ tagloom.as_of_date() }}
)

select * from redirects
