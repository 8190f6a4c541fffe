with source as (
    select * from {{ source('crm', 'customers') }}
),

renamed as (
    select
        -- identifiers
        {{ tagloom.normalise_identifier('crm_customer', 'customer_number') }} as customer_number,
        {{ tagloom.normalise_identifier('loyalty_card', 'loyalty_card') }} as loyalty_card,
        {{ tagloom.normalise_identifier('national_id', 'national_id') }} as national_id,
        {{ tagloom.normalise_identifier('email', 'email') }} as email,
        {{ tagloom.normalise_identifier('phone', 'phone') }} as phone,

        -- the customer
        nullif(trim(given_name), '') as given_name,
        nullif(trim(surname), '') as surname,
        {{ tagloom.try_compact_date('trim(date_of_birth)') }} as birth_date,
        nullif(trim(street), '') as street,
        nullif(trim(suburb), '') as suburb,
        nullif(trim(postcode), '') as postcode,
        nullif(trim(state), '') as state,

        -- consent
        consent_email as may_email,
        consent_phone as may_phone,

        -- the record
        created_at
    from source
)

select * from renamed
