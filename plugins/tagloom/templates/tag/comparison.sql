{{ config(meta={'updates': 'full_build'}) }}

with orders as (
    select
        person_id,
        sales_amount
    from {{ ref('int_orders') }}
    where
        person_id is not null
        and {{ tagloom.in_last_days('order_date', 365) }}
),

persons as (
    select
        person_id,
        state
    from {{ ref('persons') }}
),

totals as (
    select
        person_id,
        sum(sales_amount) as sales_amount
    from orders
    group by person_id
),

in_their_group as (
    select
        totals.person_id,
        totals.sales_amount,
        persons.state
    from totals
    inner join persons on totals.person_id = persons.person_id
),

tagged as (
    select
        person_id,
        {{ tagloom.percentile_within('sales_amount', 'state', least=2) }} as $name
    from in_their_group
)

select * from tagged
