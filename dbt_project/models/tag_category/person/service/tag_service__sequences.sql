with tickets as (
    select
        *,
        lag(opened_at) over (
            partition by person_id, topic order by opened_at asc, ticket_id asc
        ) as same_topic_before_at
    from {{ ref('int_support_tickets') }}
    where person_id is not null
),

orders as (
    select *
    from {{ ref('int_orders') }}
    where person_id is not null
),

tickets_after_orders as (
    select
        tickets.person_id,
        count(distinct tickets.ticket_id) as tickets
    from tickets
    inner join orders
        on
            tickets.person_id = orders.person_id
            and tickets.opened_at >= orders.ordered_at
            and {{ tagloom.seconds_between('orders.ordered_at', 'tickets.opened_at') }} <= 24 * 60 * 60
    where {{ tagloom.in_last_days('tickets.opened_date', 365) }}
    group by tickets.person_id
),

per_person as (
    select
        person_id,
        {{ tagloom.count_in_last_days(
            'opened_date',
            365,
            'topic is not null and ' ~ tagloom.seconds_between('same_topic_before_at', 'opened_at')
            ~ ' <= 30 * 24 * 60 * 60'
        ) }} as tickets_again,
        max(closed_at) as last_closed_at,
        max(closed_date) as last_closed_on
    from tickets
    group by person_id
),

orders_after_service as (
    select
        per_person.person_id,
        min(orders.order_date) as next_order_date
    from per_person
    inner join orders
        on
            per_person.person_id = orders.person_id
            and per_person.last_closed_at < orders.ordered_at
    group by per_person.person_id
),

tagged as (
    select
        per_person.person_id,
        cast(coalesce(tickets_after_orders.tickets, 0) as integer) as tickets_after_order_365d,
        per_person.tickets_again as repeated_tickets_365d,
        case
            when
                {{ tagloom.days_between(
                    'per_person.last_closed_on', 'orders_after_service.next_order_date'
                ) }} <= 30
                then true
            when per_person.last_closed_on <= {{ tagloom.days_before_as_of(30) }} then false
        end as bought_after_service
    from per_person
    left join tickets_after_orders on per_person.person_id = tickets_after_orders.person_id
    left join orders_after_service on per_person.person_id = orders_after_service.person_id
)

select * from tagged
