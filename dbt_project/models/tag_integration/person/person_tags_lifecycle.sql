-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select person_id
    from {{ ref('persons') }}
),

tag_lifecycle__onboarding as (
    select
        person_id,
        onboarding_step,
        days_to_second_order,
        is_reactivated
    from {{ ref('tag_lifecycle__onboarding') }}
),

tag_lifecycle__stage as (
    select
        person_id,
        first_order_date,
        last_order_date,
        days_since_last_order,
        expected_cycle_days,
        silence_ratio,
        lifecycle_stage,
        is_due_for_purchase
    from {{ ref('tag_lifecycle__stage') }}
),

side_by_side as (
    select
        spine.person_id,
        tag_lifecycle__onboarding.onboarding_step,
        tag_lifecycle__onboarding.days_to_second_order,
        coalesce(tag_lifecycle__onboarding.is_reactivated, false) as is_reactivated,
        tag_lifecycle__stage.first_order_date,
        tag_lifecycle__stage.last_order_date,
        tag_lifecycle__stage.days_since_last_order,
        tag_lifecycle__stage.expected_cycle_days,
        tag_lifecycle__stage.silence_ratio,
        tag_lifecycle__stage.lifecycle_stage,
        coalesce(tag_lifecycle__stage.is_due_for_purchase, false) as is_due_for_purchase
    from spine
    left join tag_lifecycle__onboarding
        on spine.person_id = tag_lifecycle__onboarding.person_id
    left join tag_lifecycle__stage
        on spine.person_id = tag_lifecycle__stage.person_id
)

select * from side_by_side
