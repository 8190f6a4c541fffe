-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select household_id
    from {{ ref('household_tags_spine') }}
),

tag_household__spend as (
    select
        household_id,
        spend_365d,
        orders_365d,
        shopping_members_365d,
        main_shopper_share,
        spend_trend,
        distinctive_department,
        last_order_date
    from {{ ref('tag_household__spend') }}
),

side_by_side as (
    select
        spine.household_id,
        tag_household__spend.spend_365d,
        tag_household__spend.orders_365d,
        tag_household__spend.shopping_members_365d,
        tag_household__spend.main_shopper_share,
        tag_household__spend.spend_trend,
        tag_household__spend.distinctive_department,
        tag_household__spend.last_order_date
    from spine
    left join tag_household__spend
        on spine.household_id = tag_household__spend.household_id
)

select * from side_by_side
