-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select person_id
    from {{ ref('persons') }}
),

tag_habit__cycle as (
    select
        person_id,
        usual_interval_days,
        cycle_regularity_index,
        next_order_due_date
    from {{ ref('tag_habit__cycle') }}
),

tag_habit__replenishment as (
    select
        person_id,
        due_category,
        due_categories
    from {{ ref('tag_habit__replenishment') }}
),

tag_habit__shopping_time as (
    select
        person_id,
        usual_weekday,
        usual_part_of_day,
        usual_hour,
        usual_part_of_month,
        weekend_order_share,
        is_weekend_shopper
    from {{ ref('tag_habit__shopping_time') }}
),

side_by_side as (
    select
        spine.person_id,
        tag_habit__cycle.usual_interval_days,
        tag_habit__cycle.cycle_regularity_index,
        tag_habit__cycle.next_order_due_date,
        tag_habit__replenishment.due_category,
        cast(coalesce(tag_habit__replenishment.due_categories, 0) as integer) as due_categories,
        tag_habit__shopping_time.usual_weekday,
        tag_habit__shopping_time.usual_part_of_day,
        tag_habit__shopping_time.usual_hour,
        tag_habit__shopping_time.usual_part_of_month,
        tag_habit__shopping_time.weekend_order_share,
        coalesce(tag_habit__shopping_time.is_weekend_shopper, false) as is_weekend_shopper
    from spine
    left join tag_habit__cycle
        on spine.person_id = tag_habit__cycle.person_id
    left join tag_habit__replenishment
        on spine.person_id = tag_habit__replenishment.person_id
    left join tag_habit__shopping_time
        on spine.person_id = tag_habit__shopping_time.person_id
)

select * from side_by_side
