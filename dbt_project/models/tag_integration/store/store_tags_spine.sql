-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with known_keys as (
    select store_id
    from {{ ref('tag_store__assortment') }}
    union
    select store_id
    from {{ ref('tag_store__sales') }}
    union
    select store_id
    from {{ ref('tag_store__visits') }}
)

select * from known_keys
