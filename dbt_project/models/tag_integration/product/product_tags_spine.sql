-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with known_keys as (
    select product_id
    from {{ ref('tag_product__seasons') }}
    union
    select product_id
    from {{ ref('tag_product__price') }}
    union
    select product_id
    from {{ ref('tag_product__sales') }}
)

select * from known_keys
