-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select person_id
    from {{ ref('persons') }}
),

tag_demographics__household as (
    select
        person_id,
        income_band,
        income_tier,
        household_size,
        household_type,
        kids_count,
        has_kids,
        home_ownership,
        marital_status
    from {{ ref('tag_demographics__household') }}
),

tag_demographics__life_stage as (
    select
        person_id,
        life_stage
    from {{ ref('tag_demographics__life_stage') }}
),

tag_demographics__profile as (
    select
        person_id,
        age_band,
        generation,
        birthday_month,
        state,
        postcode_area,
        membership_years
    from {{ ref('tag_demographics__profile') }}
),

tag_demographics__shared_household as (
    select
        person_id,
        household_id,
        household_members,
        is_in_household
    from {{ ref('tag_demographics__shared_household') }}
),

side_by_side as (
    select
        spine.person_id,
        tag_demographics__household.income_band,
        tag_demographics__household.income_tier,
        tag_demographics__household.household_size,
        tag_demographics__household.household_type,
        tag_demographics__household.kids_count,
        tag_demographics__household.has_kids,
        tag_demographics__household.home_ownership,
        tag_demographics__household.marital_status,
        tag_demographics__life_stage.life_stage,
        tag_demographics__profile.age_band,
        tag_demographics__profile.generation,
        tag_demographics__profile.birthday_month,
        tag_demographics__profile.state,
        tag_demographics__profile.postcode_area,
        tag_demographics__profile.membership_years,
        tag_demographics__shared_household.household_id,
        tag_demographics__shared_household.household_members,
        coalesce(tag_demographics__shared_household.is_in_household, false) as is_in_household
    from spine
    left join tag_demographics__household
        on spine.person_id = tag_demographics__household.person_id
    left join tag_demographics__life_stage
        on spine.person_id = tag_demographics__life_stage.person_id
    left join tag_demographics__profile
        on spine.person_id = tag_demographics__profile.person_id
    left join tag_demographics__shared_household
        on spine.person_id = tag_demographics__shared_household.person_id
)

select * from side_by_side
