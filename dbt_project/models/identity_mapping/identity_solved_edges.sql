-- depends_on: {{ ref('identity_components') }}
with accepted_edges as (
    select
        left_key,
        right_key,
        cast(strength as integer) as strength
    from {{ ref('identity_edges') }}
    where rejected_because is null
)

select * from accepted_edges
