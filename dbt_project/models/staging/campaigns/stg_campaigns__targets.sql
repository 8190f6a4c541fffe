with source as (
    select * from {{ source('campaigns', 'targets') }}
),

renamed as (
    select
        -- keys
        campaign_id,

        -- identifiers
        {{ tagloom.normalise_identifier('loyalty_card', 'card_number') }} as card_number
    from source
)

select * from renamed
