with products as (
    select * from {{ ref('int_products') }}
),

sales as (
    -- of everybody, known or not
    select
        product_id,
        sum(orders) as orders,
        sum(sales_amount) as sales_amount,
        sum(sales_amount_90d) as sales_90d,
        sum(sales_amount_180d) as sales_180d,
        max(last_sold_date) as last_sold_date
    from {{ ref('int_product_months') }}
    where is_in_last_365_days
    group by product_id
),

buyers as (
    select
        product_id,
        count(*) as buyers,
        {{ tagloom.count_in_last_days('last_order_date', 90) }} as buyers_90d,
        count(case when orders > 1 then 1 end) as repeat_buyers,
        sum({{ tagloom.days_between('first_order_date', 'last_order_date') }}) as days_between_orders,
        sum(orders - 1) as repeat_orders
    from {{ ref('int_products_bought') }}
    group by product_id
),

tagged as (
    select
        sales.product_id,
        cast(sales.sales_amount as decimal(14, 2)) as sales_365d,
        cast(sales.orders as integer) as orders_365d,
        coalesce(buyers.buyers_90d, 0) as buyers_90d,
        {{ tagloom.ntile_score('sales.sales_amount', 10, within='products.department') }}
            as sales_decile,
        {{ tagloom.share_index('buyers.repeat_buyers', 'buyers.buyers') }}
            as repeat_purchase_share,
        case
            when buyers.repeat_buyers >= 5
                then {{ tagloom.ratio('buyers.days_between_orders', 'buyers.repeat_orders', 1) }}
        end as repurchase_cycle_days,
        {{ tagloom.spend_trend(
            'sales.sales_90d', '(sales.sales_180d - sales.sales_90d)'
        ) }} as sales_trend,
        sales.last_sold_date
    from sales
    inner join products on sales.product_id = products.product_id
    left join buyers on sales.product_id = buyers.product_id
)

select * from tagged
