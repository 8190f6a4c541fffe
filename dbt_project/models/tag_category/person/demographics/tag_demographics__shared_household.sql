with members as (
    select
        household_members.person_id,
        household_members.household_id,
        households.members as household_members
    from {{ ref('household_members') }} as household_members
    inner join {{ ref('households') }} as households
        on household_members.household_id = households.household_id
),

tagged as (
    select
        person_id,
        household_id,
        household_members,
        true as is_in_household
    from members
)

select * from tagged
