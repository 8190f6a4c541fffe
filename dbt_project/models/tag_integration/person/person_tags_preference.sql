-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select person_id
    from {{ ref('persons') }}
),

tag_preference__assortment as (
    select
        person_id,
        favourite_department,
        favourite_department_index,
        favourite_category,
        favourite_category_index,
        distinctive_department,
        distinctive_department_lift
    from {{ ref('tag_preference__assortment') }}
),

tag_preference__needs as (
    select
        person_id,
        pet_kind,
        has_baby_needs,
        is_alcohol_buyer,
        is_tobacco_buyer
    from {{ ref('tag_preference__needs') }}
),

tag_preference__price as (
    select
        person_id,
        private_label_index,
        brand_kind_preference,
        discount_index,
        discount_affinity,
        saved_365d,
        coupon_order_share
    from {{ ref('tag_preference__price') }}
),

tag_preference__store as (
    select
        person_id,
        favourite_store_id,
        favourite_store_index,
        stores_shopped_365d
    from {{ ref('tag_preference__store') }}
),

tag_preference__tastes as (
    select
        person_id,
        signature_category,
        signature_category_index,
        signature_categories,
        fresh_food_index,
        convenience_food_index,
        home_cooking_index,
        eating_style
    from {{ ref('tag_preference__tastes') }}
),

side_by_side as (
    select
        spine.person_id,
        tag_preference__assortment.favourite_department,
        tag_preference__assortment.favourite_department_index,
        tag_preference__assortment.favourite_category,
        tag_preference__assortment.favourite_category_index,
        tag_preference__assortment.distinctive_department,
        tag_preference__assortment.distinctive_department_lift,
        tag_preference__needs.pet_kind,
        coalesce(tag_preference__needs.has_baby_needs, false) as has_baby_needs,
        coalesce(tag_preference__needs.is_alcohol_buyer, false) as is_alcohol_buyer,
        coalesce(tag_preference__needs.is_tobacco_buyer, false) as is_tobacco_buyer,
        tag_preference__price.private_label_index,
        tag_preference__price.brand_kind_preference,
        tag_preference__price.discount_index,
        tag_preference__price.discount_affinity,
        cast(coalesce(tag_preference__price.saved_365d, 0) as decimal(14, 2)) as saved_365d,
        tag_preference__price.coupon_order_share,
        tag_preference__store.favourite_store_id,
        tag_preference__store.favourite_store_index,
        cast(coalesce(tag_preference__store.stores_shopped_365d, 0) as integer) as stores_shopped_365d,
        tag_preference__tastes.signature_category,
        tag_preference__tastes.signature_category_index,
        tag_preference__tastes.signature_categories,
        tag_preference__tastes.fresh_food_index,
        tag_preference__tastes.convenience_food_index,
        tag_preference__tastes.home_cooking_index,
        tag_preference__tastes.eating_style
    from spine
    left join tag_preference__assortment
        on spine.person_id = tag_preference__assortment.person_id
    left join tag_preference__needs
        on spine.person_id = tag_preference__needs.person_id
    left join tag_preference__price
        on spine.person_id = tag_preference__price.person_id
    left join tag_preference__store
        on spine.person_id = tag_preference__store.person_id
    left join tag_preference__tastes
        on spine.person_id = tag_preference__tastes.person_id
)

select * from side_by_side
