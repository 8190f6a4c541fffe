with order_lines as (
    select *
    from {{ ref('int_order_lines') }}
    where
        person_id is not null
        and product_category in (
            'BABY FOODS', 'BABYFOOD', 'BEERS/ALES', 'CAT FOOD', 'CAT LITTER', 'CIGARETTES', 'CIGARS',
            'DIAPERS & DISPOSABLES', 'DOG FOODS', 'DOMESTIC WINE', 'IMPORTED WINE', 'INFANT FORMULA',
            'LIQUOR', 'MISC WINE', 'TOBACCO OTHER'
        )
        and {{ tagloom.in_last_days('order_date', 365) }}
),

needs as (
    select
        person_id,
        order_id,
        order_date,
        case
            when product_category in ('CAT FOOD', 'CAT LITTER') then 'cat'
            when product_category = 'DOG FOODS' then 'dog'
            when product_category in ('CIGARETTES', 'CIGARS', 'TOBACCO OTHER') then 'tobacco'
            when product_category in ('BEERS/ALES', 'DOMESTIC WINE', 'IMPORTED WINE', 'LIQUOR', 'MISC WINE')
                then 'alcohol'
            else 'baby'
        end as need
    from order_lines
),

orders_with_need as (
    select
        person_id,
        count(distinct case when need = 'cat' then order_id end) as cat_orders,
        count(distinct case when need = 'dog' then order_id end) as dog_orders,
        count(distinct case when need = 'alcohol' then order_id end) as alcohol_orders,
        count(distinct case when need = 'tobacco' then order_id end) as tobacco_orders,
        count(
            distinct case
                when need = 'baby' and {{ tagloom.in_last_days('order_date', 180) }} then order_id
            end
        ) as baby_orders
    from needs
    group by person_id
),

tagged as (
    -- one order may be a gift
    select
        person_id,
        case
            when cat_orders >= 2 and dog_orders >= 2 then 'cat and dog'
            when dog_orders >= 2 then 'dog'
            when cat_orders >= 2 then 'cat'
        end as pet_kind,
        baby_orders >= 2 as has_baby_needs,
        alcohol_orders >= 2 as is_alcohol_buyer,
        tobacco_orders >= 2 as is_tobacco_buyer
    from orders_with_need
)

select * from tagged
