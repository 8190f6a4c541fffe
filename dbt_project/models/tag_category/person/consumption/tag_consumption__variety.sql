with order_lines as (
    select *
    from {{ ref('int_order_lines') }}
    where
        person_id is not null
        and {{ tagloom.in_last_days('order_date', 365) }}
),

products_of_person as (
    select
        person_id,
        product_id,
        department,
        is_in_catalogue,
        count(*) as orders
    from order_lines
    group by person_id, product_id, department, is_in_catalogue
),

tagged as (
    select
        person_id,
        cast(count(*) as integer) as distinct_products_365d,
        cast(count(distinct case when is_in_catalogue then department end) as integer)
            as departments_shopped_365d,
        {{ tagloom.share_index('count(case when orders > 1 then 1 end)', 'count(*)') }}
            as repeat_product_share
    from products_of_person
    group by person_id
)

select * from tagged
