with changes as (
    select * from {{ ref('identity_changes') }}
),

identifiers as (
    select
        identifier_key,
        identifier_type,
        identifier_hash
    from {{ ref('identity_identifiers') }}
),

changes_with_their_edge as (
    select
        changes.run_number,
        changes.as_of_date,
        changes.kind,
        changes.person_id,
        changes.other_person_id,
        changes.identifiers,
        left_ends.identifier_type as left_type,
        left_ends.identifier_hash as left_key,
        right_ends.identifier_type as right_type,
        right_ends.identifier_hash as right_key,
        changes.because
    from changes
    left join identifiers as left_ends
        on changes.left_key = left_ends.identifier_key
    left join identifiers as right_ends
        on changes.right_key = right_ends.identifier_key
)

select * from changes_with_their_edge
