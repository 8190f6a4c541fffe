-- Nobody is lost and nobody is made up on the way from identity mapping to the wide table.
select
    persons.person_id,
    person_tags.person_id as tagged_person_id
from {{ ref('persons') }} as persons
full outer join {{ ref('person_tags') }} as person_tags
    on persons.person_id = person_tags.person_id
where
    persons.person_id is null
    or person_tags.person_id is null
