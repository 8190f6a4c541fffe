-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
{{ config(materialized='view') }}

with spine as (
    select household_id
    from {{ ref('household_tags_spine') }}
),

household_tags_channel as (
    select
        household_id,
        channels_used_365d,
        email_reachable_members,
        gets_email_twice
    from {{ ref('household_tags_channel') }}
),

household_tags_consumption as (
    select
        household_id,
        spend_365d,
        orders_365d,
        shopping_members_365d,
        main_shopper_share,
        spend_trend,
        distinctive_department,
        last_order_date
    from {{ ref('household_tags_consumption') }}
),

household_tags_members as (
    select
        household_id,
        members,
        active_members_90d,
        has_children,
        has_two_generations
    from {{ ref('household_tags_members') }}
),

side_by_side as (
    select
        spine.household_id,
        household_tags_channel.channels_used_365d,
        household_tags_channel.email_reachable_members,
        household_tags_channel.gets_email_twice,
        household_tags_consumption.spend_365d,
        household_tags_consumption.orders_365d,
        household_tags_consumption.shopping_members_365d,
        household_tags_consumption.main_shopper_share,
        household_tags_consumption.spend_trend,
        household_tags_consumption.distinctive_department,
        household_tags_consumption.last_order_date,
        household_tags_members.members,
        household_tags_members.active_members_90d,
        household_tags_members.has_children,
        household_tags_members.has_two_generations
    from spine
    inner join household_tags_channel
        on spine.household_id = household_tags_channel.household_id
    inner join household_tags_consumption
        on spine.household_id = household_tags_consumption.household_id
    inner join household_tags_members
        on spine.household_id = household_tags_members.household_id
)

select * from side_by_side
