-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select household_id
    from {{ ref('household_tags_spine') }}
),

tag_household__members as (
    select
        household_id,
        members,
        active_members_90d,
        has_children,
        has_two_generations
    from {{ ref('tag_household__members') }}
),

side_by_side as (
    select
        spine.household_id,
        tag_household__members.members,
        tag_household__members.active_members_90d,
        tag_household__members.has_children,
        tag_household__members.has_two_generations
    from spine
    left join tag_household__members
        on spine.household_id = tag_household__members.household_id
)

select * from side_by_side
