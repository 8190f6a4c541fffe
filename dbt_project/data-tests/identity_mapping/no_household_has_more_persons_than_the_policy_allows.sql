-- Chains of pairs may join many: a household stays a home, with two persons at least.
with sizes as (
    select
        household_id,
        count(*) as members
    from {{ ref('household_members') }}
    group by household_id
),

limits as (
    select max(case when name = 'household.at_most_persons' then cast(value as integer) end) as at_most_persons
    from {{ ref('identity_rules') }}
)

select
    sizes.household_id,
    sizes.members,
    limits.at_most_persons
from sizes
cross join limits
where
    sizes.members < 2
    or limits.at_most_persons is null
    or sizes.members > limits.at_most_persons
