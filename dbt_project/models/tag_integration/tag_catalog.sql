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
        cast(known_on as varchar) as known_on,
        cast(personal_data as varchar) as personal_data,
        cast(status as varchar) as status,
        cast(since as date) as since,
        cast(version as integer) as version,
        cast(history as boolean) as history,
        cast(model as varchar) as model,
        cast(sql_path as varchar) as sql_path,
        cast(value_titles as varchar) as value_titles,
        cast(description as varchar) as description
    from {{ ref('tag_definitions') }}
),

definitions_in_force as (
    select * from {{ ref('stg_operations__tag_definitions') }}
),

lineage as (
    select * from {{ ref('stg_operations__tag_lineage') }}
),

catalogue as (
    select
        definitions.tag,
        definitions.object,
        definitions.title,
        definitions.title_zh,
        definitions.category,
        definitions.kind,
        definitions.data_type,
        definitions.unit,
        definitions.if_missing,
        definitions.owner,
        definitions.refresh,
        definitions.valid_days,
        definitions.known_on,
        definitions.personal_data,
        definitions.status,
        definitions.since,
        definitions.version,
        definitions.history,
        definitions.model,
        definitions.sql_path,
        definitions.value_titles,
        definitions.description,
        definitions_in_force.definition_hash,
        definitions_in_force.changed_on,
        lineage.upstream_sources,
        lineage.upstream_columns,
        lineage.used_by,
        lineage.model_sql as sql
    from definitions
    left join definitions_in_force
        on
            definitions.object = definitions_in_force.object
            and definitions.tag = definitions_in_force.tag
    left join lineage
        on
            definitions.object = lineage.object
            and definitions.tag = lineage.tag
)

select * from catalogue
