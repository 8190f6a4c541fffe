with persons as (
    select * from {{ ref('persons') }}
),

-- Published files are read by many: the day of birth and the whole postcode stay behind.
masked as (
    select
        person_id,
        first_seen_at,
        identifiers,
        loyalty_cards,
        crm_records,
        web_accounts,
        app_installations,
        wifi_devices,
        has_email,
        has_phone,
        cast(extract(year from birth_date) as integer) as birth_year,
        birth_date_source,
        case when postcode is not null then concat(substr(postcode, 1, 2), '··') end as postcode_area,
        postcode_source,
        state,
        state_source,
        loyalty_registered_at,
        account_created_at,
        may_email,
        may_phone,
        wants_newsletter,
        has_active_card
    from persons
)

select * from masked
