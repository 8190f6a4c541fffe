-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select person_id
    from {{ ref('persons') }}
),

tag_consumption__missions as (
    select
        person_id,
        usual_mission,
        stock_up_trips_365d,
        last_order_amount
    from {{ ref('tag_consumption__missions') }}
),

tag_consumption__rhythm as (
    select
        person_id,
        shopping_days_365d,
        purchase_interval_days,
        purchase_rhythm
    from {{ ref('tag_consumption__rhythm') }}
),

tag_consumption__spend as (
    select
        person_id,
        orders_30d,
        orders_90d,
        orders_365d,
        spend_30d,
        spend_90d,
        spend_365d,
        average_basket_365d,
        largest_basket_365d,
        units_365d,
        is_fuel_buyer,
        fuel_spend_365d,
        spend_trend
    from {{ ref('tag_consumption__spend') }}
),

tag_consumption__variety as (
    select
        person_id,
        distinct_products_365d,
        departments_shopped_365d,
        repeat_product_share,
        novelty_index
    from {{ ref('tag_consumption__variety') }}
),

side_by_side as (
    select
        spine.person_id,
        tag_consumption__missions.usual_mission,
        cast(coalesce(tag_consumption__missions.stock_up_trips_365d, 0) as integer) as stock_up_trips_365d,
        tag_consumption__missions.last_order_amount,
        cast(coalesce(tag_consumption__rhythm.shopping_days_365d, 0) as integer) as shopping_days_365d,
        tag_consumption__rhythm.purchase_interval_days,
        tag_consumption__rhythm.purchase_rhythm,
        cast(coalesce(tag_consumption__spend.orders_30d, 0) as integer) as orders_30d,
        cast(coalesce(tag_consumption__spend.orders_90d, 0) as integer) as orders_90d,
        cast(coalesce(tag_consumption__spend.orders_365d, 0) as integer) as orders_365d,
        cast(coalesce(tag_consumption__spend.spend_30d, 0) as decimal(14, 2)) as spend_30d,
        cast(coalesce(tag_consumption__spend.spend_90d, 0) as decimal(14, 2)) as spend_90d,
        cast(coalesce(tag_consumption__spend.spend_365d, 0) as decimal(14, 2)) as spend_365d,
        tag_consumption__spend.average_basket_365d,
        tag_consumption__spend.largest_basket_365d,
        cast(coalesce(tag_consumption__spend.units_365d, 0) as bigint) as units_365d,
        coalesce(tag_consumption__spend.is_fuel_buyer, false) as is_fuel_buyer,
        cast(coalesce(tag_consumption__spend.fuel_spend_365d, 0) as decimal(14, 2)) as fuel_spend_365d,
        tag_consumption__spend.spend_trend,
        cast(coalesce(tag_consumption__variety.distinct_products_365d, 0) as integer) as distinct_products_365d,
        cast(coalesce(tag_consumption__variety.departments_shopped_365d, 0) as integer) as departments_shopped_365d,
        tag_consumption__variety.repeat_product_share,
        tag_consumption__variety.novelty_index
    from spine
    left join tag_consumption__missions
        on spine.person_id = tag_consumption__missions.person_id
    left join tag_consumption__rhythm
        on spine.person_id = tag_consumption__rhythm.person_id
    left join tag_consumption__spend
        on spine.person_id = tag_consumption__spend.person_id
    left join tag_consumption__variety
        on spine.person_id = tag_consumption__variety.person_id
)

select * from side_by_side
