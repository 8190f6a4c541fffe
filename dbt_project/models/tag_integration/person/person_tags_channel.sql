-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select person_id
    from {{ ref('persons') }}
),

tag_channel__contact as (
    select
        person_id,
        contact_channel,
        is_promotable
    from {{ ref('tag_channel__contact') }}
),

tag_channel__journeys as (
    select
        person_id,
        web_led_store_orders_365d,
        is_web_to_store_shopper
    from {{ ref('tag_channel__journeys') }}
),

tag_channel__reach as (
    select
        person_id,
        has_active_card,
        has_web_account,
        has_app,
        has_wifi_device,
        is_email_reachable,
        is_phone_reachable,
        is_push_reachable,
        email_consent,
        wants_newsletter,
        app_platform
    from {{ ref('tag_channel__reach') }}
),

tag_channel__usage as (
    select
        person_id,
        channels_used_365d,
        dominant_channel,
        is_multichannel
    from {{ ref('tag_channel__usage') }}
),

side_by_side as (
    select
        spine.person_id,
        tag_channel__contact.contact_channel,
        coalesce(tag_channel__contact.is_promotable, false) as is_promotable,
        cast(coalesce(tag_channel__journeys.web_led_store_orders_365d, 0) as integer) as web_led_store_orders_365d,
        coalesce(tag_channel__journeys.is_web_to_store_shopper, false) as is_web_to_store_shopper,
        coalesce(tag_channel__reach.has_active_card, false) as has_active_card,
        coalesce(tag_channel__reach.has_web_account, false) as has_web_account,
        coalesce(tag_channel__reach.has_app, false) as has_app,
        coalesce(tag_channel__reach.has_wifi_device, false) as has_wifi_device,
        coalesce(tag_channel__reach.is_email_reachable, false) as is_email_reachable,
        coalesce(tag_channel__reach.is_phone_reachable, false) as is_phone_reachable,
        coalesce(tag_channel__reach.is_push_reachable, false) as is_push_reachable,
        tag_channel__reach.email_consent,
        tag_channel__reach.wants_newsletter,
        tag_channel__reach.app_platform,
        cast(coalesce(tag_channel__usage.channels_used_365d, 0) as integer) as channels_used_365d,
        tag_channel__usage.dominant_channel,
        coalesce(tag_channel__usage.is_multichannel, false) as is_multichannel
    from spine
    left join tag_channel__contact
        on spine.person_id = tag_channel__contact.person_id
    left join tag_channel__journeys
        on spine.person_id = tag_channel__journeys.person_id
    left join tag_channel__reach
        on spine.person_id = tag_channel__reach.person_id
    left join tag_channel__usage
        on spine.person_id = tag_channel__usage.person_id
)

select * from side_by_side
