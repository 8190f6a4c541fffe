with suspects as (
    select * from {{ ref('identity_suspects') }}
),

identifiers as (
    select
        identifier_key,
        identifier_type,
        identifier_hash
    from {{ ref('identity_identifiers') }}
),

identity_map as (
    select
        identifier_key,
        person_id
    from {{ ref('identity_map') }}
),

policy as (
    select
        identifier_type,
        title
    from {{ ref('identity_policy') }}
),

suspects_with_both_ends as (
    select
        suspects.identifier_hash as identifier_key,
        suspects.identifier_type,
        concat(
            coalesce(policy.title, suspects.identifier_type), ' ',
            substr(suspects.identifier_hash, 1, 8), '…'
        ) as label,
        identity_map.person_id,
        suspects.persons,
        suspects.records,
        suspects.proposal,
        suspects.because,
        suspects.urgency,
        left_ends.identifier_type as left_type,
        left_ends.identifier_hash as left_key,
        right_ends.identifier_type as right_type,
        right_ends.identifier_hash as right_key
    from suspects
    left join identity_map
        on suspects.identifier_key = identity_map.identifier_key
    left join policy
        on suspects.identifier_type = policy.identifier_type
    left join identifiers as left_ends
        on suspects.left_key = left_ends.identifier_key
    left join identifiers as right_ends
        on suspects.right_key = right_ends.identifier_key
)

select * from suspects_with_both_ends
