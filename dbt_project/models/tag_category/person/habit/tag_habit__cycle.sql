with order_days as (
    select distinct
        person_id,
        order_date
    from {{ ref('int_orders') }}
    where
        person_id is not null
        and {{ tagloom.in_last_days('order_date', 365) }}
),

neighbours as (
    select
        person_id,
        order_date,
        lag(order_date) over (partition by person_id order by order_date asc) as previous_order_date
    from order_days
),

gaps as (
    select
        person_id,
        order_date,
        {{ tagloom.days_between('previous_order_date', 'order_date') }} as gap_days
    from neighbours
),

per_person as (
    -- four gaps at least: fewer show no cycle
    select
        person_id,
        max(order_date) as last_order_date,
        cast(round({{ tagloom.quantile('gap_days', 0.5) }}) as integer) as usual_interval_days
    from gaps
    group by person_id
    having count(gap_days) >= 4
),

kept_gaps as (
    -- a third of the interval early or late is still the cycle, two days always are
    select
        gaps.person_id,
        count(gaps.gap_days) as gaps_in_all,
        count(
            case
                when
                    abs(gaps.gap_days - per_person.usual_interval_days)
                    <= greatest(2, per_person.usual_interval_days / 3.0)
                    then 1
            end
        ) as gaps_kept
    from gaps
    inner join per_person on gaps.person_id = per_person.person_id
    group by gaps.person_id
),

tagged as (
    select
        per_person.person_id,
        per_person.usual_interval_days,
        {{ tagloom.share_index('kept_gaps.gaps_kept', 'kept_gaps.gaps_in_all') }}
            as cycle_regularity_index,
        {{ tagloom.days_after('per_person.last_order_date', 'per_person.usual_interval_days') }}
            as next_order_due_date
    from per_person
    inner join kept_gaps on per_person.person_id = kept_gaps.person_id
)

select * from tagged
