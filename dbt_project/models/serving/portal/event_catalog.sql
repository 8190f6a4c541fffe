with titles as (
    select
        event,
        title,
        title_zh
    from {{ ref('event_titles') }}
),

person_events as (
    select
        event,
        person_id,
        happened_on
    from {{ ref('person_events') }}
),

counted as (
    select
        event,
        count(*) as events,
        count(distinct person_id) as persons,
        min(happened_on) as first_on,
        max(happened_on) as last_on
    from person_events
    group by event
),

catalogue as (
    select
        titles.event,
        titles.title,
        titles.title_zh,
        coalesce(counted.events, 0) as events,
        coalesce(counted.persons, 0) as persons,
        counted.first_on,
        counted.last_on
    from titles
    left join counted
        on titles.event = counted.event
)

select * from catalogue
