with observations as (
    select
        source,
        record_hash,
        identifier_type,
        identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from {{ ref('identity_observations') }}
),

identifiers as (
    select
        identifiers.identifier_key,
        identifiers.identifier_type,
        identifiers.identifier_hash,
        identifiers.rejected_because,
        policy.strength
    from {{ ref('identity_identifiers') }} as identifiers
    inner join {{ ref('identity_policy') }} as policy
        on identifiers.identifier_type = policy.identifier_type
),

keyed_observations as (
    select
        identifiers.identifier_key,
        identifiers.rejected_because,
        identifiers.strength,
        observations.source,
        observations.record_hash,
        observations.first_seen_at,
        observations.last_seen_at,
        observations.records
    from observations
    inner join identifiers
        on
            observations.identifier_type = identifiers.identifier_type
            and observations.identifier_hash = identifiers.identifier_hash
),

pairs_seen_together as (
    select
        one.identifier_key as left_key,
        other.identifier_key as right_key,
        cast(count(distinct one.source) as integer) as sources,
        cast(sum(one.records) as bigint) as observations,
        min(one.first_seen_at) as first_seen_at,
        max(one.last_seen_at) as last_seen_at,
        min(least(one.strength, other.strength)) as strength,
        min(coalesce(one.rejected_because, other.rejected_because)) as rejected_because
    from keyed_observations as one
    inner join keyed_observations as other
        on
            one.record_hash = other.record_hash
            and one.identifier_key < other.identifier_key
    group by one.identifier_key, other.identifier_key
)

select * from pairs_seen_together
