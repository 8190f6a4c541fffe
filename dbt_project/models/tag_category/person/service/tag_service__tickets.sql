with tickets as (
    select *
    from {{ ref('int_support_tickets') }}
    where person_id is not null
),

placed as (
    select
        *,
        case
            when satisfaction is not null
                then row_number() over (
                    partition by person_id, satisfaction is not null
                    order by opened_at desc, ticket_id desc
                )
        end as answer_place
    from tickets
),

per_person as (
    select
        person_id,
        {{ tagloom.count_in_last_days('opened_date', 365) }} as tickets_365d,
        count(case when is_open then 1 end) as open_tickets,
        max(opened_date) as last_ticket_date,
        {{ tagloom.ratio('sum(satisfaction)', 'count(satisfaction)', 1) }} as average_satisfaction,
        max(case when answer_place = 1 then satisfaction end) as last_satisfaction,
        {{ tagloom.ratio('sum(resolution_hours)', 'count(resolution_hours)', 1) }}
            as average_resolution_hours
    from placed
    group by person_id
),

topics as (
    select
        person_id,
        topic,
        row_number() over (
            partition by person_id order by count(*) desc, max(opened_at) desc, topic asc
        ) as place
    from tickets
    where topic is not null
    group by person_id, topic
),

tagged as (
    select
        per_person.person_id,
        per_person.tickets_365d,
        per_person.open_tickets > 0 as has_open_ticket,
        per_person.last_ticket_date,
        topics.topic as main_ticket_topic,
        per_person.average_satisfaction,
        cast(per_person.last_satisfaction as integer) as last_satisfaction,
        per_person.average_resolution_hours,
        coalesce(per_person.last_satisfaction <= 2, false)
        or (per_person.open_tickets > 0 and per_person.tickets_365d >= 3) as is_unhappy
    from per_person
    left join topics on per_person.person_id = topics.person_id and topics.place = 1
)

select * from tagged
