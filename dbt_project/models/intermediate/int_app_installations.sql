with devices as (
    select * from {{ ref('stg_app__devices') }}
),

identity_map as (
    select
        identifier_type,
        identifier_hash,
        person_id
    from {{ ref('identity_map') }}
),

installations_and_their_persons as (
    {{ tagloom.persons_by_identifier('app_device', 'app_device_id', 'devices') }}
),

devices_on_local_days as (
    select
        *,
        {{ tagloom.local_date('installed_at') }} as installed_date,
        {{ tagloom.local_date('last_active_at') }} as last_active_date
    from devices
),

installations_known_by_as_of_date as (
    select
        installations_and_their_persons.identifier_hash as app_device_hash,
        installations_and_their_persons.person_id,
        devices_on_local_days.platform,
        devices_on_local_days.is_push_enabled,
        devices_on_local_days.installed_date,
        case
            when {{ tagloom.known_by_as_of_date('devices_on_local_days.last_active_date') }}
                then devices_on_local_days.last_active_date
        end as last_active_date
    from devices_on_local_days
    left join installations_and_their_persons
        on devices_on_local_days.app_device_id = installations_and_their_persons.app_device_id
    where {{ tagloom.known_by_as_of_date('devices_on_local_days.installed_date') }}
)

select * from installations_known_by_as_of_date
