-- What tag_stale_values gives as the reason of a null is true: a published tag, learnt longer ago than it is valid.
with stale_values as (
    select * from {{ ref('tag_stale_values') }}
),

catalogue as (
    select * from {{ ref('tag_catalog') }}
)

select
    stale_values.object,
    stale_values.object_id,
    stale_values.tag,
    stale_values.known_on,
    stale_values.valid_days
from stale_values
left join catalogue
    on
        stale_values.object = catalogue.object
        and stale_values.tag = catalogue.tag
where
    catalogue.tag is null
    or catalogue.status <> 'published'
    or {{ tagloom.days_between('stale_values.known_on', tagloom.as_of_date()) }} <= catalogue.valid_days
