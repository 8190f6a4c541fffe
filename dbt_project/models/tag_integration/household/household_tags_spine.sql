-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with known_keys as (
    select household_id
    from {{ ref('tag_household__channels') }}
    union
    select household_id
    from {{ ref('tag_household__spend') }}
    union
    select household_id
    from {{ ref('tag_household__members') }}
)

select * from known_keys
