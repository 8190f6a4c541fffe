with source as (
    select * from {{ source('web', 'events') }}
),

renamed as (
    select
        -- keys
        event_id,

        -- identifiers
        {{ tagloom.normalise_identifier('web_account', 'web_user_id') }} as web_user_id,

        -- the event
        event as event_type,
        platform,
        channel,

        -- time
        occurred_at
    from source
)

select * from renamed
