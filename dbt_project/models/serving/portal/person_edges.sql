with identifiers as (
    select
        identifiers.identifier_key,
        identifiers.identifier_type,
        identifiers.identifier_hash,
        identity_map.person_id
    from {{ ref('identity_identifiers') }} as identifiers
    left join {{ ref('identity_map') }} as identity_map
        on identifiers.identifier_key = identity_map.identifier_key
),

observations as (
    select
        observations.record_hash,
        observations.source,
        identifiers.identifier_key
    from {{ ref('identity_observations') }} as observations
    inner join identifiers
        on
            observations.identifier_type = identifiers.identifier_type
            and observations.identifier_hash = identifiers.identifier_hash
),

sources_of_pairs as (
    select distinct
        observations.identifier_key as left_key,
        others.identifier_key as right_key,
        observations.source
    from observations
    inner join observations as others
        on
            observations.record_hash = others.record_hash
            and observations.source = others.source
            and observations.identifier_key < others.identifier_key
),

sources_per_pair as (
    select
        left_key,
        right_key,
        {{ tagloom.text_list('source', 'source') }} as source
    from sources_of_pairs
    group by left_key, right_key
),

rejected_edges as (
    select
        left_key,
        right_key,
        max(rejected_because) as rejected_because
    from {{ ref('identity_rejected_edges') }}
    group by left_key, right_key
),

edges as (
    select
        left_ends.person_id as left_person_id,
        right_ends.person_id as right_person_id,
        left_ends.identifier_type as left_type,
        left_ends.identifier_hash as left_key,
        right_ends.identifier_type as right_type,
        right_ends.identifier_hash as right_key,
        sources_per_pair.source,
        edges.kind,
        edges.first_seen_at as first_seen,
        edges.last_seen_at as last_seen,
        edges.observations as count,
        edges.strength,
        edges.probability,
        coalesce(edges.rejected_because, rejected_edges.rejected_because) as rejected_because
    from {{ ref('identity_edges') }} as edges
    inner join identifiers as left_ends
        on edges.left_key = left_ends.identifier_key
    inner join identifiers as right_ends
        on edges.right_key = right_ends.identifier_key
    left join sources_per_pair
        on
            edges.left_key = sources_per_pair.left_key
            and edges.right_key = sources_per_pair.right_key
    left join rejected_edges
        on
            edges.left_key = rejected_edges.left_key
            and edges.right_key = rejected_edges.right_key
),

edges_of_persons as (
    select
        left_person_id as person_id,
        case when right_person_id <> left_person_id then right_person_id end as other_person_id,
        left_type,
        left_key,
        right_type,
        right_key,
        source,
        kind,
        first_seen,
        last_seen,
        count,
        strength,
        probability,
        rejected_because
    from edges
    where left_person_id is not null
    union all
    -- what holds two persons apart is shown with both
    select
        right_person_id as person_id,
        left_person_id as other_person_id,
        left_type,
        left_key,
        right_type,
        right_key,
        source,
        kind,
        first_seen,
        last_seen,
        count,
        strength,
        probability,
        rejected_because
    from edges
    where
        right_person_id is not null
        and (left_person_id is null or left_person_id <> right_person_id)
)

select * from edges_of_persons
