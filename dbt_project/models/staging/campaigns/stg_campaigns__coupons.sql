with source as (
    select * from {{ source('campaigns', 'coupons') }}
),

renamed as (
    select
        -- keys
        campaign_id,
        coupon_upc,
        product_id
    from source
)

select * from renamed
