with scores as (
    select * from {{ ref('stg_scores__scores') }}
),

identity_map as (
    select
        identifier_type,
        identifier_hash,
        person_id
    from {{ ref('identity_map') }}
),

cards_and_their_persons as (
    {{ tagloom.persons_by_identifier('loyalty_card', 'card_number', 'scores') }}
),

scores_on_local_days as (
    select
        *,
        {{ tagloom.local_date('scored_at') }} as scored_date
    from scores
),

scores_of_persons as (
    select
        md5(
            concat(
                cards_and_their_persons.identifier_hash,
                '|', scores_on_local_days.model,
                '|', cast(scores_on_local_days.scored_at as string)
            )
        ) as score_id,
        cards_and_their_persons.person_id,
        scores_on_local_days.model,
        scores_on_local_days.model_version,
        scores_on_local_days.score,
        scores_on_local_days.scored_at,
        scores_on_local_days.scored_date
    from scores_on_local_days
    left join cards_and_their_persons
        on scores_on_local_days.card_number = cards_and_their_persons.card_number
    where {{ tagloom.known_by_as_of_date('scores_on_local_days.scored_date') }}
)

select * from scores_of_persons
