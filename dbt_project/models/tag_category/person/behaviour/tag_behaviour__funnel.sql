with web_events as (
    select *
    from {{ ref('int_web_events') }}
    where
        person_id is not null
        and {{ tagloom.in_last_days('event_date', 365) }}
),

sessions as (
    select
        person_id,
        web_session_id,
        max(event_date) as last_on,
        max(funnel_step) as deepest_step
    from web_events
    group by person_id, web_session_id
),

exits as (
    -- in a tie the step nearer to buying: there is more to win
    select
        person_id,
        deepest_step,
        row_number() over (partition by person_id order by count(*) desc, deepest_step desc) as place
    from sessions
    where deepest_step < 5
    group by person_id, deepest_step
),

per_person as (
    select
        person_id,
        max(deepest_step) as step_365d,
        max(case when {{ tagloom.in_last_days('last_on', 30) }} then deepest_step end) as step_30d
    from sessions
    group by person_id
),

tagged as (
    select
        per_person.person_id,
        {{ tagloom.funnel_step_name('per_person.step_30d') }} as deepest_web_step_30d,
        {{ tagloom.funnel_step_name('per_person.step_365d') }} as deepest_web_step_365d,
        {{ tagloom.funnel_step_name('exits.deepest_step') }} as usual_web_exit
    from per_person
    left join exits on per_person.person_id = exits.person_id and exits.place = 1
)

select * from tagged
