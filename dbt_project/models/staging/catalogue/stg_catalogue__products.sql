with source as (
    select * from {{ source('catalogue', 'products') }}
),

renamed as (
    select
        -- keys
        product_id,
        manufacturer_id,

        -- the product tree
        department,
        product_category,
        product_type,

        -- the product
        lower(brand) as brand_type,
        package_size
    from source
)

select * from renamed
