-- From the end of a session to the start of the account's next one pass 30 minutes or more.
with sessions_with_the_one_before as (
    select
        web_session_id,
        started_at,
        lag(ended_at) over (
            partition by web_account_hash
            order by started_at asc, web_session_id asc
        ) as previous_ended_at
    from {{ ref('int_web_sessions') }}
)

select
    web_session_id,
    previous_ended_at,
    started_at
from sessions_with_the_one_before
where {{ tagloom.seconds_between('previous_ended_at', 'started_at') }} < 1800
