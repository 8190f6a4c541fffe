{{ config(meta={'replaced': {'unit': 'order_id', 'with': 'int_order_lines'}}) }}

with order_lines as (
    select * from {{ ref('int_order_lines') }}
),

lines_added_up_per_order as (
    select
        order_id,
        max(person_id) as person_id,
        min(store_id) as store_id,
        min(ordered_at) as ordered_at,
        min(order_date) as order_date,
        cast(count(*) as int) as lines,
        cast(sum(case when counts_pieces then quantity else 0 end) as bigint) as units,
        -- An order line is one product of an order, so counting lines counts products.
        cast(count(*) as int) as distinct_products,
        cast(count(distinct case when is_in_catalogue then department end) as int)
            as distinct_departments,
        cast(sum(sales_amount) as decimal(12, 2)) as sales_amount,
        cast(sum(case when counts_pieces then 0 else sales_amount end) as decimal(12, 2))
            as fuel_amount,
        -- All motor fuel is of the retailer's own brand and says nothing about a taste for it.
        cast(
            sum(case when brand_type = 'private' and counts_pieces then sales_amount else 0 end)
            as decimal(12, 2)
        ) as private_label_amount,
        cast(
            sum(
                case
                    when retail_discount_amount <> 0 or coupon_discount_amount <> 0
                        then sales_amount
                    else 0
                end
            ) as decimal(12, 2)
        ) as discounted_amount,
        cast(sum(retail_discount_amount) as decimal(12, 2)) as retail_discount_amount,
        cast(sum(coupon_discount_amount) as decimal(12, 2)) as coupon_discount_amount,
        sum(case when coupon_discount_amount <> 0 then 1 else 0 end) as lines_with_coupon
    from order_lines
    group by order_id
),

orders as (
    select
        order_id,
        person_id,
        store_id,
        ordered_at,
        order_date,
        cast(extract(hour from {{ tagloom.local_time('ordered_at') }}) as int) as order_hour,
        lines,
        units,
        distinct_products,
        distinct_departments,
        sales_amount,
        fuel_amount,
        private_label_amount,
        discounted_amount,
        retail_discount_amount,
        coupon_discount_amount,
        lines_with_coupon > 0 as has_coupon
    from lines_added_up_per_order
)

select * from orders
