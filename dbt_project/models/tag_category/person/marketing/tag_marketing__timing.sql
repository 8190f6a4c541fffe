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

first_answers as (
    select
        campaign_targets.person_id,
        campaign_targets.campaign_id,
        campaign_targets.start_date,
        min(redemptions.redemption_date) as answered_on
    from campaign_targets
    inner join redemptions
        on
            campaign_targets.person_id = redemptions.person_id
            and campaign_targets.campaign_id = redemptions.campaign_id
            and campaign_targets.start_date <= redemptions.redemption_date
    group by
        campaign_targets.person_id,
        campaign_targets.campaign_id,
        campaign_targets.start_date
),

answers as (
    select
        person_id,
        sum({{ tagloom.days_between('start_date', 'answered_on') }}) as days_to_answer,
        count(*) as campaigns_answered,
        max(answered_on) as last_answered_on
    from first_answers
    group by person_id
),

sent_since as (
    -- since the last coupon that came back; all of them when none ever did
    select
        campaign_targets.person_id,
        count(
            case
                when
                    answers.last_answered_on is null
                    or campaign_targets.start_date > answers.last_answered_on
                    then 1
            end
        ) as campaigns
    from campaign_targets
    left join answers on campaign_targets.person_id = answers.person_id
    group by campaign_targets.person_id
),

tagged as (
    select
        sent_since.person_id,
        cast(sent_since.campaigns as integer) as campaigns_since_answer,
        {{ tagloom.ratio('answers.days_to_answer', 'answers.campaigns_answered', 1) }}
            as average_days_to_redeem
    from sent_since
    left join answers on sent_since.person_id = answers.person_id
)

select * from tagged
