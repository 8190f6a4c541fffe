-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select household_id
    from {{ ref('household_tags_spine') }}
),

tag_household__channels as (
    select
        household_id,
        channels_used_365d,
        email_reachable_members,
        gets_email_twice
    from {{ ref('tag_household__channels') }}
),

side_by_side as (
    select
        spine.household_id,
        tag_household__channels.channels_used_365d,
        tag_household__channels.email_reachable_members,
        tag_household__channels.gets_email_twice
    from spine
    left join tag_household__channels
        on spine.household_id = tag_household__channels.household_id
)

select * from side_by_side
