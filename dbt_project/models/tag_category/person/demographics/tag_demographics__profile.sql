with persons as (
    select * from {{ ref('persons') }}
),

survey_answers as (
    select * from {{ ref('int_survey_answers') }}
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

counted as (
    select
        *,
        left(postcode, 2) as area,
        count(*) over (partition by upper(state)) as persons_in_state,
        count(*) over (partition by left(postcode, 2)) as persons_in_area
    from believable
),

tagged as (
    select
        counted.person_id,
        case
            when survey_answers.age_band is not null then survey_answers.age_band
            when counted.age < 19 then '0-18'
            when counted.age < 25 then '19-24'
            when counted.age < 35 then '25-34'
            when counted.age < 45 then '35-44'
            when counted.age < 55 then '45-54'
            when counted.age < 65 then '55-64'
            when counted.age >= 65 then '65+'
        end as age_band,
        case
            when extract(year from counted.birth_date) < 1946 then 'silent'
            when extract(year from counted.birth_date) < 1965 then 'boomer'
            when extract(year from counted.birth_date) < 1981 then 'x'
            when extract(year from counted.birth_date) < 1997 then 'millennial'
            when counted.birth_date is not null then 'z'
        end as generation,
        cast(extract(month from counted.birth_date) as integer) as birthday_month,
        case when counted.persons_in_state >= 10 then upper(counted.state) end as state,
        case when counted.persons_in_area >= 10 then counted.area end as postcode_area,
        case
            when counted.joined_date <= {{ tagloom.as_of_date() }}
                then {{ tagloom.full_years_between('counted.joined_date', tagloom.as_of_date()) }}
        end as membership_years
    from counted
    left join survey_answers on counted.person_id = survey_answers.person_id
)

select * from tagged
