with persons as (
    select * from {{ ref('persons') }}
),

app_installations as (
    select *
    from {{ ref('int_app_installations') }}
    where person_id is not null
),

apps as (
    select
        person_id,
        count(
            case
                when is_push_enabled and {{ tagloom.in_last_days('last_active_date', 90) }} then 1
            end
        ) as devices_with_push
    from app_installations
    group by person_id
),

platforms as (
    select
        person_id,
        platform,
        row_number() over (
            partition by person_id
            order by last_active_date desc nulls last, installed_date desc, platform asc
        ) as place
    from app_installations
),

tagged as (
    select
        persons.person_id,
        persons.has_active_card,
        persons.web_accounts > 0 as has_web_account,
        persons.app_installations > 0 as has_app,
        persons.wifi_devices > 0 as has_wifi_device,
        persons.has_email and coalesce(persons.may_email, false) as is_email_reachable,
        persons.has_phone and coalesce(persons.may_phone, false) as is_phone_reachable,
        coalesce(apps.devices_with_push, 0) > 0 as is_push_reachable,
        persons.may_email as email_consent,
        persons.wants_newsletter,
        platforms.platform as app_platform
    from persons
    left join apps on persons.person_id = apps.person_id
    left join platforms on persons.person_id = platforms.person_id and platforms.place = 1
)

select * from tagged
