with scores as (
    select *
    from {{ ref('int_scores') }}
    where person_id is not null and model = 'purchase_7d'
),

scores_latest_first as (
    -- of two cards scored in one run the one that promises more
    select
        *,
        row_number() over (partition by person_id order by scored_at desc, score desc, score_id asc) as place
    from scores
),

tagged as (
    select
        person_id,
        cast(round(score * 100) as integer) as purchase_likelihood_7d,
        case
            when score >= 0.75 then 'high'
            when score >= 0.25 then 'middle'
            else 'low'
        end as purchase_likelihood_band,
        scored_date as purchase_likelihood_known_on
    from scores_latest_first
    where place = 1
)

select * from tagged
