-- Visits to a store span all its sightings up to as_of_date, and each device seen there has one.
with seen as (
    select
        store_id,
        min(seen_at) as first_seen_at,
        max(seen_at) as last_seen_at,
        count(distinct device_mac) as devices
    from {{ ref('stg_wifi__sightings') }}
    where {{ tagloom.known_by_as_of_date(tagloom.local_date('seen_at')) }}
    group by store_id
),

visited as (
    select
        store_id,
        min(started_at) as first_seen_at,
        max(ended_at) as last_seen_at,
        count(*) as visits
    from {{ ref('int_store_visits') }}
    group by store_id
)

select
    seen.store_id,
    seen.first_seen_at,
    visited.first_seen_at as first_visit_at,
    seen.last_seen_at,
    visited.last_seen_at as last_visit_at,
    seen.devices,
    visited.visits
from seen
left join visited
    on seen.store_id = visited.store_id
where
    visited.store_id is null
    or seen.first_seen_at <> visited.first_seen_at
    or seen.last_seen_at <> visited.last_seen_at
    or seen.devices > visited.visits
