with scores as (
    select *
    from {{ ref('int_scores') }}
    where person_id is not null and model = 'purchase_7d'
),

newest_first as (
    select
        *,
        row_number() over (
            partition by person_id order by scored_at desc, score desc, score_id asc
        ) as place
    from scores
),

tagged as (
    select
        person_id,
        cast(round(score * 100) as integer) as $name,
        scored_date as ${name}_known_on
    from newest_first
    where place = 1
)

select * from tagged
