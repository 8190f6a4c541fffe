with source as (
    select * from {{ source('campaigns', 'redemptions') }}
),

renamed as (
    select
        -- keys
        campaign_id,
        coupon_upc,

        -- identifiers
        {{ tagloom.normalise_identifier('loyalty_card', 'card_number') }} as card_number,

        -- time
        redemption_date
    from source
)

select * from renamed
