with order_lines as (
    select
        *,
        cast(date_trunc('month', order_date) as date) as month_start
    from {{ ref('int_order_lines') }}
),

months_of_the_last_year as (
    select
        product_id,
        month_start,
        true as is_in_last_365_days,
        cast(count(*) as int) as orders,
        cast(count(case when retail_discount_amount <> 0 then 1 end) as int) as orders_discounted,
        cast(count(case when coupon_discount_amount <> 0 then 1 end) as int) as orders_with_coupon,
        cast(sum(sales_amount) as decimal(14, 2)) as sales_amount,
        cast({{ tagloom.sum_in_last_days('sales_amount', 'order_date', 180) }} as decimal(14, 2))
            as sales_amount_180d,
        cast({{ tagloom.sum_in_last_days('sales_amount', 'order_date', 90) }} as decimal(14, 2))
            as sales_amount_90d,
        cast(sum(case when counts_pieces and quantity > 0 then sales_amount end) as decimal(14, 2))
            as priced_amount,
        cast(sum(case when counts_pieces and quantity > 0 then quantity end) as bigint) as priced_units,
        min(order_date) as first_sold_date,
        max(order_date) as last_sold_date
    from order_lines
    where {{ tagloom.in_last_days('order_date', 365) }}
    group by product_id, month_start
),

earlier_months as (
    select
        product_id,
        month_start,
        min(order_date) as first_sold_date,
        max(order_date) as last_sold_date
    from order_lines
    where order_date <= {{ tagloom.days_before_as_of(365) }}
    group by product_id, month_start
),

months as (
    select * from months_of_the_last_year
    union all
    -- of these only the dates are asked for, and adding up the rest would cost as much again
    select
        product_id,
        month_start,
        false as is_in_last_365_days,
        null as orders,
        null as orders_discounted,
        null as orders_with_coupon,
        null as sales_amount,
        null as sales_amount_180d,
        null as sales_amount_90d,
        null as priced_amount,
        null as priced_units,
        first_sold_date,
        last_sold_date
    from earlier_months
)

select * from months
