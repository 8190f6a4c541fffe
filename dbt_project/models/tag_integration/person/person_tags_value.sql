-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select person_id
    from {{ ref('persons') }}
),

tag_value__rfm as (
    select
        person_id,
        recency_score,
        frequency_score,
        monetary_score,
        rfm_cell,
        rfm_segment
    from {{ ref('tag_value__rfm') }}
),

tag_value__spend as (
    select
        person_id,
        lifetime_spend,
        spend_decile_365d,
        spend_tier
    from {{ ref('tag_value__spend') }}
),

side_by_side as (
    select
        spine.person_id,
        tag_value__rfm.recency_score,
        tag_value__rfm.frequency_score,
        tag_value__rfm.monetary_score,
        tag_value__rfm.rfm_cell,
        tag_value__rfm.rfm_segment,
        cast(coalesce(tag_value__spend.lifetime_spend, 0) as decimal(14, 2)) as lifetime_spend,
        tag_value__spend.spend_decile_365d,
        tag_value__spend.spend_tier
    from spine
    left join tag_value__rfm
        on spine.person_id = tag_value__rfm.person_id
    left join tag_value__spend
        on spine.person_id = tag_value__spend.person_id
)

select * from side_by_side
