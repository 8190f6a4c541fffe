-- Written by `make tags` from the tag twins in models/tag_category; change those, not this file.
with definitions as (
    select
        cast(tag as varchar) as tag,
        cast(object as varchar) as object,
        cast(title as varchar) as title,
        cast(title_zh as varchar) as title_zh,
        cast(category as varchar) as category,
        cast(kind as varchar) as kind,
        cast(data_type as varchar) as data_type,
        cast(unit as varchar) as unit,
        cast(if_missing as varchar) as if_missing,
        cast(owner as varchar) as owner,
        cast(refresh as varchar) as refresh,
        cast(valid_days as integer) as valid_days,
        cast(personal_data as varchar) as personal_data,
        cast(status as varchar) as status,
        cast(since as date) as since,
        cast(model as varchar) as model,
        cast(description as varchar) as description
    from {{ ref('tag_definitions') }}
)

select * from definitions
