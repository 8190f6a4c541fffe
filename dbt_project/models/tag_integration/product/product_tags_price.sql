-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select product_id
    from {{ ref('product_tags_spine') }}
),

tag_product__price as (
    select
        product_id,
        average_price_365d,
        price_band,
        is_private_label,
        discounted_order_share,
        is_coupon_product
    from {{ ref('tag_product__price') }}
),

side_by_side as (
    select
        spine.product_id,
        tag_product__price.average_price_365d,
        tag_product__price.price_band,
        tag_product__price.is_private_label,
        tag_product__price.discounted_order_share,
        coalesce(tag_product__price.is_coupon_product, false) as is_coupon_product
    from spine
    left join tag_product__price
        on spine.product_id = tag_product__price.product_id
)

select * from side_by_side
