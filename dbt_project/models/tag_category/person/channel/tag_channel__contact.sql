with reach as (
    select * from {{ ref('tag_channel__reach') }}
),

lists as (
    select * from {{ ref('tag_marketing__lists') }}
),

tickets as (
    select * from {{ ref('tag_service__tickets') }}
),

reach_with_objections as (
    select
        reach.person_id,
        reach.is_push_reachable,
        reach.is_email_reachable,
        reach.is_phone_reachable,
        coalesce(lists.do_not_promote, false) as has_objected,
        coalesce(tickets.has_open_ticket, false) or coalesce(tickets.is_unhappy, false)
            as waits_for_service
    from reach
    left join lists on reach.person_id = lists.person_id
    left join tickets on reach.person_id = tickets.person_id
),

tagged as (
    -- the first that is true: an objection first, then what costs least and disturbs least
    select
        person_id,
        case
            when has_objected then 'none'
            when is_push_reachable then 'push'
            when is_email_reachable then 'email'
            when is_phone_reachable then 'phone'
            else 'none'
        end as contact_channel,
        not has_objected
        and not waits_for_service
        and (is_push_reachable or is_email_reachable or is_phone_reachable) as is_promotable
    from reach_with_objections
)

select * from tagged
