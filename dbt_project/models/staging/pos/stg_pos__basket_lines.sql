with source as (
    select * from {{ source('pos', 'basket_lines') }}
),

renamed as (
    select
        -- keys
        basket_id,
        product_id,
        store_id,

        -- identifiers
        {{ tagloom.normalise_identifier('loyalty_card', 'card_number') }} as card_number,

        -- time
        sold_at,

        -- measures
        quantity,
        sales_value as sales_amount,
        retail_discount as retail_discount_amount,
        coupon_discount as coupon_discount_amount,
        coupon_match_discount as coupon_match_discount_amount
    from source
)

select * from renamed
