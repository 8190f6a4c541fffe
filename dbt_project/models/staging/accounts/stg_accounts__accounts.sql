with source as (
    select * from {{ source('accounts', 'accounts') }}
),

renamed as (
    select
        -- identifiers
        {{ tagloom.normalise_identifier('web_account', 'web_user_id') }} as web_user_id,
        {{ tagloom.normalise_identifier('loyalty_card', 'loyalty_card') }} as loyalty_card,
        {{ tagloom.normalise_identifier('email', 'email') }} as email,
        {{ tagloom.normalise_identifier('phone', 'phone') }} as phone,

        -- the customer
        nullif(trim(given_name), '') as given_name,
        nullif(trim(surname), '') as surname,
        {{ tagloom.try_compact_date('trim(date_of_birth)') }} as birth_date,
        nullif(trim(postcode), '') as postcode,
        nullif(trim(state), '') as state,

        -- the account
        newsletter as wants_newsletter,
        created_at
    from source
)

select * from renamed
