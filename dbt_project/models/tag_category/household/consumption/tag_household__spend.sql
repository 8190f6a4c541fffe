with members as (
    select
        household_id,
        person_id
    from {{ ref('household_members') }}
),

orders as (
    select
        members.household_id,
        members.person_id,
        orders.order_date,
        orders.sales_amount
    from members
    inner join {{ ref('int_orders') }} as orders
        on members.person_id = orders.person_id
),

per_member as (
    select
        members.household_id,
        members.person_id,
        {{ tagloom.sum_in_last_days('orders.sales_amount', 'orders.order_date', 365) }} as spend_365d,
        {{ tagloom.sum_in_last_days('orders.sales_amount', 'orders.order_date', 90) }} as spend_90d,
        {{ tagloom.sum_in_last_days('orders.sales_amount', 'orders.order_date', 180) }} as spend_180d,
        {{ tagloom.count_in_last_days('orders.order_date', 365) }} as orders_365d,
        max(orders.order_date) as last_order_date
    from members
    left join orders on members.person_id = orders.person_id
    group by members.household_id, members.person_id
),

per_household as (
    select
        household_id,
        sum(spend_365d) as spend_365d,
        sum(spend_90d) as spend_90d,
        sum(spend_180d) as spend_180d,
        max(spend_365d) as largest_spend_365d,
        cast(sum(orders_365d) as integer) as orders_365d,
        cast(count(case when orders_365d > 0 then 1 end) as integer) as shopping_members_365d,
        max(last_order_date) as last_order_date
    from per_member
    group by household_id
),

categories as (
    select
        person_id,
        department,
        sales_amount
    from {{ ref('int_categories_bought') }}
),

everybodys_departments as (
    select
        department,
        sum(sales_amount) as department_amount,
        sum(sum(sales_amount)) over () as total_amount
    from {{ ref('int_category_baselines') }}
    group by department
),

departments as (
    select
        members.household_id,
        categories.department,
        sum(categories.sales_amount) as sales_amount,
        sum(sum(categories.sales_amount)) over (partition by members.household_id) as household_amount
    from members
    inner join categories
        on members.person_id = categories.person_id
    group by members.household_id, categories.department
),

ranked_departments as (
    -- five percent of the own spend at least, so that one bouquet makes nobody a florist's friend
    select
        departments.household_id,
        departments.department,
        {{ tagloom.ratio(
            'cast(departments.sales_amount as double) * cast(everybodys_departments.total_amount as double)',
            'cast(departments.household_amount as double) * cast(everybodys_departments.department_amount as double)',
            1
        ) }} as lift,
        departments.sales_amount
    from departments
    inner join everybodys_departments
        on departments.department = everybodys_departments.department
    where departments.sales_amount >= departments.household_amount * 0.05
),

distinctive_departments as (
    select
        household_id,
        department,
        row_number() over (
            partition by household_id order by lift desc, sales_amount desc, department asc
        ) as place
    from ranked_departments
    where lift >= 1.5
),

tagged as (
    select
        per_household.household_id,
        cast(per_household.spend_365d as decimal(14, 2)) as spend_365d,
        per_household.orders_365d,
        per_household.shopping_members_365d,
        {{ tagloom.share_index('per_household.largest_spend_365d', 'per_household.spend_365d') }}
            as main_shopper_share,
        {{ tagloom.spend_trend(
            'per_household.spend_90d', '(per_household.spend_180d - per_household.spend_90d)'
        ) }} as spend_trend,
        distinctive_departments.department as distinctive_department,
        per_household.last_order_date
    from per_household
    left join distinctive_departments
        on
            per_household.household_id = distinctive_departments.household_id
            and distinctive_departments.place = 1
)

select * from tagged
