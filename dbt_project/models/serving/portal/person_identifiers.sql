with identity_map as (
    select
        identifier_key,
        identifier_type,
        identifier_hash,
        person_id
    from {{ ref('identity_map') }}
),

identifiers as (
    select
        identifier_key,
        first_seen_at,
        last_seen_at
    from {{ ref('identity_identifiers') }}
),

policy as (
    select
        identifier_type,
        title
    from {{ ref('identity_policy') }}
),

identifiers_of_persons as (
    select
        identity_map.identifier_hash as identifier_key,
        identity_map.identifier_type,
        identity_map.person_id,
        identifiers.first_seen_at as first_seen,
        identifiers.last_seen_at as last_seen,
        concat(
            coalesce(policy.title, identity_map.identifier_type), ' ',
            substr(identity_map.identifier_hash, 1, 8), '…'
        ) as label
    from identity_map
    left join identifiers
        on identity_map.identifier_key = identifiers.identifier_key
    left join policy
        on identity_map.identifier_type = policy.identifier_type
)

select * from identifiers_of_persons
