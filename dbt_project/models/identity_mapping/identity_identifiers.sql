with observations as (
    select
        observations.record_hash,
        observations.identifier_type,
        observations.is_blocked,
        observations.first_seen_at,
        observations.last_seen_at,
        observations.records,
        registry.identifier_key,
        registry.identifier_hash
    from {{ ref('identity_observations') }} as observations
    inner join {{ ref('identity_registry') }} as registry
        on
            observations.identifier_type = registry.identifier_type
            and observations.identifier_hash = registry.identifier_hash
),

policy as (
    select
        identifier_type,
        counted_owner,
        max_owners,
        owner_window_days,
        shared_goes_to,
        dominance
    from {{ ref('identity_policy') }}
),

decisions as (
    select
        decisions.kind,
        left_registry.identifier_key as left_key,
        right_registry.identifier_key as right_key
    from {{ ref('stg_operations__identity_decisions') }} as decisions
    inner join {{ ref('identity_registry') }} as left_registry
        on
            decisions.left_type = left_registry.identifier_type
            and decisions.left_hash = left_registry.identifier_hash
    left join {{ ref('identity_registry') }} as right_registry
        on
            decisions.right_type = right_registry.identifier_type
            and decisions.right_hash = right_registry.identifier_hash
),

blocked_by_hand as (
    select distinct left_key as identifier_key
    from decisions
    where kind = 'block'
),

owners_named_by_hand as (
    select
        identifier_key,
        min(owner_key) as owner_key
    from (
        select
            left_key as identifier_key,
            right_key as owner_key
        from decisions
        where kind = 'link'
        union all
        select
            right_key as identifier_key,
            left_key as owner_key
        from decisions
        where kind = 'link'
    ) as links
    where owner_key is not null
    group by identifier_key
),

sightings as (
    select
        observations.identifier_key,
        observations.identifier_type,
        observations.identifier_hash,
        min(observations.first_seen_at) as first_seen_at,
        max(observations.last_seen_at) as last_seen_at,
        sum(observations.records) as records,
        max(
            case when observations.is_blocked or blocked_by_hand.identifier_key is not null then 1 else 0 end
        ) as blocked
    from observations
    left join blocked_by_hand
        on observations.identifier_key = blocked_by_hand.identifier_key
    group by observations.identifier_key, observations.identifier_type, observations.identifier_hash
),

owner_times as (
    select
        identifiers.identifier_key,
        owners.identifier_key as owner_key,
        owners.identifier_hash as owner_hash,
        policy.owner_window_days,
        sum(identifiers.records) as records,
        min(identifiers.first_seen_at) as first_seen_at,
        max(identifiers.last_seen_at) as last_seen_at,
        max(case when identifiers.first_seen_at is null then 1 else 0 end) as is_timeless
    from observations as identifiers
    inner join policy
        on identifiers.identifier_type = policy.identifier_type
    inner join observations as owners
        on
            identifiers.record_hash = owners.record_hash
            and policy.counted_owner = owners.identifier_type
    inner join sightings as owners_sightings
        on
            owners.identifier_key = owners_sightings.identifier_key
            and owners_sightings.blocked = 0
    group by identifiers.identifier_key, owners.identifier_key, owners.identifier_hash, policy.owner_window_days
),

owners_in_order as (
    -- the order is by hash and not by key, so that it does not depend on who arrived first
    select
        owner_times.*,
        max(owner_times.last_seen_at) over (
            partition by owner_times.identifier_key
            order by owner_times.first_seen_at, owner_times.owner_hash
            rows between unbounded preceding and 1 preceding
        ) as others_seen_until,
        max(owner_times.is_timeless) over (partition by owner_times.identifier_key) as has_timeless_owner
    from owner_times
),

owners_in_turn as (
    -- owners seen further apart than the window had the identifier one after the other
    select
        owners_in_order.*,
        sum(
            case
                when
                    owners_in_order.has_timeless_owner = 0
                    and {{ tagloom.days_between(
                        'cast(others_seen_until as date)', 'cast(first_seen_at as date)'
                    ) }} > owners_in_order.owner_window_days
                    then 1
                else 0
            end
        ) over (
            partition by owners_in_order.identifier_key
            order by owners_in_order.first_seen_at, owners_in_order.owner_hash
            rows between unbounded preceding and current row
        ) as turn
    from owners_in_order
),

owners_ranked as (
    select
        owners_in_turn.*,
        row_number() over (
            partition by owners_in_turn.identifier_key, owners_in_turn.turn
            order by owners_in_turn.records desc, owners_in_turn.owner_hash asc
        ) as rank_by_records,
        row_number() over (
            partition by owners_in_turn.identifier_key, owners_in_turn.turn
            order by owners_in_turn.first_seen_at desc, owners_in_turn.owner_hash desc
        ) as rank_by_newness,
        max(owners_in_turn.turn) over (partition by owners_in_turn.identifier_key) as last_turn
    from owners_in_turn
),

present_owners as (
    select
        identifier_key,
        cast(count(*) as integer) as owners,
        case when max(turn) > 0 then min(first_seen_at) end as owned_since,
        max(case when rank_by_records = 1 then owner_key end) as most_seen_key,
        max(case when rank_by_records = 1 then records end) as most_records,
        max(case when rank_by_records = 2 then records end) as next_records,
        max(
            case
                when rank_by_newness = 1 and has_timeless_owner = 0 and first_seen_at > others_seen_until
                    then first_seen_at
            end
        ) as newest_alone_since
    from owners_ranked
    where turn = last_turn
    group by identifier_key
),

judged_by_type as (
    select
        sightings.identifier_key,
        sightings.identifier_type,
        sightings.identifier_hash,
        sightings.first_seen_at,
        sightings.last_seen_at,
        sightings.records,
        sightings.blocked,
        owners_named_by_hand.owner_key as owner_named_by_hand,
        policy.shared_goes_to,
        present_owners.most_seen_key,
        present_owners.owned_since,
        present_owners.newest_alone_since,
        coalesce(present_owners.owners, 0) as owners,
        coalesce(present_owners.owners > policy.max_owners, false) as is_shared,
        coalesce(present_owners.most_records >= policy.dominance * present_owners.next_records, false) as is_dominated
    from sightings
    inner join policy
        on sightings.identifier_type = policy.identifier_type
    left join present_owners
        on sightings.identifier_key = present_owners.identifier_key
    left join owners_named_by_hand
        on sightings.identifier_key = owners_named_by_hand.identifier_key
),

judged as (
    select
        judged_by_type.*,
        case
            when judged_by_type.blocked = 1 then 'blocked value'
            when not judged_by_type.is_shared then null
            when judged_by_type.shared_goes_to = 'dominant' and judged_by_type.is_dominated then null
            when judged_by_type.shared_goes_to = 'latest' and judged_by_type.newest_alone_since is not null then null
            else 'shared identifier'
        end as verdict
    from judged_by_type
),

judged_identifiers as (
    select
        identifier_key,
        identifier_type,
        identifier_hash,
        first_seen_at,
        last_seen_at,
        cast(records as bigint) as records,
        owners,
        case
            when verdict is not null then owner_named_by_hand
            when is_shared and shared_goes_to = 'dominant' then most_seen_key
        end as dominant_owner_key,
        cast(
            case
                when is_shared and shared_goes_to = 'latest' then coalesce(newest_alone_since, owned_since)
                else owned_since
            end as timestamp
        ) as owned_since,
        case when owner_named_by_hand is null then verdict end as rejected_because
    from judged
)

select * from judged_identifiers
