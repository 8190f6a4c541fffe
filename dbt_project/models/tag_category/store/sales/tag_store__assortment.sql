with departments as (
    select
        store_id,
        department,
        sum(shelf_amount) as shelf_amount,
        sum(private_label_amount) as private_label_amount,
        sum(fuel_amount) as fuel_amount
    from {{ ref('int_store_months') }}
    group by store_id, department
),

per_store as (
    select
        store_id,
        sum(shelf_amount) as shelf_amount,
        sum(private_label_amount) as private_label_amount,
        sum(fuel_amount) as fuel_amount
    from departments
    group by store_id
),

ranked as (
    select
        store_id,
        department,
        row_number() over (
            partition by store_id order by shelf_amount desc, department asc
        ) as place
    from departments
    where shelf_amount > 0
),

tagged as (
    select
        per_store.store_id,
        ranked.department as top_department,
        {{ tagloom.share_index('per_store.private_label_amount', 'per_store.shelf_amount') }}
            as private_label_share,
        per_store.fuel_amount > 0 as sells_fuel
    from per_store
    left join ranked on per_store.store_id = ranked.store_id and ranked.place = 1
)

select * from tagged
