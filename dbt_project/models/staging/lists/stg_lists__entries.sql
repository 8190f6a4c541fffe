with source as (
    select * from {{ source('lists', 'entries') }}
),

renamed as (
    select
        -- identifiers: one of the four, the others are null
        identifier_type,
        identifier,
        case
            when identifier_type = 'loyalty_card'
                then {{ tagloom.normalise_identifier('loyalty_card', 'identifier') }}
        end as card_number,
        case
            when identifier_type = 'crm_customer'
                then {{ tagloom.normalise_identifier('crm_customer', 'identifier') }}
        end as customer_number,
        case
            when identifier_type = 'email'
                then {{ tagloom.normalise_identifier('email', 'identifier') }}
        end as email,
        case
            when identifier_type = 'phone'
                then {{ tagloom.normalise_identifier('phone', 'identifier') }}
        end as phone,

        -- the entry
        tag as list_name,
        value as list_value,
        owner as list_owner,

        -- time
        set_on,
        expires_on
    from source
)

select * from renamed
