-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select person_id
    from {{ ref('persons') }}
),

tag_risk__attrition as (
    select
        person_id,
        attrition_score,
        attrition_risk,
        is_valuable_at_risk,
        spend_at_risk_365d
    from {{ ref('tag_risk__attrition') }}
),

tag_risk__churn as (
    select
        person_id,
        churn_risk,
        churn_risk_band,
        churn_risk_trend,
        churn_risk_known_on
    from {{ ref('tag_risk__churn') }}
),

tag_risk__margin as (
    select
        person_id,
        discount_depth,
        is_promotion_dependent
    from {{ ref('tag_risk__margin') }}
),

side_by_side as (
    select
        spine.person_id,
        tag_risk__attrition.attrition_score,
        tag_risk__attrition.attrition_risk,
        coalesce(tag_risk__attrition.is_valuable_at_risk, false) as is_valuable_at_risk,
        cast(coalesce(tag_risk__attrition.spend_at_risk_365d, 0) as decimal(14, 2)) as spend_at_risk_365d,
        case
            when tag_risk__churn.churn_risk_known_on < {{ tagloom.days_before_as_of(35) }}
                then null
            else tag_risk__churn.churn_risk
        end as churn_risk,
        case
            when tag_risk__churn.churn_risk_known_on < {{ tagloom.days_before_as_of(35) }}
                then null
            else tag_risk__churn.churn_risk_band
        end as churn_risk_band,
        case
            when tag_risk__churn.churn_risk_known_on < {{ tagloom.days_before_as_of(35) }}
                then null
            else tag_risk__churn.churn_risk_trend
        end as churn_risk_trend,
        tag_risk__margin.discount_depth,
        coalesce(tag_risk__margin.is_promotion_dependent, false) as is_promotion_dependent
    from spine
    left join tag_risk__attrition
        on spine.person_id = tag_risk__attrition.person_id
    left join tag_risk__churn
        on spine.person_id = tag_risk__churn.person_id
    left join tag_risk__margin
        on spine.person_id = tag_risk__margin.person_id
)

select * from side_by_side
