-- These two say something about everybody; a person missing here is missing in every audience.
with persons as (
    select person_id from {{ ref('persons') }}
),

reach as (
    select person_id from {{ ref('tag_channel__reach') }}
),

profile as (
    select person_id from {{ ref('tag_demographics__profile') }}
)

select persons.person_id
from persons
left join reach on persons.person_id = reach.person_id
left join profile on persons.person_id = profile.person_id
where reach.person_id is null or profile.person_id is null
