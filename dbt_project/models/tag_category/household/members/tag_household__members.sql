with members as (
    select
        household_id,
        person_id
    from {{ ref('household_members') }}
),

persons as (
    select
        person_id,
        {{ tagloom.full_years_between('birth_date', tagloom.as_of_date()) }} as age
    from {{ ref('persons') }}
),

survey_answers as (
    select
        person_id,
        kids_count
    from {{ ref('int_survey_answers') }}
),

active_persons as (
    select person_id
    from {{ ref('int_orders') }}
    where {{ tagloom.in_last_days('order_date', 90) }}
    union
    select person_id
    from {{ ref('int_web_sessions') }}
    where {{ tagloom.in_last_days('session_date', 90) }}
),

believable as (
    -- younger than 10 or older than 105 is a typing error, as in the tags of persons
    select
        members.household_id,
        members.person_id,
        case when persons.age between 10 and 105 then persons.age end as age
    from members
    inner join persons on members.person_id = persons.person_id
),

tagged as (
    select
        believable.household_id,
        cast(count(*) as integer) as members,
        cast(count(active_persons.person_id) as integer) as active_members_90d,
        case
            when max(case when survey_answers.kids_count <> '0' or believable.age < 18 then 1 else 0 end) = 1 then true
            when count(survey_answers.kids_count) > 0 then false
        end as has_children,
        case
            when count(believable.age) > 1 then max(believable.age) - min(believable.age) >= 18
        end as has_two_generations
    from believable
    left join survey_answers on believable.person_id = survey_answers.person_id
    left join active_persons on believable.person_id = active_persons.person_id
    group by believable.household_id
)

select * from tagged
