with scores as (
    select *
    from {{ ref('int_scores') }}
    where person_id is not null and model = 'churn_60d'
),

scores_per_run as (
    -- of two cards scored in one run the one in use: its holder leaves only when both fall silent
    select
        person_id,
        scored_at,
        max(scored_date) as scored_date,
        max(model_version) as model_version,
        min(score) as score
    from scores
    group by person_id, scored_at
),

scores_with_the_run_before as (
    select
        *,
        round(score - lag(score) over (partition by person_id order by scored_at asc), 4) as change,
        lag(model_version) over (partition by person_id order by scored_at asc) as previous_version,
        row_number() over (partition by person_id order by scored_at desc) as place
    from scores_per_run
),

tagged as (
    select
        person_id,
        cast(round(score * 100) as integer) as churn_risk,
        case
            when score >= 0.6 then 'high'
            when score >= 0.3 then 'middle'
            else 'low'
        end as churn_risk_band,
        -- another version of the model is another scale
        case
            when previous_version <> model_version then null
            when change >= 0.1 then 'rising'
            when change <= -0.1 then 'falling'
            when change is not null then 'steady'
        end as churn_risk_trend,
        scored_date as churn_risk_known_on
    from scores_with_the_run_before
    where place = 1
)

select * from tagged
