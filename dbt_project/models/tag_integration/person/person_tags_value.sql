-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select person_id
    from {{ ref('persons') }}
),

tag_value__engagement as (
    select
        person_id,
        engagement_score,
        engagement_level
    from {{ ref('tag_value__engagement') }}
),

tag_value__loyalty_level as (
    select
        person_id,
        fixed_rfm_cell,
        loyalty_level,
        spend_to_next_level
    from {{ ref('tag_value__loyalty_level') }}
),

tag_value__peers as (
    select
        person_id,
        spend_percentile_in_state,
        spend_percentile_in_age_band,
        spend_headroom_365d
    from {{ ref('tag_value__peers') }}
),

tag_value__predictions as (
    select
        person_id,
        purchase_likelihood_7d,
        purchase_likelihood_band,
        purchase_likelihood_known_on
    from {{ ref('tag_value__predictions') }}
),

tag_value__rfm as (
    select
        person_id,
        recency_score,
        frequency_score,
        monetary_score,
        rfm_cell,
        rfm_segment
    from {{ ref('tag_value__rfm') }}
),

tag_value__spend as (
    select
        person_id,
        lifetime_spend,
        spend_decile_365d,
        spend_tier
    from {{ ref('tag_value__spend') }}
),

side_by_side as (
    select
        spine.person_id,
        tag_value__engagement.engagement_score,
        tag_value__engagement.engagement_level,
        tag_value__loyalty_level.fixed_rfm_cell,
        tag_value__loyalty_level.loyalty_level,
        tag_value__loyalty_level.spend_to_next_level,
        tag_value__peers.spend_percentile_in_state,
        tag_value__peers.spend_percentile_in_age_band,
        tag_value__peers.spend_headroom_365d,
        case
            when tag_value__predictions.purchase_likelihood_known_on < {{ tagloom.days_before_as_of(35) }}
                then null
            else tag_value__predictions.purchase_likelihood_7d
        end as purchase_likelihood_7d,
        case
            when tag_value__predictions.purchase_likelihood_known_on < {{ tagloom.days_before_as_of(35) }}
                then null
            else tag_value__predictions.purchase_likelihood_band
        end as purchase_likelihood_band,
        tag_value__rfm.recency_score,
        tag_value__rfm.frequency_score,
        tag_value__rfm.monetary_score,
        tag_value__rfm.rfm_cell,
        tag_value__rfm.rfm_segment,
        cast(coalesce(tag_value__spend.lifetime_spend, 0) as decimal(14, 2)) as lifetime_spend,
        tag_value__spend.spend_decile_365d,
        tag_value__spend.spend_tier
    from spine
    left join tag_value__engagement
        on spine.person_id = tag_value__engagement.person_id
    left join tag_value__loyalty_level
        on spine.person_id = tag_value__loyalty_level.person_id
    left join tag_value__peers
        on spine.person_id = tag_value__peers.person_id
    left join tag_value__predictions
        on spine.person_id = tag_value__predictions.person_id
    left join tag_value__rfm
        on spine.person_id = tag_value__rfm.person_id
    left join tag_value__spend
        on spine.person_id = tag_value__spend.person_id
)

select * from side_by_side
