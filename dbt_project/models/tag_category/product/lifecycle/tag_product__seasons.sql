with product_months as (
    select
        *,
        cast(extract(month from month_start) as integer) as month_number
    from {{ ref('int_product_months') }}
),

months as (
    -- the last 365 days begin and end in the same month of two years
    select
        product_id,
        month_number,
        sum(sales_amount) as sales_amount,
        sum(orders) as orders
    from product_months
    where is_in_last_365_days
    group by product_id, month_number
),

ranked_months as (
    select
        product_id,
        month_number,
        row_number() over (partition by product_id order by sales_amount desc, month_number asc) as place
    from months
),

peaks as (
    -- the month before and after belong to the season; December and January are neighbours
    select
        months.product_id,
        ranked_months.month_number as peak_month,
        sum(months.orders) as orders,
        sum(months.sales_amount) as sales_amount,
        sum(
            case
                when
                    abs(months.month_number - ranked_months.month_number) in (0, 1, 11)
                    then months.sales_amount
                else 0
            end
        ) as season_amount
    from months
    inner join ranked_months
        on months.product_id = ranked_months.product_id and ranked_months.place = 1
    group by months.product_id, ranked_months.month_number
),

sold as (
    select
        product_id,
        min(first_sold_date) as first_sold_date,
        max(last_sold_date) as last_sold_date
    from product_months
    group by product_id
),

tagged as (
    -- twelve orders at least, one a month, before a month is called a peak
    select
        sold.product_id,
        case when peaks.orders >= 12 then peaks.peak_month end as peak_month,
        coalesce(peaks.orders >= 12 and peaks.season_amount >= peaks.sales_amount * 0.6, false)
            as is_seasonal,
        case
            when sold.last_sold_date <= {{ tagloom.days_before_as_of(90) }} then 'ended'
            when sold.first_sold_date > {{ tagloom.days_before_as_of(60) }} then 'new'
            when sales.sales_trend = 'falling' then 'declining'
            when sales.sales_trend in ('rising', 'started') then 'growing'
            else 'steady'
        end as product_stage
    from sold
    left join peaks on sold.product_id = peaks.product_id
    left join {{ ref('tag_product__sales') }} as sales on sold.product_id = sales.product_id
)

select * from tagged
