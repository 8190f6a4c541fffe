with respondents as (
    select * from {{ ref('stg_survey__respondents') }}
),

identity_map as (
    select
        identifier_type,
        identifier_hash,
        person_id
    from {{ ref('identity_map') }}
),

cards_and_their_persons as (
    {{ tagloom.persons_by_identifier('loyalty_card', 'card_number', 'respondents') }}
),

answers_numbered_per_person as (
    select
        cards_and_their_persons.person_id,
        respondents.age_band,
        respondents.income_band,
        respondents.home_ownership,
        respondents.marital_status,
        respondents.household_size,
        respondents.household_composition,
        respondents.kids_count,
        row_number() over (
            partition by cards_and_their_persons.person_id
            order by respondents.card_number asc
        ) as answer_number
    from respondents
    inner join cards_and_their_persons
        on respondents.card_number = cards_and_their_persons.card_number
    where cards_and_their_persons.person_id is not null
),

first_answer_of_each_person as (
    select
        person_id,
        age_band,
        income_band,
        home_ownership,
        marital_status,
        household_size,
        household_composition,
        kids_count
    from answers_numbered_per_person
    where answer_number = 1
)

select * from first_answer_of_each_person
