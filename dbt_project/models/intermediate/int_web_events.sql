{{ config(meta={'replaced': {'from': 'occurred_at', 'with': 'int_web_sessions'}}) }}

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

events_with_their_neighbours as (
    select
        *,
        lag(occurred_at) over (
            partition by web_user_id
            order by occurred_at asc, event_id asc
        ) as previous_at,
        lead(occurred_at) over (
            partition by web_user_id
            order by occurred_at asc, event_id asc
        ) as next_at
    from events
    where {{ tagloom.known_by_as_of_date(tagloom.local_date('occurred_at')) }}
),

events_with_session_number as (
    select
        *,
        {{ tagloom.starts_new_session('occurred_at', 'next_at') }} as is_followed_by_new_session,
        sum(case when {{ tagloom.starts_new_session('previous_at', 'occurred_at') }} then 1 else 0 end)
            over (
                partition by web_user_id
                order by occurred_at asc, event_id asc
                rows between unbounded preceding and current row
            )
            as session_number
    from events_with_their_neighbours
),

events_with_their_session as (
    select
        *,
        first_value(event_id) over (
            partition by web_user_id, session_number
            order by occurred_at asc, event_id asc
        ) as web_session_id
    from events_with_session_number
),

events_of_persons as (
    select
        events_with_their_session.event_id,
        accounts_and_their_persons.person_id,
        accounts_and_their_persons.identifier_hash as web_account_hash,
        events_with_their_session.web_session_id,
        events_with_their_session.event_type,
        -- What is done on a page, such as add_to_cart, opens none.
        case
            when
                events_with_their_session.event_type not in (
                    'add_to_cart', 'wishlist_add', 'filter_results',
                    'payment_error', 'checkout_bug', 'support_chat'
                )
                then events_with_their_session.event_type
        end as page,
        case
            when events_with_their_session.event_type = 'purchase' then 5
            when
                events_with_their_session.event_type in (
                    'shipping_details', 'payment_details', 'payment_error', 'checkout_bug'
                )
                then 4
            when events_with_their_session.event_type in ('add_to_cart', 'cart') then 3
            when
                events_with_their_session.event_type in (
                    'product_view', 'compare', 'review_page', 'wishlist_add'
                )
                then 2
            else 1
        end as funnel_step,
        events_with_their_session.occurred_at,
        {{ tagloom.local_date('events_with_their_session.occurred_at') }} as event_date,
        case
            when not events_with_their_session.is_followed_by_new_session
                then {{ tagloom.seconds_between(
                    'events_with_their_session.occurred_at', 'events_with_their_session.next_at'
                ) }}
        end as seconds_to_next,
        events_with_their_session.platform,
        events_with_their_session.channel
    from events_with_their_session
    left join accounts_and_their_persons
        on events_with_their_session.web_user_id = accounts_and_their_persons.web_user_id
)

select * from events_of_persons
