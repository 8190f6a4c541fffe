with campaign_targets as (
    select *
    from {{ ref('int_campaign_targets') }}
    where person_id is not null
),

redemptions as (
    select *
    from {{ ref('int_coupon_redemptions') }}
    where person_id is not null
),

received as (
    select
        person_id,
        count(*) as campaigns,
        {{ tagloom.count_in_last_days('start_date', 90) }} as campaigns_90d,
        count(case when end_date >= {{ tagloom.as_of_date() }} then 1 end) as campaigns_running
    from campaign_targets
    group by person_id
),

redeemed as (
    select
        person_id,
        {{ tagloom.count_in_last_days('redemption_date', 365) }} as redemptions_365d,
        count(distinct redemption_date) as days_with_redemptions,
        max(redemption_date) as last_redemption_date
    from redemptions
    group by person_id
),

answered as (
    -- campaigns a person was sent and handed a coupon in from, however many coupons that were
    select
        campaign_targets.person_id,
        count(distinct campaign_targets.campaign_id) as campaigns
    from campaign_targets
    inner join redemptions
        on
            campaign_targets.person_id = redemptions.person_id
            and campaign_targets.campaign_id = redemptions.campaign_id
    group by campaign_targets.person_id
),

persons_addressed as (
    select person_id from received
    union
    select person_id from redeemed
),

tagged as (
    select
        persons_addressed.person_id,
        cast(coalesce(received.campaigns, 0) as integer) as campaigns_received,
        coalesce(received.campaigns_90d, 0) as campaigns_received_90d,
        coalesce(received.campaigns_running, 0) > 0 as is_in_campaign,
        coalesce(redeemed.redemptions_365d, 0) as coupons_redeemed_365d,
        redeemed.last_redemption_date,
        {{ tagloom.share_index('coalesce(answered.campaigns, 0)', 'received.campaigns') }}
            as campaign_response_rate,
        case
            when redeemed.days_with_redemptions >= 5 then 'regular'
            when redeemed.days_with_redemptions >= 1 then 'occasional'
            else 'never'
        end as coupon_affinity
    from persons_addressed
    left join received on persons_addressed.person_id = received.person_id
    left join redeemed on persons_addressed.person_id = redeemed.person_id
    left join answered on persons_addressed.person_id = answered.person_id
)

select * from tagged
