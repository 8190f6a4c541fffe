with orders as (
    select *
    from {{ ref('int_orders') }}
    where person_id is not null
),

days as (
    -- what is distinct is counted after a second group by, which is cheaper than count(distinct)
    select
        person_id,
        order_date,
        sum(sales_amount) as sales_amount
    from orders
    group by person_id, order_date
),

days_added_up_per_person as (
    select
        person_id,
        min(order_date) as first_order_date,
        max(order_date) as last_order_date,
        cast(count(*) as int) as days_with_orders,
        cast(sum(sales_amount) as decimal(14, 2)) as lifetime_spend,
        {{ tagloom.count_in_last_days('order_date', 365) }} as days_with_orders_365d,
        cast(
            sum(case when {{ tagloom.in_last_days('order_date', 365) }} then sales_amount end) as decimal(14, 2)
        ) as spend_365d
    from days
    group by person_id
)

select * from days_added_up_per_person
