with source as (
    select * from {{ source('support', 'tickets') }}
),

renamed as (
    select
        -- keys
        ticket_id,

        -- identifiers
        {{ tagloom.normalise_identifier('support_requester', 'requester_id') }} as requester_id,
        {{ tagloom.normalise_identifier('email', 'email') }} as email,
        {{ tagloom.normalise_identifier('phone', 'phone') }} as phone,

        -- the ticket
        channel,
        topic,
        satisfaction,

        -- time
        opened_at,
        closed_at
    from source
)

select * from renamed
