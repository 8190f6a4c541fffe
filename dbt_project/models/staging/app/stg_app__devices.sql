with source as (
    select * from {{ source('app', 'devices') }}
),

renamed as (
    select
        -- identifiers
        {{ tagloom.normalise_identifier('app_device', 'app_device_id') }} as app_device_id,
        {{ tagloom.normalise_identifier('web_account', 'web_user_id') }} as web_user_id,
        {{ tagloom.normalise_identifier('device_mac', 'device_mac') }} as device_mac,
        {{ tagloom.normalise_identifier('email', 'email') }} as email,
        {{ tagloom.normalise_identifier('phone', 'phone') }} as phone,

        -- the installation
        platform,
        app_version,
        push_enabled as is_push_enabled,

        -- time
        installed_at,
        last_active_at
    from source
)

select * from renamed
