with source as (
    select * from {{ source('operations', 'identity_decisions') }}
),

renamed as (
    select
        decision_id,
        kind,
        left_type,
        left_hash,
        right_type,
        right_hash,
        reason,
        decided_by,
        decided_at,
        batch_id
    from source
    where withdrawn_at is null
)

select * from renamed
