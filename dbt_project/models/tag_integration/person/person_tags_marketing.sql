-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select person_id
    from {{ ref('persons') }}
),

tag_marketing__lists as (
    select
        person_id,
        vip_level,
        is_staff,
        do_not_promote,
        staff_known_on,
        vip_known_on
    from {{ ref('tag_marketing__lists') }}
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

tag_marketing__timing as (
    select
        person_id,
        campaigns_since_answer,
        average_days_to_redeem
    from {{ ref('tag_marketing__timing') }}
),

side_by_side as (
    select
        spine.person_id,
        case
            when tag_marketing__lists.vip_known_on < {{ tagloom.days_before_as_of(365) }}
                then null
            else tag_marketing__lists.vip_level
        end as vip_level,
        case
            when tag_marketing__lists.staff_known_on < {{ tagloom.days_before_as_of(365) }}
                then null
            else coalesce(tag_marketing__lists.is_staff, false)
        end as is_staff,
        coalesce(tag_marketing__lists.do_not_promote, false) as do_not_promote,
        cast(coalesce(tag_marketing__response.campaigns_received, 0) as integer) as campaigns_received,
        cast(coalesce(tag_marketing__response.campaigns_received_90d, 0) as integer) as campaigns_received_90d,
        coalesce(tag_marketing__response.is_in_campaign, false) as is_in_campaign,
        cast(coalesce(tag_marketing__response.coupons_redeemed_365d, 0) as integer) as coupons_redeemed_365d,
        tag_marketing__response.last_redemption_date,
        tag_marketing__response.campaign_response_rate,
        tag_marketing__response.coupon_affinity,
        cast(coalesce(tag_marketing__timing.campaigns_since_answer, 0) as integer) as campaigns_since_answer,
        tag_marketing__timing.average_days_to_redeem
    from spine
    left join tag_marketing__lists
        on spine.person_id = tag_marketing__lists.person_id
    left join tag_marketing__response
        on spine.person_id = tag_marketing__response.person_id
    left join tag_marketing__timing
        on spine.person_id = tag_marketing__timing.person_id
)

select * from side_by_side
