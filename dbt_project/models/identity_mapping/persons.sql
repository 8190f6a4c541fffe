with identity_map as (
    select
        identifier_type,
        identifier_hash,
        person_id
    from {{ ref('identity_map') }}
),

identifiers_per_person as (
    select
        identity_map.person_id,
        min(identifiers.first_seen_at) as first_seen_at,
        count(*) as identifiers,
        count(case when identity_map.identifier_type = 'loyalty_card' then 1 end) as loyalty_cards,
        count(case when identity_map.identifier_type = 'crm_customer' then 1 end) as crm_records,
        count(case when identity_map.identifier_type = 'web_account' then 1 end) as web_accounts,
        count(case when identity_map.identifier_type = 'app_device' then 1 end) as app_installations,
        count(case when identity_map.identifier_type = 'device_mac' then 1 end) as wifi_devices,
        count(case when identity_map.identifier_type = 'email' then 1 end) > 0 as has_email,
        count(case when identity_map.identifier_type = 'phone' then 1 end) > 0 as has_phone
    from identity_map
    inner join {{ ref('identity_identifiers') }} as identifiers
        on
            identity_map.identifier_type = identifiers.identifier_type
            and identity_map.identifier_hash = identifiers.identifier_hash
    group by identity_map.person_id
),

records_by_trust as (
    select
        'loyalty_card' as identifier_type,
        {{ tagloom.identifier_hash('loyalty_card', 'card_number') }} as identifier_hash,
        1 as trust,
        registered_at as recorded_at,
        birth_date,
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
        'crm_customer' as identifier_type,
        {{ tagloom.identifier_hash('crm_customer', 'customer_number') }} as identifier_hash,
        2 as trust,
        created_at as recorded_at,
        birth_date,
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
        'web_account' as identifier_type,
        {{ tagloom.identifier_hash('web_account', 'web_user_id') }} as identifier_hash,
        3 as trust,
        created_at as recorded_at,
        birth_date,
        postcode,
        state,
        cast(null as timestamp) as loyalty_registered_at,
        cast(null as boolean) as is_active_card,
        created_at as account_created_at,
        cast(null as boolean) as may_email,
        cast(null as boolean) as may_phone,
        wants_newsletter
    from {{ ref('stg_accounts__accounts') }}
),

records_of_persons as (
    select
        identity_map.person_id,
        records_by_trust.*,
        row_number() over (
            partition by identity_map.person_id
            order by
                case when records_by_trust.birth_date is null then 1 else 0 end asc,
                records_by_trust.trust asc,
                records_by_trust.recorded_at desc,
                records_by_trust.identifier_hash asc
        ) as birth_date_rank,
        row_number() over (
            partition by identity_map.person_id
            order by
                case when records_by_trust.postcode is null then 1 else 0 end asc,
                records_by_trust.trust asc,
                records_by_trust.recorded_at desc,
                records_by_trust.identifier_hash asc
        ) as postcode_rank,
        row_number() over (
            partition by identity_map.person_id
            order by
                case when records_by_trust.state is null then 1 else 0 end asc,
                records_by_trust.trust asc,
                records_by_trust.recorded_at desc,
                records_by_trust.identifier_hash asc
        ) as state_rank
    from records_by_trust
    inner join identity_map
        on
            records_by_trust.identifier_type = identity_map.identifier_type
            and records_by_trust.identifier_hash = identity_map.identifier_hash
    where {{ tagloom.known_by_as_of_date('cast(' ~ tagloom.local_time('records_by_trust.recorded_at') ~ ' as date)') }}
),

golden_records as (
    select
        person_id,
        max(case when birth_date_rank = 1 then birth_date end) as birth_date,
        max(case when postcode_rank = 1 then postcode end) as postcode,
        max(case when state_rank = 1 then state end) as state,
        min(loyalty_registered_at) as loyalty_registered_at,
        min(account_created_at) as account_created_at,
        bool_and(may_email) as may_email,
        bool_and(may_phone) as may_phone,
        bool_or(wants_newsletter) as wants_newsletter,
        bool_or(is_active_card) as has_active_card
    from records_of_persons
    group by person_id
),

persons as (
    select
        identifiers_per_person.person_id,
        identifiers_per_person.first_seen_at,
        cast(identifiers_per_person.identifiers as integer) as identifiers,
        cast(identifiers_per_person.loyalty_cards as integer) as loyalty_cards,
        cast(identifiers_per_person.crm_records as integer) as crm_records,
        cast(identifiers_per_person.web_accounts as integer) as web_accounts,
        cast(identifiers_per_person.app_installations as integer) as app_installations,
        cast(identifiers_per_person.wifi_devices as integer) as wifi_devices,
        identifiers_per_person.has_email,
        identifiers_per_person.has_phone,
        golden_records.birth_date,
        golden_records.postcode,
        golden_records.state,
        golden_records.loyalty_registered_at,
        golden_records.account_created_at,
        golden_records.may_email,
        golden_records.may_phone,
        golden_records.wants_newsletter,
        coalesce(golden_records.has_active_card, false) as has_active_card
    from identifiers_per_person
    left join golden_records
        on identifiers_per_person.person_id = golden_records.person_id
)

select * from persons
