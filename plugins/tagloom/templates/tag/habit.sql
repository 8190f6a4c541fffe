with orders as (
$orders
),

order_days as (
    -- two orders of one day are one
    select distinct
        $key,
        order_date,
        {{ tagloom.iso_weekday('order_date') }} as weekday
    from orders
    where {{ tagloom.in_last_days('order_date', 365) }}
),

weekdays as (
    select
        $key,
        weekday,
        count(*) as days,
        sum(count(*)) over (partition by $key) as all_days
    from order_days
    group by $key, weekday
),

ranked_weekdays as (
    -- of equal weekdays the first of the week wins
    select
        $key,
        weekday,
        row_number() over (partition by $key order by days desc, weekday asc) as place
    from weekdays
    where all_days >= 3
),

tagged as (
    select
        $key,
        {{ tagloom.weekday_name('weekday') }} as $name
    from ranked_weekdays
    where place = 1
)

select * from tagged
