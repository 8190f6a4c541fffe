{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook='{{ tagloom.forget_unfinished_run() }}',
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

persons_now as (
    select
        person_id,
        count(*) as identifiers
    from identity_map
    group by person_id
),

persons_before as (
    select
        person_id,
        count(*) as identifiers
    from previous_map
    group by person_id
),

persons_ever as (
    select distinct person_id
    from {{ tagloom.previous_identity_map_history() }}
),

moved_identifiers as (
    select
        identity_map.identifier_key,
        previous_map.person_id as from_person_id,
        identity_map.person_id as to_person_id
    from identity_map
    inner join previous_map
        on identity_map.identifier_key = previous_map.identifier_key
    where identity_map.person_id <> previous_map.person_id
),

moves as (
    select
        moved_identifiers.from_person_id,
        moved_identifiers.to_person_id,
        count(*) as identifiers,
        max(case when moved_identifiers.identifier_key = registry.anchor_key then 1 else 0 end) as has_anchor
    from moved_identifiers
    inner join {{ ref('person_registry') }} as registry
        on moved_identifiers.from_person_id = registry.person_id
    group by moved_identifiers.from_person_id, moved_identifiers.to_person_id
),

arrived_persons as (
    select
        persons_now.person_id,
        persons_now.identifiers,
        persons_ever.person_id is not null as lived_before
    from persons_now
    left join persons_before
        on persons_now.person_id = persons_before.person_id
    left join persons_ever
        on persons_now.person_id = persons_ever.person_id
    where persons_before.person_id is null
),

gone_persons as (
    select
        persons_before.person_id,
        persons_before.identifiers
    from persons_before
    left join persons_now
        on persons_before.person_id = persons_now.person_id
    where persons_now.person_id is null
),

judged_moves as (
    select
        moves.from_person_id,
        moves.to_person_id,
        moves.identifiers,
        arrived_persons.person_id is not null and row_number() over (
            partition by moves.to_person_id
            order by moves.identifiers desc, moves.from_person_id asc
        ) = 1 as is_split,
        gone_persons.person_id is not null and row_number() over (
            partition by moves.from_person_id
            order by moves.has_anchor desc, moves.identifiers desc, moves.to_person_id asc
        ) = 1 as is_merge
    from moves
    left join arrived_persons
        on moves.to_person_id = arrived_persons.person_id
    left join gone_persons
        on moves.from_person_id = gone_persons.person_id
),

changes_with_identifiers as (
    select
        case when is_split then 'split' when is_merge then 'merge' else 'reassign' end as kind,
        to_person_id as person_id,
        from_person_id as other_person_id,
        identifiers
    from judged_moves
),

changes_without as (
    select
        case when arrived_persons.lived_before then 'revive' else 'create' end as kind,
        arrived_persons.person_id,
        arrived_persons.identifiers
    from arrived_persons
    left join moves
        on arrived_persons.person_id = moves.to_person_id
    where moves.to_person_id is null
    union all
    select
        'retire' as kind,
        gone_persons.person_id,
        gone_persons.identifiers
    from gone_persons
    left join moves
        on gone_persons.person_id = moves.from_person_id
    where moves.from_person_id is null
),

edges as (
    select
        edges.left_key,
        edges.right_key,
        edges.kind,
        edges.strength,
        edges.last_seen_at,
        rejected_edges.rejected_because
    from {{ ref('identity_edges') }} as edges
    left join {{ ref('identity_rejected_edges') }} as rejected_edges
        on
            edges.left_key = rejected_edges.left_key
            and edges.right_key = rejected_edges.right_key
),

edges_of_moved_identifiers as (
    select
        edges.*,
        moved_identifiers.from_person_id,
        moved_identifiers.to_person_id,
        edges.right_key as other_key
    from edges
    inner join moved_identifiers
        on edges.left_key = moved_identifiers.identifier_key
    union all
    select
        edges.*,
        moved_identifiers.from_person_id,
        moved_identifiers.to_person_id,
        edges.left_key as other_key
    from edges
    inner join moved_identifiers
        on edges.right_key = moved_identifiers.identifier_key
),

-- What joins is an accepted edge to somebody else's identifier, what parts is a rejected one to the person left behind.
possible_causes as (
    select
        edges.from_person_id,
        edges.to_person_id,
        edges.left_key,
        edges.right_key,
        edges.strength,
        edges.last_seen_at,
        edges.rejected_because,
        case
            when edges.rejected_because is not null then edges.rejected_because
            when edges.kind = 'manual' then 'manual link'
            when edges.kind = 'probabilistic' then 'probable match'
            else 'seen together'
        end as because,
        case
            when edges.rejected_because is null and previous_map.person_id = edges.to_person_id then 0
            when edges.rejected_because is not null and identity_map.person_id = edges.from_person_id then 0
            else 1
        end as distance
    from edges_of_moved_identifiers as edges
    left join identity_map
        on edges.other_key = identity_map.identifier_key
    left join previous_map
        on edges.other_key = previous_map.identifier_key
    where
        (
            edges.rejected_because is null
            and identity_map.person_id = edges.to_person_id
            and coalesce(previous_map.person_id, 0) <> edges.from_person_id
        )
        or (
            edges.rejected_because is not null
            and previous_map.person_id = edges.from_person_id
            and coalesce(identity_map.person_id, 0) <> edges.to_person_id
        )
),

ranked_causes as (
    select
        changes.kind,
        changes.person_id,
        changes.other_person_id,
        changes.identifiers,
        causes.left_key,
        causes.right_key,
        coalesce(
            causes.because, case when changes.kind = 'merge' then 'seen together' else 'no longer observed' end
        ) as because,
        row_number() over (
            partition by changes.person_id, changes.other_person_id
            order by
                case when causes.rejected_because is null then 0 else 1 end asc,
                causes.distance asc,
                causes.strength desc,
                causes.last_seen_at desc nulls last,
                causes.left_key asc,
                causes.right_key asc
        ) as cause_rank
    from changes_with_identifiers as changes
    left join possible_causes as causes
        on
            changes.person_id = causes.to_person_id
            and changes.other_person_id = causes.from_person_id
            and (changes.kind <> 'split' or causes.rejected_because is not null)
),

changes as (
    select
        kind,
        person_id,
        other_person_id,
        identifiers,
        left_key,
        right_key,
        because
    from ranked_causes
    where cause_rank = 1
    union all
    select
        kind,
        person_id,
        cast(null as bigint) as other_person_id,
        identifiers,
        cast(null as bigint) as left_key,
        cast(null as bigint) as right_key,
        case kind
            when 'create' then 'first seen'
            when 'revive' then 'seen again'
            else 'no identifier left'
        end as because
    from changes_without
),

changes_of_run as (
    select
        run.run_number,
        {{ tagloom.as_of_date() }} as as_of_date,
        changes.kind,
        changes.person_id,
        changes.other_person_id,
        cast(changes.identifiers as integer) as identifiers,
        changes.left_key,
        changes.right_key,
        changes.because
    from changes
    cross join run
    where not run.is_past
)

select * from changes_of_run
