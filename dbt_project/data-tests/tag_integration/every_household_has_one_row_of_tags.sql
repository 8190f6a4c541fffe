-- Nobody is lost between households and their tags, and who is said to live in one finds it there.
with tagged_households as (
    select
        households.household_id,
        household_tags.household_id as tagged_household_id
    from {{ ref('households') }} as households
    full outer join {{ ref('household_tags') }} as household_tags
        on households.household_id = household_tags.household_id
),

persons_households as (
    select
        person_tags.household_id,
        household_tags.household_id as tagged_household_id
    from {{ ref('person_tags') }} as person_tags
    left join {{ ref('household_tags') }} as household_tags
        on person_tags.household_id = household_tags.household_id
    where person_tags.household_id is not null
),

households_of_both as (
    select * from tagged_households
    union all
    select * from persons_households
)

select *
from households_of_both
where
    household_id is null
    or tagged_household_id is null
