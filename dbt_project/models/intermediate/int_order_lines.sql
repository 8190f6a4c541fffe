{{ config(meta={'replaced': {
    'unit': 'order_id',
    'facts': {'stg_pos__basket_lines': 'basket_id'},
    'lookups': {'stg_catalogue__products': 'product_id'},
    'identifier': {'loyalty_card': 'card_key'},
}}) }}

with basket_lines as (
    select * from {{ ref('stg_pos__basket_lines') }}
),

products as (
    select * from {{ ref('stg_catalogue__products') }}
),

identity_map as (
    select
        identifier_type,
        identifier_hash,
        person_id
    from {{ ref('identity_map') }}
),

cards_and_their_persons as (
    {{ tagloom.persons_by_identifier('loyalty_card', 'card_number', 'basket_lines') }}
),

lines_on_local_days as (
    select
        *,
        {{ tagloom.local_date('sold_at') }} as order_date
    from basket_lines
),

lines_known_by_as_of_date as (
    select *
    from lines_on_local_days
    where {{ tagloom.known_by_as_of_date('order_date') }}
),

lines_with_product_and_person as (
    select
        lines_known_by_as_of_date.basket_id as order_id,
        lines_known_by_as_of_date.product_id,
        cards_and_their_persons.person_id,
        cards_and_their_persons.hash_number as card_key,
        lines_known_by_as_of_date.store_id,
        lines_known_by_as_of_date.sold_at as ordered_at,
        lines_known_by_as_of_date.order_date,
        coalesce(products.department, 'UNKNOWN') as department,
        products.product_category,
        products.product_type,
        products.brand_type,
        products.product_id is not null as is_in_catalogue,
        lines_known_by_as_of_date.quantity,
        lines_known_by_as_of_date.sales_amount,
        lines_known_by_as_of_date.retail_discount_amount,
        cast(
            lines_known_by_as_of_date.coupon_discount_amount
            + lines_known_by_as_of_date.coupon_match_discount_amount
            as decimal(12, 2)
        ) as coupon_discount_amount
    from lines_known_by_as_of_date
    left join products
        on lines_known_by_as_of_date.product_id = products.product_id
    left join cards_and_their_persons
        on lines_known_by_as_of_date.card_number = cards_and_their_persons.card_number
),

lines_told_apart_by_what_quantity_means as (
    select
        order_id,
        product_id,
        person_id,
        card_key,
        store_id,
        ordered_at,
        order_date,
        department,
        product_category,
        product_type,
        brand_type,
        is_in_catalogue,
        not {{ tagloom.is_fuel('department', 'product_type') }} as counts_pieces,
        quantity,
        sales_amount,
        retail_discount_amount,
        coupon_discount_amount
    from lines_with_product_and_person
)

select * from lines_told_apart_by_what_quantity_means
