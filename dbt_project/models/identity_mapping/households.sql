{{ config(meta={'updates': 'full_build'}) }}

with households as (
    select
        household_id,
        cast(count(*) as integer) as members,
        min(since) as since
    from {{ ref('household_members') }}
    group by household_id
)

select * from households
