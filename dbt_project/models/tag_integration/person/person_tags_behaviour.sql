-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select person_id
    from {{ ref('persons') }}
),

tag_behaviour__cart as (
    select
        person_id,
        has_abandoned_cart_30d,
        abandoned_carts_365d,
        cart_abandonment_rate,
        last_abandoned_cart_date,
        failed_payments_365d
    from {{ ref('tag_behaviour__cart') }}
),

tag_behaviour__funnel as (
    select
        person_id,
        deepest_web_step_30d,
        deepest_web_step_365d,
        usual_web_exit
    from {{ ref('tag_behaviour__funnel') }}
),

tag_behaviour__journeys as (
    select
        person_id,
        search_days_bought_365d,
        search_to_order_rate,
        has_unmet_search,
        long_looks_365d,
        repeat_view_days_365d,
        last_cart_outcome
    from {{ ref('tag_behaviour__journeys') }}
),

tag_behaviour__store_visits as (
    select
        person_id,
        wifi_visits_30d,
        wifi_visits_90d,
        last_wifi_visit_date,
        average_visit_minutes,
        browsing_visit_share
    from {{ ref('tag_behaviour__store_visits') }}
),

tag_behaviour__web as (
    select
        person_id,
        web_sessions_30d,
        web_sessions_90d,
        web_sessions_365d,
        last_web_visit_date,
        web_searches_365d,
        wishlist_adds_365d,
        product_views_per_session,
        usual_web_platform,
        usual_web_entry
    from {{ ref('tag_behaviour__web') }}
),

side_by_side as (
    select
        spine.person_id,
        coalesce(tag_behaviour__cart.has_abandoned_cart_30d, false) as has_abandoned_cart_30d,
        cast(coalesce(tag_behaviour__cart.abandoned_carts_365d, 0) as integer) as abandoned_carts_365d,
        tag_behaviour__cart.cart_abandonment_rate,
        tag_behaviour__cart.last_abandoned_cart_date,
        cast(coalesce(tag_behaviour__cart.failed_payments_365d, 0) as integer) as failed_payments_365d,
        tag_behaviour__funnel.deepest_web_step_30d,
        tag_behaviour__funnel.deepest_web_step_365d,
        tag_behaviour__funnel.usual_web_exit,
        cast(coalesce(tag_behaviour__journeys.search_days_bought_365d, 0) as integer) as search_days_bought_365d,
        tag_behaviour__journeys.search_to_order_rate,
        coalesce(tag_behaviour__journeys.has_unmet_search, false) as has_unmet_search,
        cast(coalesce(tag_behaviour__journeys.long_looks_365d, 0) as integer) as long_looks_365d,
        cast(coalesce(tag_behaviour__journeys.repeat_view_days_365d, 0) as integer) as repeat_view_days_365d,
        tag_behaviour__journeys.last_cart_outcome,
        tag_behaviour__store_visits.wifi_visits_30d,
        tag_behaviour__store_visits.wifi_visits_90d,
        tag_behaviour__store_visits.last_wifi_visit_date,
        tag_behaviour__store_visits.average_visit_minutes,
        tag_behaviour__store_visits.browsing_visit_share,
        cast(coalesce(tag_behaviour__web.web_sessions_30d, 0) as integer) as web_sessions_30d,
        cast(coalesce(tag_behaviour__web.web_sessions_90d, 0) as integer) as web_sessions_90d,
        cast(coalesce(tag_behaviour__web.web_sessions_365d, 0) as integer) as web_sessions_365d,
        tag_behaviour__web.last_web_visit_date,
        cast(coalesce(tag_behaviour__web.web_searches_365d, 0) as integer) as web_searches_365d,
        cast(coalesce(tag_behaviour__web.wishlist_adds_365d, 0) as integer) as wishlist_adds_365d,
        tag_behaviour__web.product_views_per_session,
        tag_behaviour__web.usual_web_platform,
        tag_behaviour__web.usual_web_entry
    from spine
    left join tag_behaviour__cart
        on spine.person_id = tag_behaviour__cart.person_id
    left join tag_behaviour__funnel
        on spine.person_id = tag_behaviour__funnel.person_id
    left join tag_behaviour__journeys
        on spine.person_id = tag_behaviour__journeys.person_id
    left join tag_behaviour__store_visits
        on spine.person_id = tag_behaviour__store_visits.person_id
    left join tag_behaviour__web
        on spine.person_id = tag_behaviour__web.person_id
)

select * from side_by_side
