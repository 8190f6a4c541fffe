-- Whoever objected, by any identifier, has no channel for advertising and may not be promoted to.
with objections as (
    select distinct person_id
    from {{ ref('int_listed_tags') }}
    where person_id is not null and list_name = 'do_not_promote'
),

contacts as (
    select * from {{ ref('tag_channel__contact') }}
)

select
    objections.person_id,
    contacts.contact_channel,
    contacts.is_promotable
from objections
left join contacts on objections.person_id = contacts.person_id
where
    contacts.person_id is null
    or contacts.contact_channel <> 'none'
    or contacts.is_promotable
