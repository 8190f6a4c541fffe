with per_person as (
    select
        person_id,
        count(*) as products,
        count(distinct department) as departments,
        count(case when orders > 1 then 1 end) as repeat_products,
        {{ tagloom.count_in_last_days('last_order_date', 90) }} as products_90d,
        {{ tagloom.count_in_last_days('first_order_date', 90) }} as new_products_90d
    from {{ ref('int_products_bought') }}
    group by person_id
),

tagged as (
    -- ten older products at least, or everything a newcomer buys would be a novelty
    select
        person_id,
        cast(products as integer) as distinct_products_365d,
        cast(departments as integer) as departments_shopped_365d,
        {{ tagloom.share_index('repeat_products', 'products') }} as repeat_product_share,
        case
            when products - new_products_90d >= 10
                then {{ tagloom.share_index('new_products_90d', 'products_90d') }}
        end as novelty_index
    from per_person
)

select * from tagged
