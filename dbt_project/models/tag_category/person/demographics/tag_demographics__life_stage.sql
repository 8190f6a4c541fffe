with profiles as (
    select * from {{ ref('tag_demographics__profile') }}
),

households as (
    select * from {{ ref('tag_demographics__household') }}
),

tagged as (
    -- the first that is true; without an answer about children only age can tell
    select
        profiles.person_id,
        case
            when households.has_kids then 'family'
            when profiles.age_band = '65+' then 'retired'
            when not households.has_kids and profiles.age_band in ('45-54', '55-64') then 'settled'
            when not households.has_kids and households.household_type = 'couple' then 'young couple'
            when not households.has_kids and households.household_type = 'single' then 'young single'
        end as life_stage
    from profiles
    left join households on profiles.person_id = households.person_id
)

select * from tagged
