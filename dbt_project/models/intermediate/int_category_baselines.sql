with category_months as (
    select
        *,
        (extract(year from {{ tagloom.as_of_date() }}) - extract(year from month_start)) * 12
        + extract(month from {{ tagloom.as_of_date() }}) - extract(month from month_start) as months_ago
    from {{ ref('int_category_months') }}
),

last_month as (
    -- the first month of a retailer has none before it, and is compared with itself
    select
        case
            when count(case when months_ago between 1 and 12 then 1 end) > 0 then 1
            else 0
        end as months_ago
    from category_months
),

months_of_the_year as (
    -- weighed as int_categories_bought weighs days
    select
        category_months.*,
        cast(
            case
                when category_months.months_ago <= 3 then 1
                when category_months.months_ago <= 6 then 0.5
                when category_months.months_ago <= 9 then 0.25
                else 0.125
            end as decimal(9, 6)
        ) as weight_of_a_line
    from category_months
    cross join last_month
    where category_months.months_ago between last_month.months_ago and 12
),

months_added_up as (
    select
        department,
        product_category,
        cast(sum(sales_amount) as decimal(18, 2)) as sales_amount,
        cast(sum(lines * weight_of_a_line) as decimal(18, 6)) as weight
    from months_of_the_year
    group by department, product_category
)

select * from months_added_up
