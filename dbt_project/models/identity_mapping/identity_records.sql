{{ config(materialized='view') }}

with records as (
    select
        'loyalty' as source,
        'loyalty_card' as identifier_type,
        {{ tagloom.identifier_hash('loyalty_card', 'card_number') }} as identifier_hash,
        registered_at as recorded_at,
        given_name,
        surname,
        birth_date,
        street,
        suburb,
        postcode,
        state,
        registered_at as loyalty_registered_at,
        card_status = 'active' as is_active_card,
        cast(null as timestamp) as account_created_at,
        cast(null as boolean) as may_email,
        cast(null as boolean) as may_phone,
        cast(null as boolean) as wants_newsletter
    from {{ ref('stg_loyalty__cards') }}
    union all
    select
        'crm' as source,
        'crm_customer' as identifier_type,
        {{ tagloom.identifier_hash('crm_customer', 'customer_number') }} as identifier_hash,
        created_at as recorded_at,
        given_name,
        surname,
        birth_date,
        street,
        suburb,
        postcode,
        state,
        cast(null as timestamp) as loyalty_registered_at,
        cast(null as boolean) as is_active_card,
        cast(null as timestamp) as account_created_at,
        may_email,
        may_phone,
        cast(null as boolean) as wants_newsletter
    from {{ ref('stg_crm__customers') }}
    union all
    select
        'accounts' as source,
        'web_account' as identifier_type,
        {{ tagloom.identifier_hash('web_account', 'web_user_id') }} as identifier_hash,
        created_at as recorded_at,
        given_name,
        surname,
        birth_date,
        cast(null as varchar) as street,
        cast(null as varchar) as suburb,
        postcode,
        state,
        cast(null as timestamp) as loyalty_registered_at,
        cast(null as boolean) as is_active_card,
        created_at as account_created_at,
        cast(null as boolean) as may_email,
        cast(null as boolean) as may_phone,
        wants_newsletter
    from {{ ref('stg_accounts__accounts') }}
)

select *
from records
where
    identifier_hash is not null
    and {{ tagloom.known_by_as_of_date('cast(' ~ tagloom.local_time('recorded_at') ~ ' as date)') }}
