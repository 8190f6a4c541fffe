with source as (
    select * from {{ source('operations', 'model_runs') }}
),

renamed as (
    select
        as_of_date,
        layer,
        model,
        seconds,
        rows as table_rows
    from source
)

select * from renamed
