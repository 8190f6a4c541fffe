with persons as (
    select person_id from {{ ref('persons') }}
),

activity as (
    select
        persons.person_id,
        spend.orders_90d,
        web.web_sessions_90d,
        store_visits.wifi_visits_90d,
        response.coupons_redeemed_365d,
        coalesce(reach.has_app, false) as has_app,
        coalesce(reach.wants_newsletter, false) as wants_newsletter
    from persons
    left join {{ ref('tag_consumption__spend') }} as spend
        on persons.person_id = spend.person_id
    left join {{ ref('tag_behaviour__web') }} as web
        on persons.person_id = web.person_id
    left join {{ ref('tag_behaviour__store_visits') }} as store_visits
        on persons.person_id = store_visits.person_id
    left join {{ ref('tag_marketing__response') }} as response
        on persons.person_id = response.person_id
    left join {{ ref('tag_channel__reach') }} as reach
        on persons.person_id = reach.person_id
),

scored as (
    select
        person_id,
        cast(round(
            {{ tagloom.points('orders_90d', 24, 50) }}
            + {{ tagloom.points('web_sessions_90d', 6, 15) }}
            + {{ tagloom.points('wifi_visits_90d', 12, 10) }}
            + {{ tagloom.points('coupons_redeemed_365d', 4, 10) }}
            + case when has_app then 8 else 0 end
            + case when wants_newsletter then 7 else 0 end
        ) as integer) as engagement_score
    from activity
),

tagged as (
    select
        person_id,
        engagement_score,
        case
            when engagement_score >= 60 then 'high'
            when engagement_score >= 30 then 'medium'
            when engagement_score > 0 then 'low'
            else 'none'
        end as engagement_level
    from scored
)

select * from tagged
