with orders as (
    select *
    from {{ ref('int_orders') }}
    where
        person_id is not null
        and store_id is not null
        and {{ tagloom.in_last_days('order_date', 365) }}
),

stores as (
    select
        person_id,
        store_id,
        count(*) as orders,
        max(ordered_at) as last_ordered_at
    from orders
    group by person_id, store_id
),

ranked as (
    select
        person_id,
        store_id,
        orders,
        sum(orders) over (partition by person_id) as orders_in_all,
        count(*) over (partition by person_id) as stores,
        row_number() over (
            partition by person_id order by orders desc, last_ordered_at desc, store_id asc
        ) as place
    from stores
),

tagged as (
    select
        person_id,
        store_id as favourite_store_id,
        {{ tagloom.share_index('orders', 'orders_in_all') }} as favourite_store_index,
        cast(stores as integer) as stores_shopped_365d
    from ranked
    where place = 1
)

select * from tagged
