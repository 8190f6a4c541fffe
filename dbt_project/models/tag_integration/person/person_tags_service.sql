-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with spine as (
    select person_id
    from {{ ref('persons') }}
),

tag_service__sequences as (
    select
        person_id,
        tickets_after_order_365d,
        repeated_tickets_365d,
        bought_after_service
    from {{ ref('tag_service__sequences') }}
),

tag_service__tickets as (
    select
        person_id,
        tickets_365d,
        has_open_ticket,
        last_ticket_date,
        main_ticket_topic,
        average_satisfaction,
        last_satisfaction,
        average_resolution_hours,
        is_unhappy
    from {{ ref('tag_service__tickets') }}
),

side_by_side as (
    select
        spine.person_id,
        cast(coalesce(tag_service__sequences.tickets_after_order_365d, 0) as integer) as tickets_after_order_365d,
        cast(coalesce(tag_service__sequences.repeated_tickets_365d, 0) as integer) as repeated_tickets_365d,
        tag_service__sequences.bought_after_service,
        cast(coalesce(tag_service__tickets.tickets_365d, 0) as integer) as tickets_365d,
        coalesce(tag_service__tickets.has_open_ticket, false) as has_open_ticket,
        tag_service__tickets.last_ticket_date,
        tag_service__tickets.main_ticket_topic,
        tag_service__tickets.average_satisfaction,
        tag_service__tickets.last_satisfaction,
        tag_service__tickets.average_resolution_hours,
        coalesce(tag_service__tickets.is_unhappy, false) as is_unhappy
    from spine
    left join tag_service__sequences
        on spine.person_id = tag_service__sequences.person_id
    left join tag_service__tickets
        on spine.person_id = tag_service__tickets.person_id
)

select * from side_by_side
