with source as (
    select * from {{ source('campaigns', 'campaigns') }}
),

renamed as (
    select
        -- keys
        campaign_id,

        -- the campaign
        right(campaign_type, 1) as campaign_type,
        start_date,
        end_date
    from source
)

select * from renamed
