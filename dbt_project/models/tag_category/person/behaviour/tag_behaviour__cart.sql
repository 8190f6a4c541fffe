with web_sessions as (
    select *
    from {{ ref('int_web_sessions') }}
    where person_id is not null
),

sessions_with_next_purchase as (
    -- a person's accounts together: a cart of one account may be bought with another
    select
        *,
        min(case when has_purchase then started_at end) over (
            partition by person_id
            order by started_at, web_session_id
            rows between 1 following and unbounded following
        ) as next_purchase_at
    from web_sessions
),

carts as (
    -- a cart of as_of_date itself still has hours to be paid in
    select
        person_id,
        session_date,
        has_payment_error,
        not has_purchase
        and (
            next_purchase_at is null
            or {{ tagloom.seconds_between('ended_at', 'next_purchase_at') }} > 24 * 60 * 60
        ) as is_abandoned
    from sessions_with_next_purchase
    where has_cart and session_date < {{ tagloom.as_of_date() }}
),

per_person as (
    select
        person_id,
        {{ tagloom.count_in_last_days('session_date', 365) }} as carts,
        {{ tagloom.count_in_last_days('session_date', 30, 'is_abandoned') }} as abandoned_30d,
        {{ tagloom.count_in_last_days('session_date', 365, 'is_abandoned') }} as abandoned_365d,
        {{ tagloom.count_in_last_days('session_date', 365, 'is_abandoned and has_payment_error') }}
            as failed_payments,
        max(case when is_abandoned then session_date end) as last_abandoned_cart_date
    from carts
    group by person_id
),

tagged as (
    select
        person_id,
        abandoned_30d > 0 as has_abandoned_cart_30d,
        abandoned_365d as abandoned_carts_365d,
        {{ tagloom.share_index('abandoned_365d', 'carts') }} as cart_abandonment_rate,
        last_abandoned_cart_date,
        failed_payments as failed_payments_365d
    from per_person
)

select * from tagged
