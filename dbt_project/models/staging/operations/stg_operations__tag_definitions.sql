with source as (
    select * from {{ source('operations', 'tag_definitions') }}
),

numbered as (
    select
        object,
        tag,
        version,
        definition_hash,
        first_built_on,
        row_number() over (partition by object, tag order by change_number desc) as changes_since
    from source
),

renamed as (
    select
        object,
        tag,
        version,
        definition_hash,
        first_built_on as changed_on
    from numbered
    where changes_since = 1
)

select * from renamed
