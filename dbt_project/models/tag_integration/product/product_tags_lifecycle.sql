-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select product_id
    from {{ ref('product_tags_spine') }}
),

tag_product__seasons as (
    select
        product_id,
        peak_month,
        is_seasonal,
        product_stage
    from {{ ref('tag_product__seasons') }}
),

side_by_side as (
    select
        spine.product_id,
        tag_product__seasons.peak_month,
        coalesce(tag_product__seasons.is_seasonal, false) as is_seasonal,
        tag_product__seasons.product_stage
    from spine
    left join tag_product__seasons
        on spine.product_id = tag_product__seasons.product_id
)

select * from side_by_side
