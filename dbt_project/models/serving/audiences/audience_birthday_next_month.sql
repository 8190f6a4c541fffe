with person_tags as (
    select
        person_id,
        birthday_month,
        favourite_department,
        spend_tier,
        is_email_reachable,
        email_consent
    from {{ ref('person_tags') }}
),

birthday_next_month as (
    select
        person_id,
        favourite_department,
        spend_tier
    from person_tags
    where
        birthday_month = extract(month from {{ tagloom.as_of_date() }}) % 12 + 1
        and is_email_reachable
        and coalesce(email_consent, true)
)

select * from birthday_next_month
