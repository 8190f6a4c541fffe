with source as (
    select * from {{ source('operations', 'identity_matches') }}
),

renamed as (
    select
        left_type,
        left_hash,
        right_type,
        right_hash,
        probability,
        model_version,
        matched_at
    from source
    where status = 'accepted'
)

select * from renamed
