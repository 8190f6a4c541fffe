with orders as (
    select *
    from {{ ref('int_orders') }}
    where store_id is not null
),

per_store as (
    select
        store_id,
        {{ tagloom.sum_in_last_days('sales_amount', 'order_date', 365) }} as sales_365d,
        {{ tagloom.sum_in_last_days('sales_amount', 'order_date', 90) }} as sales_90d,
        {{ tagloom.sum_in_last_days('sales_amount', 'order_date', 180) }} as sales_180d,
        {{ tagloom.count_in_last_days('order_date', 365) }} as orders_365d,
        {{ tagloom.count_in_last_days('order_date', 90) }} as orders_90d,
        cast(count(
            distinct case when {{ tagloom.in_last_days('order_date', 90) }} then person_id end
        ) as integer) as buyers_90d,
        max(order_date) as last_order_date
    from orders
    group by store_id
),

weekdays as (
    select
        store_id,
        {{ tagloom.iso_weekday('order_date') }} as iso_weekday,
        sum(sales_amount) as sales_amount,
        max(order_date) as last_order_date
    from orders
    where {{ tagloom.in_last_days('order_date', 365) }}
    group by store_id, {{ tagloom.iso_weekday('order_date') }}
),

ranked_weekdays as (
    select
        store_id,
        iso_weekday,
        row_number() over (
            partition by store_id order by sales_amount desc, last_order_date desc, iso_weekday asc
        ) as place
    from weekdays
),

tagged as (
    select
        per_store.store_id,
        cast(per_store.sales_365d as decimal(14, 2)) as sales_365d,
        per_store.orders_365d,
        per_store.orders_90d,
        per_store.buyers_90d,
        {{ tagloom.ratio('per_store.sales_365d', 'per_store.orders_365d') }} as average_basket_365d,
        {{ tagloom.ntile_score('per_store.sales_365d', 10) }} as sales_decile,
        {{ tagloom.spend_trend(
            'per_store.sales_90d', '(per_store.sales_180d - per_store.sales_90d)'
        ) }} as sales_trend,
        {{ tagloom.weekday_name('ranked_weekdays.iso_weekday') }} as busiest_weekday,
        per_store.last_order_date
    from per_store
    left join ranked_weekdays
        on per_store.store_id = ranked_weekdays.store_id and ranked_weekdays.place = 1
)

select * from tagged
