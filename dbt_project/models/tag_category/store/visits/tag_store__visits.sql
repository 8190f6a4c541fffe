with store_visits as (
    select *
    from {{ ref('int_store_visits') }}
    where store_id is not null
),

per_store as (
    select
        store_id,
        {{ tagloom.count_in_last_days('visit_date', 90) }} as wifi_visits_90d,
        {{ tagloom.count_in_last_days('visit_date', 90, 'reached_checkout') }}
            as visits_to_checkout,
        {{ tagloom.sum_in_last_days('duration_minutes', 'visit_date', 90) }} as minutes
    from store_visits
    group by store_id
),

tagged as (
    select
        store_id,
        wifi_visits_90d,
        {{ tagloom.ratio('minutes', 'wifi_visits_90d', 1) }} as average_visit_minutes_90d,
        {{ tagloom.share_index('visits_to_checkout', 'wifi_visits_90d') }} as checkout_share_90d
    from per_store
)

select * from tagged
