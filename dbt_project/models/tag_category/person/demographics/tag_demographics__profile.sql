with persons as (
    select * from {{ ref('persons') }}
),

survey_answers as (
    select * from {{ ref('int_survey_answers') }}
),

person_common_places as (
    select * from {{ ref('person_common_places') }}
),

aged as (
    select
        *,
        {{ tagloom.full_years_between('birth_date', tagloom.as_of_date()) }} as age,
        cast({{ tagloom.local_time(
            'least(loyalty_registered_at, account_created_at)'
        ) }} as date) as joined_date
    from persons
),

believable as (
    -- younger than any customer or older than anybody: a typing error
    select
        person_id,
        postcode,
        state,
        joined_date,
        case when age between 10 and 105 then age end as age,
        case when age between 10 and 105 then birth_date end as birth_date
    from aged
),

tagged as (
    select
        believable.person_id,
        case
            when survey_answers.age_band is not null then survey_answers.age_band
            when believable.age < 19 then '0-18'
            when believable.age < 25 then '19-24'
            when believable.age < 35 then '25-34'
            when believable.age < 45 then '35-44'
            when believable.age < 55 then '45-54'
            when believable.age < 65 then '55-64'
            when believable.age >= 65 then '65+'
        end as age_band,
        case
            when extract(year from believable.birth_date) < 1946 then 'silent'
            when extract(year from believable.birth_date) < 1965 then 'boomer'
            when extract(year from believable.birth_date) < 1981 then 'x'
            when extract(year from believable.birth_date) < 1997 then 'millennial'
            when believable.birth_date is not null then 'z'
        end as generation,
        cast(extract(month from believable.birth_date) as integer) as birthday_month,
        states.place as state,
        postcode_areas.place as postcode_area,
        case
            when believable.joined_date <= {{ tagloom.as_of_date() }}
                then {{ tagloom.full_years_between('believable.joined_date', tagloom.as_of_date()) }}
        end as membership_years
    from believable
    left join survey_answers on believable.person_id = survey_answers.person_id
    left join person_common_places as states
        on upper(believable.state) = states.place and states.kind = 'state'
    left join person_common_places as postcode_areas
        on left(believable.postcode, 2) = postcode_areas.place and postcode_areas.kind = 'postcode_area'
)

select * from tagged
