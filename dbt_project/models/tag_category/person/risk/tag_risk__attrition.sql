with stages as (
    select * from {{ ref('tag_lifecycle__stage') }}
),

spend as (
    select * from {{ ref('tag_consumption__spend') }}
),

tickets as (
    select * from {{ ref('tag_service__tickets') }}
),

signs as (
    select
        stages.person_id,
        stages.silence_ratio,
        stages.lifecycle_stage,
        spend.spend_365d,
        spend.spend_trend,
        coalesce(tickets.is_unhappy, false) as is_unhappy
    from stages
    inner join spend on stages.person_id = spend.person_id
    left join tickets on stages.person_id = tickets.person_id
),

scored as (
    -- silence begins to count after one cycle and is full at four, as the stage dormant
    select
        *,
        cast(round(
            {{ tagloom.points('(silence_ratio - 1)', 3, 60) }}
            + case spend_trend when 'stopped' then 25 when 'falling' then 25 else 0 end
            + case when is_unhappy then 15 else 0 end
        ) as integer) as attrition_score
    from signs
),

tagged as (
    select
        person_id,
        attrition_score,
        case
            when lifecycle_stage = 'churned' then null
            when attrition_score >= 60 then 'high'
            when attrition_score >= 25 then 'raised'
            else 'low'
        end as attrition_risk,
        lifecycle_stage <> 'churned' and attrition_score >= 60 and spend_365d >= 1500
            as is_valuable_at_risk,
        cast(
            case when lifecycle_stage <> 'churned' and attrition_score >= 25 then spend_365d else 0 end
            as decimal(14, 2)
        ) as spend_at_risk_365d
    from scored
)

select * from tagged
