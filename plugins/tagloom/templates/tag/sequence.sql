with events as (
    select
        person_id,
        event_type,
        occurred_at
    from {{ ref('int_web_events') }}
    where
        person_id is not null
        and {{ tagloom.in_last_days('event_date', 30) }}
),

first_events as (
    select *
    from events
    where event_type = 'add_to_cart'
),

second_events as (
    select *
    from events
    where event_type = 'purchase'
),

followed as (
    select
        first_events.person_id,
        first_events.occurred_at,
        min(second_events.occurred_at) as followed_at
    from first_events
    left join second_events
        on
            first_events.person_id = second_events.person_id
            and first_events.occurred_at <= second_events.occurred_at
    group by first_events.person_id, first_events.occurred_at
),

unanswered as (
    -- not within a day
    select distinct person_id
    from followed
    where
        followed_at is null
        or {{ tagloom.seconds_between('occurred_at', 'followed_at') }} > 24 * 3600
),

visitors as (
    select distinct person_id from events
),

tagged as (
    select
        visitors.person_id,
        unanswered.person_id is not null as $name
    from visitors
    left join unanswered on visitors.person_id = unanswered.person_id
)

select * from tagged
