-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select person_id
    from {{ ref('persons') }}
),

tag_location__stores as (
    select
        person_id,
        last_store_id,
        store_pattern,
        has_changed_store,
        has_weekend_store
    from {{ ref('tag_location__stores') }}
),

side_by_side as (
    select
        spine.person_id,
        tag_location__stores.last_store_id,
        tag_location__stores.store_pattern,
        coalesce(tag_location__stores.has_changed_store, false) as has_changed_store,
        coalesce(tag_location__stores.has_weekend_store, false) as has_weekend_store
    from spine
    left join tag_location__stores
        on spine.person_id = tag_location__stores.person_id
)

select * from side_by_side
