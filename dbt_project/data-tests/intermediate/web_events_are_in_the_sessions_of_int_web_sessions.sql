-- Both models tell sessions apart: the same ones, of the same persons, with as many events and as long.
with sessions_of_events as (
    select
        web_session_id,
        max(person_id) as person_id,
        min(occurred_at) as started_at,
        count(*) as events,
        coalesce(sum(seconds_to_next), 0) as duration_seconds
    from {{ ref('int_web_events') }}
    group by web_session_id
),

web_sessions as (
    select * from {{ ref('int_web_sessions') }}
)

select
    sessions_of_events.web_session_id as session_of_events,
    web_sessions.web_session_id
from sessions_of_events
full outer join web_sessions
    on sessions_of_events.web_session_id = web_sessions.web_session_id
where
    sessions_of_events.web_session_id is null
    or web_sessions.web_session_id is null
    or coalesce(sessions_of_events.person_id, -1) <> coalesce(web_sessions.person_id, -1)
    or sessions_of_events.started_at <> web_sessions.started_at
    or sessions_of_events.events <> web_sessions.events
    or sessions_of_events.duration_seconds <> web_sessions.duration_seconds
