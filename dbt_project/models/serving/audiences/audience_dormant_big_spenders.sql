with person_tags as (
    select
        person_id,
        rfm_segment,
        spend_365d,
        days_since_last_order,
        is_email_reachable,
        email_consent
    from {{ ref('person_tags') }}
),

dormant_big_spenders as (
    select
        person_id,
        rfm_segment,
        spend_365d,
        days_since_last_order
    from person_tags
    where
        rfm_segment = 'at risk'
        and is_email_reachable
        and coalesce(email_consent, true)
)

select * from dormant_big_spenders
