-- Nobody reads the tags of a person who is no more: neither the map nor a redirect leads to one.
select
    identity_map.identifier_key,
    redirects.person_id
from {{ ref('identity_map') }} as identity_map
inner join {{ ref('person_redirects') }} as redirects
    on identity_map.person_id = redirects.person_id
union all
select
    redirects.person_id as identifier_key,
    redirects.survivor_id as person_id
from {{ ref('person_redirects') }} as redirects
left join {{ ref('identity_map') }} as identity_map
    on redirects.survivor_id = identity_map.person_id
where
    redirects.survivor_id is not null
    and identity_map.person_id is null
