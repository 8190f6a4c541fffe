-- Written by `make tags` from sources/*.yml; change those, not this file.
with policy as (
    select
        identifier_type,
        blocked_pattern
    from {{ ref('identity_policy') }}
),

accounts__accounts as (
    select
        web_user_id,
        loyalty_card,
        email,
        phone,
        {{ tagloom.record_hash(
            'accounts.accounts',
            ['web_user_id', 'loyalty_card', 'email', 'phone']
        ) }} as record_hash,
        cast(min(created_at) as timestamp) as first_seen_at,
        cast(max(created_at) as timestamp) as last_seen_at,
        count(*) as records
    from {{ ref('stg_accounts__accounts') }}
    where {{ tagloom.known_by_as_of_date('cast(' ~ tagloom.local_time('created_at') ~ ' as date)') }}
    group by web_user_id, loyalty_card, email, phone
),

app__devices as (
    select
        app_device_id,
        web_user_id,
        device_mac,
        email,
        phone,
        {{ tagloom.record_hash(
            'app.devices',
            ['app_device_id', 'web_user_id', 'device_mac', 'email', 'phone']
        ) }} as record_hash,
        cast(min(installed_at) as timestamp) as first_seen_at,
        cast(max(installed_at) as timestamp) as last_seen_at,
        count(*) as records
    from {{ ref('stg_app__devices') }}
    where {{ tagloom.known_by_as_of_date('cast(' ~ tagloom.local_time('installed_at') ~ ' as date)') }}
    group by app_device_id, web_user_id, device_mac, email, phone
),

campaigns__targets as (
    select
        card_number,
        {{ tagloom.record_hash(
            'campaigns.targets',
            ['card_number']
        ) }} as record_hash,
        cast(null as timestamp) as first_seen_at,
        cast(null as timestamp) as last_seen_at,
        count(*) as records
    from {{ ref('stg_campaigns__targets') }}
    group by card_number
),

campaigns__redemptions as (
    select
        card_number,
        {{ tagloom.record_hash(
            'campaigns.redemptions',
            ['card_number']
        ) }} as record_hash,
        cast(min(redemption_date) as timestamp) as first_seen_at,
        cast(max(redemption_date) as timestamp) as last_seen_at,
        count(*) as records
    from {{ ref('stg_campaigns__redemptions') }}
    where {{ tagloom.known_by_as_of_date('redemption_date') }}
    group by card_number
),

crm__customers as (
    select
        customer_number,
        loyalty_card,
        national_id,
        email,
        phone,
        {{ tagloom.record_hash(
            'crm.customers',
            ['customer_number', 'loyalty_card', 'national_id', 'email', 'phone']
        ) }} as record_hash,
        cast(min(created_at) as timestamp) as first_seen_at,
        cast(max(created_at) as timestamp) as last_seen_at,
        count(*) as records
    from {{ ref('stg_crm__customers') }}
    where {{ tagloom.known_by_as_of_date('cast(' ~ tagloom.local_time('created_at') ~ ' as date)') }}
    group by customer_number, loyalty_card, national_id, email, phone
),

lists__entries as (
    select
        card_number,
        customer_number,
        email,
        phone,
        {{ tagloom.record_hash(
            'lists.entries',
            ['card_number', 'customer_number', 'email', 'phone']
        ) }} as record_hash,
        cast(min(set_on) as timestamp) as first_seen_at,
        cast(max(set_on) as timestamp) as last_seen_at,
        count(*) as records
    from {{ ref('stg_lists__entries') }}
    where {{ tagloom.known_by_as_of_date('set_on') }}
    group by card_number, customer_number, email, phone
),

loyalty__cards as (
    select
        card_number,
        email,
        phone,
        {{ tagloom.record_hash(
            'loyalty.cards',
            ['card_number', 'email', 'phone']
        ) }} as record_hash,
        cast(min(registered_at) as timestamp) as first_seen_at,
        cast(max(registered_at) as timestamp) as last_seen_at,
        count(*) as records
    from {{ ref('stg_loyalty__cards') }}
    where {{ tagloom.known_by_as_of_date('cast(' ~ tagloom.local_time('registered_at') ~ ' as date)') }}
    group by card_number, email, phone
),

pos__basket_lines as (
    select
        card_number,
        {{ tagloom.record_hash(
            'pos.basket_lines',
            ['card_number']
        ) }} as record_hash,
        cast(min(sold_at) as timestamp) as first_seen_at,
        cast(max(sold_at) as timestamp) as last_seen_at,
        count(*) as records
    from {{ ref('stg_pos__basket_lines') }}
    where {{ tagloom.known_by_as_of_date('cast(' ~ tagloom.local_time('sold_at') ~ ' as date)') }}
    group by card_number
),

scores__scores as (
    select
        card_number,
        {{ tagloom.record_hash(
            'scores.scores',
            ['card_number']
        ) }} as record_hash,
        cast(min(scored_at) as timestamp) as first_seen_at,
        cast(max(scored_at) as timestamp) as last_seen_at,
        count(*) as records
    from {{ ref('stg_scores__scores') }}
    where {{ tagloom.known_by_as_of_date('cast(' ~ tagloom.local_time('scored_at') ~ ' as date)') }}
    group by card_number
),

support__tickets as (
    select
        requester_id,
        email,
        phone,
        {{ tagloom.record_hash(
            'support.tickets',
            ['requester_id', 'email', 'phone']
        ) }} as record_hash,
        cast(min(opened_at) as timestamp) as first_seen_at,
        cast(max(opened_at) as timestamp) as last_seen_at,
        count(*) as records
    from {{ ref('stg_support__tickets') }}
    where {{ tagloom.known_by_as_of_date('cast(' ~ tagloom.local_time('opened_at') ~ ' as date)') }}
    group by requester_id, email, phone
),

survey__respondents as (
    select
        card_number,
        {{ tagloom.record_hash(
            'survey.respondents',
            ['card_number']
        ) }} as record_hash,
        cast(null as timestamp) as first_seen_at,
        cast(null as timestamp) as last_seen_at,
        count(*) as records
    from {{ ref('stg_survey__respondents') }}
    group by card_number
),

web__events as (
    select
        web_user_id,
        {{ tagloom.record_hash(
            'web.events',
            ['web_user_id']
        ) }} as record_hash,
        cast(min(occurred_at) as timestamp) as first_seen_at,
        cast(max(occurred_at) as timestamp) as last_seen_at,
        count(*) as records
    from {{ ref('stg_web__events') }}
    where {{ tagloom.known_by_as_of_date('cast(' ~ tagloom.local_time('occurred_at') ~ ' as date)') }}
    group by web_user_id
),

wifi__sightings as (
    select
        device_mac,
        login_email,
        {{ tagloom.record_hash(
            'wifi.sightings',
            ['device_mac', 'login_email']
        ) }} as record_hash,
        cast(min(seen_at) as timestamp) as first_seen_at,
        cast(max(seen_at) as timestamp) as last_seen_at,
        count(*) as records
    from {{ ref('stg_wifi__sightings') }}
    where {{ tagloom.known_by_as_of_date('cast(' ~ tagloom.local_time('seen_at') ~ ' as date)') }}
    group by device_mac, login_email
),

identifiers_in_records as (
    select
        'accounts' as source,
        record_hash,
        'web_account' as identifier_type,
        web_user_id as identifier,
        {{ tagloom.identifier_hash('web_account', 'web_user_id') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from accounts__accounts
    where web_user_id is not null
    union all
    select
        'accounts' as source,
        record_hash,
        'loyalty_card' as identifier_type,
        loyalty_card as identifier,
        {{ tagloom.identifier_hash('loyalty_card', 'loyalty_card') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from accounts__accounts
    where loyalty_card is not null
    union all
    select
        'accounts' as source,
        record_hash,
        'email' as identifier_type,
        email as identifier,
        {{ tagloom.identifier_hash('email', 'email') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from accounts__accounts
    where email is not null
    union all
    select
        'accounts' as source,
        record_hash,
        'phone' as identifier_type,
        phone as identifier,
        {{ tagloom.identifier_hash('phone', 'phone') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from accounts__accounts
    where phone is not null
    union all
    select
        'app' as source,
        record_hash,
        'app_device' as identifier_type,
        app_device_id as identifier,
        {{ tagloom.identifier_hash('app_device', 'app_device_id') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from app__devices
    where app_device_id is not null
    union all
    select
        'app' as source,
        record_hash,
        'web_account' as identifier_type,
        web_user_id as identifier,
        {{ tagloom.identifier_hash('web_account', 'web_user_id') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from app__devices
    where web_user_id is not null
    union all
    select
        'app' as source,
        record_hash,
        'device_mac' as identifier_type,
        device_mac as identifier,
        {{ tagloom.identifier_hash('device_mac', 'device_mac') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from app__devices
    where device_mac is not null
    union all
    select
        'app' as source,
        record_hash,
        'email' as identifier_type,
        email as identifier,
        {{ tagloom.identifier_hash('email', 'email') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from app__devices
    where email is not null
    union all
    select
        'app' as source,
        record_hash,
        'phone' as identifier_type,
        phone as identifier,
        {{ tagloom.identifier_hash('phone', 'phone') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from app__devices
    where phone is not null
    union all
    select
        'campaigns' as source,
        record_hash,
        'loyalty_card' as identifier_type,
        card_number as identifier,
        {{ tagloom.identifier_hash('loyalty_card', 'card_number') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from campaigns__targets
    where card_number is not null
    union all
    select
        'campaigns' as source,
        record_hash,
        'loyalty_card' as identifier_type,
        card_number as identifier,
        {{ tagloom.identifier_hash('loyalty_card', 'card_number') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from campaigns__redemptions
    where card_number is not null
    union all
    select
        'crm' as source,
        record_hash,
        'crm_customer' as identifier_type,
        customer_number as identifier,
        {{ tagloom.identifier_hash('crm_customer', 'customer_number') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from crm__customers
    where customer_number is not null
    union all
    select
        'crm' as source,
        record_hash,
        'loyalty_card' as identifier_type,
        loyalty_card as identifier,
        {{ tagloom.identifier_hash('loyalty_card', 'loyalty_card') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from crm__customers
    where loyalty_card is not null
    union all
    select
        'crm' as source,
        record_hash,
        'national_id' as identifier_type,
        national_id as identifier,
        {{ tagloom.identifier_hash('national_id', 'national_id') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from crm__customers
    where national_id is not null
    union all
    select
        'crm' as source,
        record_hash,
        'email' as identifier_type,
        email as identifier,
        {{ tagloom.identifier_hash('email', 'email') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from crm__customers
    where email is not null
    union all
    select
        'crm' as source,
        record_hash,
        'phone' as identifier_type,
        phone as identifier,
        {{ tagloom.identifier_hash('phone', 'phone') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from crm__customers
    where phone is not null
    union all
    select
        'lists' as source,
        record_hash,
        'loyalty_card' as identifier_type,
        card_number as identifier,
        {{ tagloom.identifier_hash('loyalty_card', 'card_number') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from lists__entries
    where card_number is not null
    union all
    select
        'lists' as source,
        record_hash,
        'crm_customer' as identifier_type,
        customer_number as identifier,
        {{ tagloom.identifier_hash('crm_customer', 'customer_number') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from lists__entries
    where customer_number is not null
    union all
    select
        'lists' as source,
        record_hash,
        'email' as identifier_type,
        email as identifier,
        {{ tagloom.identifier_hash('email', 'email') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from lists__entries
    where email is not null
    union all
    select
        'lists' as source,
        record_hash,
        'phone' as identifier_type,
        phone as identifier,
        {{ tagloom.identifier_hash('phone', 'phone') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from lists__entries
    where phone is not null
    union all
    select
        'loyalty' as source,
        record_hash,
        'loyalty_card' as identifier_type,
        card_number as identifier,
        {{ tagloom.identifier_hash('loyalty_card', 'card_number') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from loyalty__cards
    where card_number is not null
    union all
    select
        'loyalty' as source,
        record_hash,
        'email' as identifier_type,
        email as identifier,
        {{ tagloom.identifier_hash('email', 'email') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from loyalty__cards
    where email is not null
    union all
    select
        'loyalty' as source,
        record_hash,
        'phone' as identifier_type,
        phone as identifier,
        {{ tagloom.identifier_hash('phone', 'phone') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from loyalty__cards
    where phone is not null
    union all
    select
        'pos' as source,
        record_hash,
        'loyalty_card' as identifier_type,
        card_number as identifier,
        {{ tagloom.identifier_hash('loyalty_card', 'card_number') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from pos__basket_lines
    where card_number is not null
    union all
    select
        'scores' as source,
        record_hash,
        'loyalty_card' as identifier_type,
        card_number as identifier,
        {{ tagloom.identifier_hash('loyalty_card', 'card_number') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from scores__scores
    where card_number is not null
    union all
    select
        'support' as source,
        record_hash,
        'support_requester' as identifier_type,
        requester_id as identifier,
        {{ tagloom.identifier_hash('support_requester', 'requester_id') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from support__tickets
    where requester_id is not null
    union all
    select
        'support' as source,
        record_hash,
        'email' as identifier_type,
        email as identifier,
        {{ tagloom.identifier_hash('email', 'email') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from support__tickets
    where email is not null
    union all
    select
        'support' as source,
        record_hash,
        'phone' as identifier_type,
        phone as identifier,
        {{ tagloom.identifier_hash('phone', 'phone') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from support__tickets
    where phone is not null
    union all
    select
        'survey' as source,
        record_hash,
        'loyalty_card' as identifier_type,
        card_number as identifier,
        {{ tagloom.identifier_hash('loyalty_card', 'card_number') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from survey__respondents
    where card_number is not null
    union all
    select
        'web' as source,
        record_hash,
        'web_account' as identifier_type,
        web_user_id as identifier,
        {{ tagloom.identifier_hash('web_account', 'web_user_id') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from web__events
    where web_user_id is not null
    union all
    select
        'wifi' as source,
        record_hash,
        'device_mac' as identifier_type,
        device_mac as identifier,
        {{ tagloom.identifier_hash('device_mac', 'device_mac') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from wifi__sightings
    where device_mac is not null
    union all
    select
        'wifi' as source,
        record_hash,
        'email' as identifier_type,
        login_email as identifier,
        {{ tagloom.identifier_hash('email', 'login_email') }} as identifier_hash,
        first_seen_at,
        last_seen_at,
        records
    from wifi__sightings
    where login_email is not null
),

observations as (
    -- a record may hold the same identifier in two columns, such as two phone numbers
    select distinct
        identifiers_in_records.source,
        identifiers_in_records.record_hash,
        identifiers_in_records.identifier_type,
        identifiers_in_records.identifier_hash,
        coalesce(
            {{ tagloom.matches('identifiers_in_records.identifier', 'policy.blocked_pattern') }}, false
        ) as is_blocked,
        identifiers_in_records.first_seen_at,
        identifiers_in_records.last_seen_at,
        identifiers_in_records.records
    from identifiers_in_records
    inner join policy
        on identifiers_in_records.identifier_type = policy.identifier_type
)

select * from observations
