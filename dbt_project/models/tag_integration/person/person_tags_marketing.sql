-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select person_id
    from {{ ref('persons') }}
),

tag_marketing__response as (
    select
        person_id,
        campaigns_received,
        campaigns_received_90d,
        is_in_campaign,
        coupons_redeemed_365d,
        last_redemption_date,
        campaign_response_rate,
        coupon_affinity
    from {{ ref('tag_marketing__response') }}
),

side_by_side as (
    select
        spine.person_id,
        cast(coalesce(tag_marketing__response.campaigns_received, 0) as integer) as campaigns_received,
        cast(coalesce(tag_marketing__response.campaigns_received_90d, 0) as integer) as campaigns_received_90d,
        coalesce(tag_marketing__response.is_in_campaign, false) as is_in_campaign,
        cast(coalesce(tag_marketing__response.coupons_redeemed_365d, 0) as integer) as coupons_redeemed_365d,
        tag_marketing__response.last_redemption_date,
        tag_marketing__response.campaign_response_rate,
        tag_marketing__response.coupon_affinity
    from spine
    left join tag_marketing__response
        on spine.person_id = tag_marketing__response.person_id
)

select * from side_by_side
