with person_tags as (
    select
        person_id,
        last_abandoned_cart_date,
        usual_web_platform,
        is_push_reachable,
        has_abandoned_cart_30d
    from {{ ref('person_tags') }}
),

left_cart as (
    select
        person_id,
        last_abandoned_cart_date,
        usual_web_platform,
        is_push_reachable
    from person_tags
    where has_abandoned_cart_30d
)

select * from left_cart
