-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select store_id
    from {{ ref('store_tags_spine') }}
),

tag_store__visits as (
    select
        store_id,
        wifi_visits_90d,
        average_visit_minutes_90d,
        checkout_share_90d
    from {{ ref('tag_store__visits') }}
),

side_by_side as (
    select
        spine.store_id,
        tag_store__visits.wifi_visits_90d,
        tag_store__visits.average_visit_minutes_90d,
        tag_store__visits.checkout_share_90d
    from spine
    left join tag_store__visits
        on spine.store_id = tag_store__visits.store_id
)

select * from side_by_side
