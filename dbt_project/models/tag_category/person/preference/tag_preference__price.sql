with orders as (
    select *
    from {{ ref('int_orders') }}
    where
        person_id is not null
        and {{ tagloom.in_last_days('order_date', 365) }}
),

per_person as (
    select
        person_id,
        count(*) as orders,
        count(case when has_coupon then 1 end) as orders_with_coupon,
        sum(sales_amount) - sum(fuel_amount) as goods_amount,
        sum(private_label_amount) as private_label_amount,
        sum(discounted_amount) as discounted_amount,
        sum(sales_amount) as sales_amount,
        sum(retail_discount_amount) + sum(coupon_discount_amount) as saved_amount
    from orders
    group by person_id
),

shares as (
    select
        *,
        {{ tagloom.share_index('private_label_amount', 'goods_amount') }} as private_label_index,
        {{ tagloom.share_index('discounted_amount', 'sales_amount') }} as discount_index
    from per_person
),

tagged as (
    select
        person_id,
        private_label_index,
        case
            when private_label_index >= 40 then 'own brand'
            when private_label_index >= 20 then 'mixed'
            when private_label_index is not null then 'national brand'
        end as brand_kind_preference,
        discount_index,
        case
            when discount_index >= 60 then 'hunter'
            when discount_index >= 40 then 'responsive'
            when discount_index is not null then 'indifferent'
        end as discount_affinity,
        cast(saved_amount as decimal(14, 2)) as saved_365d,
        {{ tagloom.share_index('orders_with_coupon', 'orders') }} as coupon_order_share
    from shares
)

select * from tagged
