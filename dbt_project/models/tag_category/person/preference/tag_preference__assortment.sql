with categories as (
    select *
    from {{ ref('int_categories_bought') }}
    where person_id is not null
),

departments as (
    select
        person_id,
        department,
        sum(sales_amount) as sales_amount,
        max(last_order_date) as last_order_date
    from categories
    group by person_id, department
),

favourite_departments as (
    select
        person_id,
        sum(sales_amount) as person_amount,
        max(sales_amount) as sales_amount,
        {{ tagloom.first_by('department', [
            '-sales_amount',
            tagloom.days_between('last_order_date', "date '9999-12-31'"),
            'department',
        ]) }} as department
    from departments
    group by person_id
),

everybodys_departments as (
    select
        department,
        sum(sales_amount) as department_amount,
        sum(sum(sales_amount)) over () as total_amount
    from {{ ref('int_category_baselines') }}
    group by department
),

departments_with_lift as (
    -- five percent of the own spend at least, so that one bouquet makes nobody a florist's friend
    select
        departments.person_id,
        departments.department,
        departments.sales_amount,
        {{ tagloom.ratio(
            'cast(departments.sales_amount as double) * cast(everybodys_departments.total_amount as double)',
            'cast(favourite_departments.person_amount as double)
            * cast(everybodys_departments.department_amount as double)',
            1
        ) }} as lift
    from departments
    inner join favourite_departments
        on departments.person_id = favourite_departments.person_id
    inner join everybodys_departments
        on departments.department = everybodys_departments.department
    where departments.sales_amount >= favourite_departments.person_amount * 0.05
),

distinctive_departments as (
    select
        person_id,
        max(lift) as lift,
        {{ tagloom.first_by('department', ['-lift', '-sales_amount', 'department']) }} as department
    from departments_with_lift
    where lift >= 1.5
    group by person_id
),

categories_of_all_departments as (
    select
        person_id,
        product_category,
        sum(sales_amount) as sales_amount,
        max(last_order_date) as last_order_date
    from categories
    where product_category is not null and product_category not like 'COUPON%'
    group by person_id, product_category
),

favourite_categories as (
    select
        person_id,
        max(sales_amount) as sales_amount,
        {{ tagloom.first_by('product_category', [
            '-sales_amount',
            tagloom.days_between('last_order_date', "date '9999-12-31'"),
            'product_category',
        ]) }} as product_category
    from categories_of_all_departments
    group by person_id
),

tagged as (
    select
        favourite_departments.person_id,
        favourite_departments.department as favourite_department,
        {{ tagloom.share_index(
            'favourite_departments.sales_amount', 'favourite_departments.person_amount'
        ) }} as favourite_department_index,
        favourite_categories.product_category as favourite_category,
        {{ tagloom.share_index(
            'favourite_categories.sales_amount', 'favourite_departments.person_amount'
        ) }} as favourite_category_index,
        distinctive_departments.department as distinctive_department,
        distinctive_departments.lift as distinctive_department_lift
    from favourite_departments
    left join favourite_categories
        on favourite_departments.person_id = favourite_categories.person_id
    left join distinctive_departments
        on favourite_departments.person_id = distinctive_departments.person_id
    where favourite_departments.person_amount > 0
)

select * from tagged
