-- Where a source knows the day alone, the event stands at its midnight.
with purchases as (
    select
        person_id,
        'purchase' as event,
        ordered_at as happened_at,
        order_date as happened_on,
        sales_amount as amount,
        units as quantity,
        concat('store ', store_id) as what,
        'pos' as source
    from {{ ref('int_orders') }}
),

web_visits as (
    select
        person_id,
        'web_visit' as event,
        started_at as happened_at,
        session_date as happened_on,
        cast(null as decimal(14, 2)) as amount,
        events as quantity,
        platform as what,
        'web' as source
    from {{ ref('int_web_sessions') }}
),

web_actions as (
    select
        person_id,
        case event_type
            when 'add_to_cart' then 'cart'
            when 'wishlist_add' then 'wish_list'
            when 'payment_details' then 'payment'
            when 'payment_error' then 'payment_failed'
            when 'purchase' then 'web_purchase'
            else event_type
        end as event,
        occurred_at as happened_at,
        event_date as happened_on,
        cast(null as decimal(14, 2)) as amount,
        cast(null as integer) as quantity,
        platform as what,
        'web' as source
    from {{ ref('int_web_events') }}
    where
        event_type in (
            'product_view', 'search', 'add_to_cart', 'wishlist_add', 'payment_details', 'payment_error',
            'purchase', 'support_chat'
        )
),

store_visits as (
    select
        person_id,
        'store_visit' as event,
        started_at as happened_at,
        visit_date as happened_on,
        cast(null as decimal(14, 2)) as amount,
        cast(null as integer) as quantity,
        concat('store ', store_id) as what,
        'wifi' as source
    from {{ ref('int_store_visits') }}
),

campaigns_sent as (
    select
        person_id,
        'campaign_sent' as event,
        cast(start_date as timestamp) as happened_at,
        start_date as happened_on,
        cast(null as decimal(14, 2)) as amount,
        cast(null as integer) as quantity,
        concat('campaign ', campaign_id) as what,
        'campaigns' as source
    from {{ ref('int_campaign_targets') }}
),

coupons_redeemed as (
    select
        person_id,
        'coupon_redeemed' as event,
        cast(redemption_date as timestamp) as happened_at,
        redemption_date as happened_on,
        cast(null as decimal(14, 2)) as amount,
        cast(null as integer) as quantity,
        concat('campaign ', campaign_id) as what,
        'campaigns' as source
    from {{ ref('int_coupon_redemptions') }}
),

tickets_opened as (
    select
        person_id,
        'support_ticket' as event,
        opened_at as happened_at,
        opened_date as happened_on,
        cast(null as decimal(14, 2)) as amount,
        cast(null as integer) as quantity,
        topic as what,
        'support' as source
    from {{ ref('int_support_tickets') }}
),

tickets_closed as (
    select
        person_id,
        'ticket_closed' as event,
        closed_at as happened_at,
        closed_date as happened_on,
        cast(null as decimal(14, 2)) as amount,
        satisfaction as quantity,
        topic as what,
        'support' as source
    from {{ ref('int_support_tickets') }}
    where closed_at is not null
),

apps_installed as (
    select
        person_id,
        'app_installed' as event,
        cast(installed_date as timestamp) as happened_at,
        installed_date as happened_on,
        cast(null as decimal(14, 2)) as amount,
        cast(null as integer) as quantity,
        platform as what,
        'app' as source
    from {{ ref('int_app_installations') }}
),

all_events as (
    select * from purchases
    union all
    select * from web_visits
    union all
    select * from web_actions
    union all
    select * from store_visits
    union all
    select * from campaigns_sent
    union all
    select * from coupons_redeemed
    union all
    select * from tickets_opened
    union all
    select * from tickets_closed
    union all
    select * from apps_installed
),

events_of_persons as (
    select
        person_id,
        cast(event as {{ dbt.type_string() }}) as event,
        happened_at,
        happened_on,
        cast(amount as decimal(14, 2)) as amount,
        cast(quantity as integer) as quantity,
        cast(what as {{ dbt.type_string() }}) as what,
        cast(source as {{ dbt.type_string() }}) as source,
        cast(
            row_number() over (
                partition by person_id, event, happened_at, what order by amount, quantity
            ) as integer
        ) as number
    from all_events
    where person_id is not null
)

select * from events_of_persons
