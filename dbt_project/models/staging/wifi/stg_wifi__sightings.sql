with source as (
    select * from {{ source('wifi', 'sightings') }}
),

renamed as (
    select
        -- identifiers
        {{ tagloom.normalise_identifier('device_mac', 'device_mac') }} as device_mac,
        {{ tagloom.normalise_identifier('email', 'login_email') }} as login_email,

        -- the sighting
        store_id,
        zone,
        signal_dbm,

        -- time
        seen_at
    from source
)

select * from renamed
