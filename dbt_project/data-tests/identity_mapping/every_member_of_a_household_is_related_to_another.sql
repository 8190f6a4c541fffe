-- Nobody is in a household but by a relation with somebody who is in it, too.
with related_members as (
    select
        one.person_id,
        other.person_id as related_person_id
    from {{ ref('person_relations') }} as relations
    inner join {{ ref('household_members') }} as one
        on relations.person_id = one.person_id
    inner join {{ ref('household_members') }} as other
        on
            relations.related_person_id = other.person_id
            and one.household_id = other.household_id
    where relations.kind = 'household'
),

persons_with_a_relation as (
    select person_id from related_members
    union
    select related_person_id as person_id from related_members
)

select
    members.person_id,
    members.household_id
from {{ ref('household_members') }} as members
left join persons_with_a_relation
    on members.person_id = persons_with_a_relation.person_id
where persons_with_a_relation.person_id is null
