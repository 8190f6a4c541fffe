with products as (
    select * from {{ ref('int_products') }}
),

per_product as (
    select
        product_id,
        sum(orders) as orders,
        sum(orders_discounted) as orders_discounted,
        sum(orders_with_coupon) as orders_with_coupon,
        {{ tagloom.ratio('sum(priced_amount)', 'sum(priced_units)') }} as average_price
    from {{ ref('int_product_months') }}
    where is_in_last_365_days
    group by product_id
),

placed as (
    -- thirds of a category of six products or more: in a smaller one cheap and dear are accidents
    select
        products.product_id,
        products.brand_type,
        products.product_category,
        per_product.orders,
        per_product.orders_discounted,
        per_product.orders_with_coupon,
        per_product.average_price,
        count(per_product.average_price) over (
            partition by products.department, products.product_category
        ) as priced_products,
        {{ tagloom.ntile_score(
            'per_product.average_price', 3, within='products.department, products.product_category'
        ) }} as price_third
    from products
    left join per_product on products.product_id = per_product.product_id
),

tagged as (
    select
        product_id,
        average_price as average_price_365d,
        case
            when product_category is null or priced_products < 6 then null
            when price_third = 1 then 'budget'
            when price_third = 2 then 'middle'
            when price_third = 3 then 'premium'
        end as price_band,
        brand_type = 'private' as is_private_label,
        {{ tagloom.share_index('orders_discounted', 'orders') }} as discounted_order_share,
        coalesce(orders_with_coupon, 0) > 0 as is_coupon_product
    from placed
)

select * from tagged
