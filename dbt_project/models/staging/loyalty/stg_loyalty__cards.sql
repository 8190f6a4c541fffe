with source as (
    select * from {{ source('loyalty', 'cards') }}
),

renamed as (
    select
        -- identifiers
        {{ tagloom.normalise_identifier('loyalty_card', 'card_number') }} as card_number,
        {{ tagloom.normalise_identifier('email', 'email') }} as email,
        {{ tagloom.normalise_identifier('phone', 'phone') }} as phone,

        -- the holder, as written on the form
        nullif(trim(given_name), '') as given_name,
        nullif(trim(surname), '') as surname,
        {{ tagloom.try_compact_date('trim(date_of_birth)') }} as birth_date,
        nullif(trim(street), '') as street,
        nullif(trim(suburb), '') as suburb,
        nullif(trim(postcode), '') as postcode,
        nullif(trim(state), '') as state,

        -- the card
        status as card_status,
        registered_at
    from source
)

select * from renamed
