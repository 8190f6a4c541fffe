with orders as (
    select
        person_id,
        order_id,
        sales_amount
    from {{ ref('int_orders') }}
),

segments as (
    select
        person_id,
        rfm_segment
    from {{ ref('person_tags') }}
),

orders_with_segment as (
    select
        orders.person_id,
        orders.order_id,
        orders.sales_amount,
        case
            when orders.person_id is null then 'unknown person'
            else coalesce(segments.rfm_segment, 'no segment')
        end as rfm_segment
    from orders
    left join segments
        on orders.person_id = segments.person_id
),

sales_by_segment as (
    select
        rfm_segment,
        count(distinct person_id) as persons,
        count(*) as orders,
        cast(sum(sales_amount) as decimal(14, 2)) as sales_amount
    from orders_with_segment
    group by rfm_segment
)

select * from sales_by_segment
