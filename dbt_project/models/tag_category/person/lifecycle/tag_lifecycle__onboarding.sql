with persons as (
    select person_id from {{ ref('persons') }}
),

order_days as (
    select distinct
        person_id,
        order_date
    from {{ ref('int_orders') }}
    where person_id is not null
),

numbered as (
    select
        person_id,
        order_date,
        row_number() over (partition by person_id order by order_date asc) as day_number,
        lag(order_date) over (partition by person_id order by order_date asc) as previous_order_date
    from order_days
),

milestones as (
    select
        person_id,
        min(case when day_number = 1 then order_date end) as first_date,
        min(case when day_number = 2 then order_date end) as second_date,
        min(case when day_number = 4 then order_date end) as fourth_date,
        max(
            case
                when {{ tagloom.days_between('previous_order_date', 'order_date') }} > 90 then order_date
            end
        ) as return_date
    from numbered
    group by person_id
),

tagged as (
    select
        persons.person_id,
        case
            when {{ tagloom.days_between('milestones.first_date', 'milestones.fourth_date') }} <= 90
                then 'settled'
            when milestones.first_date < {{ tagloom.days_before_as_of(90) }} then 'stalled'
            when milestones.second_date is not null then 'second order'
            when milestones.first_date is not null then 'first order'
            else 'registered'
        end as onboarding_step,
        {{ tagloom.days_between('milestones.first_date', 'milestones.second_date') }}
            as days_to_second_order,
        coalesce({{ tagloom.in_last_days('milestones.return_date', 30) }}, false) as is_reactivated
    from persons
    left join milestones on persons.person_id = milestones.person_id
)

select * from tagged
