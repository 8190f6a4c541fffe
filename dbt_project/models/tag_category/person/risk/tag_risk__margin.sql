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
        count(
            case when discounted_amount > 0 and discounted_amount * 2 >= sales_amount then 1 end
        ) as discounted_orders,
        sum(retail_discount_amount) + sum(coupon_discount_amount) as discount_amount,
        sum(sales_amount) as sales_amount
    from orders
    group by person_id
),

tagged as (
    -- five orders at least: fewer prove nothing about a person
    select
        person_id,
        {{ tagloom.share_index('discount_amount', '(sales_amount + discount_amount)') }}
            as discount_depth,
        orders >= 5 and discounted_orders * 10 >= orders * 8 as is_promotion_dependent
    from per_person
)

select * from tagged
