with store_visits as (
    select *
    from {{ ref('int_store_visits') }}
    where person_id is not null
),

per_person as (
    select
        person_id,
        {{ tagloom.count_in_last_days('visit_date', 30) }} as wifi_visits_30d,
        {{ tagloom.count_in_last_days('visit_date', 90) }} as wifi_visits_90d,
        max(visit_date) as last_wifi_visit_date,
        {{ tagloom.count_in_last_days('visit_date', 365) }} as visits,
        {{ tagloom.sum_in_last_days('duration_minutes', 'visit_date', 365) }} as minutes,
        {{ tagloom.count_in_last_days('visit_date', 365, 'not reached_checkout') }} as visits_unpaid
    from store_visits
    group by person_id
),

tagged as (
    select
        person_id,
        wifi_visits_30d,
        wifi_visits_90d,
        last_wifi_visit_date,
        {{ tagloom.ratio('minutes', 'visits', 1) }} as average_visit_minutes,
        {{ tagloom.share_index('visits_unpaid', 'visits') }} as browsing_visit_share
    from per_person
)

select * from tagged
