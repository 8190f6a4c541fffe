{{ config(meta={'grows_by': {'int_order_lines': 'product_id'}}) }}

with catalogue as (
    select * from {{ ref('stg_catalogue__products') }}
),

order_lines as (
    select * from {{ ref('int_order_lines') }}
),

products_of_the_catalogue as (
    select
        product_id,
        department,
        product_category,
        product_type,
        brand_type,
        true as is_in_catalogue
    from catalogue
),

products_sold_without_catalogue_entry as (
    select distinct
        product_id,
        department,
        product_category,
        product_type,
        brand_type,
        is_in_catalogue
    from order_lines
    where not is_in_catalogue
),

all_products as (
    select * from products_of_the_catalogue
    union all
    select * from products_sold_without_catalogue_entry
)

select * from all_products
