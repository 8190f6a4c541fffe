with members as (
    select
        members.household_id,
        members.person_id,
        persons.has_email and coalesce(persons.may_email, false) as is_email_reachable
    from {{ ref('household_members') }} as members
    inner join {{ ref('persons') }} as persons
        on members.person_id = persons.person_id
),

orders as (
    select
        person_id,
        count(*) as orders
    from {{ ref('int_orders') }}
    where {{ tagloom.in_last_days('order_date', 365) }}
    group by person_id
),

web_sessions as (
    select
        person_id,
        count(*) as web_sessions
    from {{ ref('int_web_sessions') }}
    where {{ tagloom.in_last_days('session_date', 365) }}
    group by person_id
),

app_installations as (
    select
        person_id,
        count(*) as app_installations
    from {{ ref('int_app_installations') }}
    where {{ tagloom.in_last_days('last_active_date', 365) }}
    group by person_id
),

per_household as (
    select
        members.household_id,
        count(case when members.is_email_reachable then 1 end) as email_reachable_members,
        count(orders.orders) as members_in_stores,
        count(web_sessions.web_sessions) as members_on_the_web,
        count(app_installations.app_installations) as members_in_the_app
    from members
    left join orders on members.person_id = orders.person_id
    left join web_sessions on members.person_id = web_sessions.person_id
    left join app_installations on members.person_id = app_installations.person_id
    group by members.household_id
),

tagged as (
    select
        household_id,
        cast(
            case when members_in_stores > 0 then 1 else 0 end
            + case when members_on_the_web > 0 then 1 else 0 end
            + case when members_in_the_app > 0 then 1 else 0 end as integer
        ) as channels_used_365d,
        cast(email_reachable_members as integer) as email_reachable_members,
        email_reachable_members > 1 as gets_email_twice
    from per_household
)

select * from tagged
