-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select person_id
    from {{ ref('persons') }}
),

tag_habit__shopping_time as (
    select
        person_id,
        usual_weekday,
        usual_part_of_day,
        weekend_order_share,
        is_weekend_shopper
    from {{ ref('tag_habit__shopping_time') }}
),

side_by_side as (
    select
        spine.person_id,
        tag_habit__shopping_time.usual_weekday,
        tag_habit__shopping_time.usual_part_of_day,
        tag_habit__shopping_time.weekend_order_share,
        coalesce(tag_habit__shopping_time.is_weekend_shopper, false) as is_weekend_shopper
    from spine
    left join tag_habit__shopping_time
        on spine.person_id = tag_habit__shopping_time.person_id
)

select * from side_by_side
