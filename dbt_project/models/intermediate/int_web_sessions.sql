{{ config(meta={'replaced': {
    'from': 'started_at',
    'to': 'ended_at',
    'facts': {'stg_web__events': 'occurred_at'},
    'of': {'web_user_id': 'web_account_hash'},
    'identifier': {'web_account': 'web_account_hash'},
}}) }}

with events as (
    select * from {{ ref('stg_web__events') }}
),

identity_map as (
    select
        identifier_type,
        identifier_hash,
        person_id
    from {{ ref('identity_map') }}
),

accounts_and_their_persons as (
    {{ tagloom.persons_by_identifier('web_account', 'web_user_id', 'events') }}
),

events_with_the_one_before as (
    select
        *,
        lag(occurred_at) over (
            partition by web_user_id
            order by occurred_at asc, event_id asc
        ) as previous_at
    from events
    where {{ tagloom.known_by_as_of_date(tagloom.local_date('occurred_at')) }}
),

events_that_start_a_session as (
    select
        *,
        case
            when {{ tagloom.starts_new_session('previous_at', 'occurred_at') }} then 1
            else 0
        end as session_start
    from events_with_the_one_before
),

events_with_session_number as (
    select
        *,
        sum(session_start) over (
            partition by web_user_id
            order by occurred_at asc, event_id asc
            rows between unbounded preceding and current row
        ) as session_number
    from events_that_start_a_session
),

events_added_up_per_session as (
    select
        web_user_id,
        session_number,
        max(case when session_start = 1 then event_id end) as web_session_id,
        max(case when session_start = 1 then platform end) as platform,
        max(case when session_start = 1 then channel end) as channel,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        count(*) as events,
        sum(case when event_type = 'product_view' then 1 else 0 end) as product_views,
        sum(case when event_type = 'search' then 1 else 0 end) as searches,
        sum(case when event_type = 'add_to_cart' then 1 else 0 end) as cart_adds,
        sum(case when event_type = 'cart' then 1 else 0 end) as cart_views,
        sum(case when event_type = 'wishlist_add' then 1 else 0 end) as wishlist_adds,
        sum(case when event_type = 'review_page' then 1 else 0 end) as reviews,
        sum(case when event_type = 'payment_details' then 1 else 0 end) as payments,
        sum(case when event_type = 'purchase' then 1 else 0 end) as purchases,
        sum(case when event_type = 'payment_error' then 1 else 0 end) as payment_errors,
        sum(case when event_type = 'checkout_bug' then 1 else 0 end) as checkout_bugs,
        sum(case when event_type = 'support_chat' then 1 else 0 end) as support_chats
    from events_with_session_number
    group by web_user_id, session_number
),

sessions_of_persons as (
    select
        events_added_up_per_session.web_session_id,
        accounts_and_their_persons.person_id,
        accounts_and_their_persons.identifier_hash as web_account_hash,
        events_added_up_per_session.started_at,
        events_added_up_per_session.ended_at,
        {{ tagloom.local_date('events_added_up_per_session.started_at') }} as session_date,
        {{ tagloom.seconds_between(
            'events_added_up_per_session.started_at', 'events_added_up_per_session.ended_at'
        ) }} as duration_seconds,
        cast(events_added_up_per_session.events as int) as events,
        cast(events_added_up_per_session.product_views as int) as product_views,
        cast(events_added_up_per_session.searches as int) as searches,
        cast(events_added_up_per_session.cart_adds as int) as cart_adds,
        cast(events_added_up_per_session.wishlist_adds as int) as wishlist_adds,
        cast(events_added_up_per_session.reviews as int) as reviews,
        events_added_up_per_session.cart_adds + events_added_up_per_session.cart_views > 0
            as has_cart,
        events_added_up_per_session.payments > 0 as has_payment,
        events_added_up_per_session.purchases > 0 as has_purchase,
        events_added_up_per_session.payment_errors > 0 as has_payment_error,
        events_added_up_per_session.checkout_bugs > 0 as has_checkout_bug,
        events_added_up_per_session.support_chats > 0 as has_support_chat,
        events_added_up_per_session.platform,
        events_added_up_per_session.channel
    from events_added_up_per_session
    left join accounts_and_their_persons
        on events_added_up_per_session.web_user_id = accounts_and_their_persons.web_user_id
)

select * from sessions_of_persons
