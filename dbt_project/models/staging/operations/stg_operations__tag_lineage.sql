with source as (
    select * from {{ source('operations', 'tag_lineage') }}
),

renamed as (
    select
        object,
        tag,
        upstream_sources,
        upstream_columns,
        used_by,
        sql as model_sql
    from source
)

select * from renamed
