with tickets as (
    select * from {{ ref('stg_support__tickets') }}
),

identity_map as (
    select
        identifier_type,
        identifier_hash,
        person_id
    from {{ ref('identity_map') }}
),

requesters_and_their_persons as (
    {{ tagloom.persons_by_identifier('support_requester', 'requester_id', 'tickets') }}
),

tickets_on_local_days as (
    select
        *,
        {{ tagloom.local_date('opened_at') }} as opened_date,
        {{ tagloom.local_date('closed_at') }} as closed_date
    from tickets
),

tickets_as_they_stood_on_as_of_date as (
    select
        ticket_id,
        requester_id,
        opened_at,
        case when {{ tagloom.known_by_as_of_date('closed_date') }} then closed_at end as closed_at,
        opened_date,
        case when {{ tagloom.known_by_as_of_date('closed_date') }} then closed_date end as closed_date,
        channel,
        topic,
        -- The customer answers when the ticket is closed.
        case when {{ tagloom.known_by_as_of_date('closed_date') }} then satisfaction end
            as satisfaction
    from tickets_on_local_days
    where {{ tagloom.known_by_as_of_date('opened_date') }}
),

tickets_of_persons as (
    select
        tickets_as_they_stood_on_as_of_date.ticket_id,
        requesters_and_their_persons.person_id,
        tickets_as_they_stood_on_as_of_date.opened_at,
        tickets_as_they_stood_on_as_of_date.closed_at,
        tickets_as_they_stood_on_as_of_date.opened_date,
        tickets_as_they_stood_on_as_of_date.closed_date,
        tickets_as_they_stood_on_as_of_date.channel,
        tickets_as_they_stood_on_as_of_date.topic,
        cast(tickets_as_they_stood_on_as_of_date.satisfaction as int) as satisfaction,
        tickets_as_they_stood_on_as_of_date.closed_at is null as is_open,
        cast(
            round(
                {{ tagloom.seconds_between(
                    'tickets_as_they_stood_on_as_of_date.opened_at',
                    'tickets_as_they_stood_on_as_of_date.closed_at'
                ) }} / 3600.0,
                2
            ) as decimal(10, 2)
        ) as resolution_hours
    from tickets_as_they_stood_on_as_of_date
    left join requesters_and_their_persons
        on
            tickets_as_they_stood_on_as_of_date.requester_id
            = requesters_and_their_persons.requester_id
)

select * from tickets_of_persons
