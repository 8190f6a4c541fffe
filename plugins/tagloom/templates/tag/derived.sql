with stages as (
    select
        person_id,
        lifecycle_stage
    from {{ ref('tag_lifecycle__stage') }}
),

reach as (
    select
        person_id,
        is_email_reachable
    from {{ ref('tag_channel__reach') }}
),

tagged as (
    select
        stages.person_id,
        stages.lifecycle_stage in ('cooling', 'dormant')
        and coalesce(reach.is_email_reachable, false) as $name
    from stages
    left join reach on stages.person_id = reach.person_id
)

select * from tagged
