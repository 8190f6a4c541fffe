with survey_answers as (
    select * from {{ ref('int_survey_answers') }}
),

tagged as (
    select
        person_id,
        income_band,
        case
            when income_band in ('Under 15K', '15-24K', '25-34K') then 'lower'
            when income_band in ('35-49K', '50-74K', '75-99K') then 'middle'
            when income_band is not null then 'upper'
        end as income_tier,
        household_size,
        case
            when household_composition = '1 Adult No Kids' then 'single'
            when household_composition = '1 Adult Kids' then 'single parent'
            when household_composition = '2 Adults No Kids' then 'couple'
            when household_composition = '2 Adults Kids' then 'family'
        end as household_type,
        kids_count,
        kids_count <> '0' as has_kids,
        case
            when home_ownership in ('Homeowner', 'Probable Homeowner') then 'owner'
            when home_ownership in ('Renter', 'Probable Renter') then 'renter'
        end as home_ownership,
        lower(marital_status) as marital_status
    from survey_answers
)

select * from tagged
