with order_lines as (
    select
        *,
        cast(date_trunc('month', order_date) as date) as month_start
    from {{ ref('int_order_lines') }}
    where
        is_in_catalogue
        and store_id is not null
        and {{ tagloom.in_last_days('order_date', 365) }}
),

lines_added_up_per_month as (
    -- the pump is not a shelf: motor fuel is the retailer's own brand and would hide the goods
    select
        store_id,
        department,
        month_start,
        cast(sum(case when counts_pieces then sales_amount else 0 end) as decimal(14, 2)) as shelf_amount,
        cast(
            sum(case when counts_pieces and brand_type = 'private' then sales_amount else 0 end) as decimal(14, 2)
        ) as private_label_amount,
        cast(sum(case when counts_pieces then 0 else sales_amount end) as decimal(14, 2)) as fuel_amount
    from order_lines
    group by store_id, department, month_start
)

select * from lines_added_up_per_month
