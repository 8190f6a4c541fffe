with observations as (
    select
        record_hash,
        identifier_type,
        identifier_hash,
        is_blocked,
        first_seen_at,
        last_seen_at,
        records
    from {{ ref('identity_observations') }}
),

registry as (
    select
        identifier_key,
        identifier_type,
        identifier_hash
    from {{ ref('identity_registry') }}
),

policy as (
    select
        identifier_type,
        counted_owner,
        max_owners
    from {{ ref('identity_policy') }}
),

counted_owners as (
    select
        identifiers.identifier_type,
        identifiers.identifier_hash,
        count(distinct owners.identifier_hash) as owners
    from observations as identifiers
    inner join policy
        on identifiers.identifier_type = policy.identifier_type
    inner join observations as owners
        on
            identifiers.record_hash = owners.record_hash
            and policy.counted_owner = owners.identifier_type
    group by identifiers.identifier_type, identifiers.identifier_hash
),

sightings as (
    select
        identifier_type,
        identifier_hash,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        sum(records) as records,
        max(case when is_blocked then 1 else 0 end) as blocked
    from observations
    group by identifier_type, identifier_hash
),

judged_identifiers as (
    select
        registry.identifier_key,
        sightings.identifier_type,
        sightings.identifier_hash,
        sightings.first_seen_at,
        sightings.last_seen_at,
        cast(sightings.records as bigint) as records,
        cast(coalesce(counted_owners.owners, 0) as integer) as owners,
        case
            when sightings.blocked = 1 then 'blocked value'
            when counted_owners.owners > policy.max_owners then 'shared identifier'
        end as rejected_because
    from sightings
    inner join registry
        on
            sightings.identifier_type = registry.identifier_type
            and sightings.identifier_hash = registry.identifier_hash
    inner join policy
        on sightings.identifier_type = policy.identifier_type
    left join counted_owners
        on
            sightings.identifier_type = counted_owners.identifier_type
            and sightings.identifier_hash = counted_owners.identifier_hash
)

select * from judged_identifiers
