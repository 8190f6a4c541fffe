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

survivorship as (
    select
        source,
        max(case when attribute = 'birth_date' then rank end) as birth_date_trust,
        max(case when attribute = 'postcode' then rank end) as postcode_trust,
        max(case when attribute = 'state' then rank end) as state_trust
    from {{ ref('survivorship_policy') }}
    group by source
),

records_of_persons as (
    select
        identity_map.person_id,
        records.source,
        records.birth_date,
        records.postcode,
        records.state,
        records.loyalty_registered_at,
        records.account_created_at,
        records.may_email,
        records.may_phone,
        records.wants_newsletter,
        records.is_active_card,
        {{ tagloom.survivorship_rank('birth_date') }} as birth_date_rank,
        {{ tagloom.survivorship_rank('postcode') }} as postcode_rank,
        {{ tagloom.survivorship_rank('state') }} as state_rank
    from {{ ref('identity_records') }} as records
    inner join identity_map
        on
            records.identifier_type = identity_map.identifier_type
            and records.identifier_hash = identity_map.identifier_hash
    left join survivorship
        on records.source = survivorship.source
),

golden_records as (
    select
        person_id,
        max(case when birth_date_rank = 1 then birth_date end) as birth_date,
        max(case when birth_date_rank = 1 and birth_date is not null then source end) as birth_date_source,
        max(case when postcode_rank = 1 then postcode end) as postcode,
        max(case when postcode_rank = 1 and postcode is not null then source end) as postcode_source,
        max(case when state_rank = 1 then state end) as state,
        max(case when state_rank = 1 and state is not null then source end) as state_source,
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
        golden_records.birth_date_source,
        golden_records.postcode,
        golden_records.postcode_source,
        golden_records.state,
        golden_records.state_source,
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
