-- Every campaign sent to a person is counted once,
-- and so is every coupon that one handed in within a year.
with sent as (
    select count(*) as campaigns
    from {{ ref('int_campaign_targets') }}
    where person_id is not null
),

handed_in as (
    select count(*) as coupons
    from {{ ref('int_coupon_redemptions') }}
    where person_id is not null and {{ tagloom.in_last_days('redemption_date', 365) }}
),

tagged as (
    select
        coalesce(sum(campaigns_received), 0) as campaigns,
        coalesce(sum(coupons_redeemed_365d), 0) as coupons
    from {{ ref('tag_marketing__response') }}
)

select
    sent.campaigns as campaigns_sent,
    tagged.campaigns as campaigns_tagged,
    handed_in.coupons as coupons_handed_in,
    tagged.coupons as coupons_tagged
from sent
cross join handed_in
cross join tagged
where sent.campaigns <> tagged.campaigns or handed_in.coupons <> tagged.coupons
