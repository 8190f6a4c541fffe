with web_sessions as (
    select *
    from {{ ref('int_web_sessions') }}
    where person_id is not null
),

per_person as (
    select
        person_id,
        {{ tagloom.count_in_last_days('session_date', 30) }} as web_sessions_30d,
        {{ tagloom.count_in_last_days('session_date', 90) }} as web_sessions_90d,
        {{ tagloom.count_in_last_days('session_date', 365) }} as web_sessions_365d,
        max(session_date) as last_web_visit_date,
        {{ tagloom.sum_in_last_days('searches', 'session_date', 365) }} as searches,
        {{ tagloom.sum_in_last_days('wishlist_adds', 'session_date', 365) }} as wishlist_adds,
        {{ tagloom.sum_in_last_days('product_views', 'session_date', 365) }} as product_views
    from web_sessions
    group by person_id
),

platforms as (
    select
        person_id,
        platform,
        row_number() over (
            partition by person_id order by count(*) desc, max(started_at) desc, platform asc
        ) as place
    from web_sessions
    where platform is not null
    group by person_id, platform
),

channels as (
    select
        person_id,
        channel,
        row_number() over (
            partition by person_id order by count(*) desc, max(started_at) desc, channel asc
        ) as place
    from web_sessions
    where channel is not null
    group by person_id, channel
),

tagged as (
    select
        per_person.person_id,
        per_person.web_sessions_30d,
        per_person.web_sessions_90d,
        per_person.web_sessions_365d,
        per_person.last_web_visit_date,
        cast(per_person.searches as integer) as web_searches_365d,
        cast(per_person.wishlist_adds as integer) as wishlist_adds_365d,
        {{ tagloom.ratio('per_person.product_views', 'per_person.web_sessions_365d', 1) }}
            as product_views_per_session,
        platforms.platform as usual_web_platform,
        channels.channel as usual_web_entry
    from per_person
    left join platforms on per_person.person_id = platforms.person_id and platforms.place = 1
    left join channels on per_person.person_id = channels.person_id and channels.place = 1
)

select * from tagged
