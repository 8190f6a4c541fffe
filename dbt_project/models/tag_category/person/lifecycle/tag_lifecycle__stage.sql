with cycles as (
    -- a week at least, or a daily shopper's holiday looks like a farewell;
    -- 45 days at most, or nobody ever leaves
    select
        *,
        {{ tagloom.days_between('first_order_date', tagloom.as_of_date()) }} as days_since_first,
        {{ tagloom.days_between('last_order_date', tagloom.as_of_date()) }} as days_since_last,
        case
            when days_with_orders < 3 then 30
            else greatest(7, least(45, cast(round(
                cast({{ tagloom.days_between('first_order_date', 'last_order_date') }} as double)
                / (days_with_orders - 1)
            ) as integer)))
        end as cycle_days
    from {{ ref('int_order_history') }}
),

tagged as (
    select
        person_id,
        first_order_date,
        last_order_date,
        days_since_last as days_since_last_order,
        cycle_days as expected_cycle_days,
        {{ tagloom.ratio('days_since_last', 'cycle_days', 1) }} as silence_ratio,
        case
            when days_since_last > cycle_days * 8 then 'churned'
            when days_since_last > cycle_days * 4 then 'dormant'
            when days_since_last > cycle_days * 2 then 'cooling'
            when days_since_first <= 60 then 'new'
            else 'active'
        end as lifecycle_stage,
        days_since_last between cycle_days and cycle_days * 2 as is_due_for_purchase
    from cycles
)

select * from tagged
