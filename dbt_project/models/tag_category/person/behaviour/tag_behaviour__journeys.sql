with web_events as (
    select *
    from {{ ref('int_web_events') }}
    where
        person_id is not null
        and {{ tagloom.in_last_days('event_date', 365) }}
),

orders as (
    select *
    from {{ ref('int_orders') }}
    where
        person_id is not null
        and {{ tagloom.in_last_days('order_date', 365) }}
),

visitors as (
    select distinct person_id from web_events
),

moments as (
    select
        person_id,
        case when event_type = 'add_to_cart' then 'cart' else event_type end as moment,
        occurred_at as happened_at,
        event_date as happened_on,
        seconds_to_next
    from web_events
    where event_type in ('search', 'product_view', 'add_to_cart', 'cart', 'purchase')

    union all

    select
        orders.person_id,
        'store_order' as moment,
        orders.ordered_at as happened_at,
        orders.order_date as happened_on,
        cast(null as bigint) as seconds_to_next
    from orders
    inner join visitors on orders.person_id = visitors.person_id
),

moments_with_what_followed as (
    -- latest first, and of the same second the purchase first: it followed
    select
        *,
        min(case when moment = 'purchase' then happened_at end) over (
            partition by person_id
            order by happened_at desc, moment in ('purchase', 'store_order') desc
            rows between unbounded preceding and current row
        ) as next_purchase_at,
        min(case when moment in ('purchase', 'store_order') then happened_at end) over (
            partition by person_id
            order by happened_at desc, moment in ('purchase', 'store_order') desc
            rows between unbounded preceding and current row
        ) as next_bought_at,
        min(case when moment in ('purchase', 'store_order') then happened_on end) over (
            partition by person_id
            order by happened_at desc, moment in ('purchase', 'store_order') desc
            rows between unbounded preceding and current row
        ) as next_bought_on
    from moments
),

search_days as (
    select
        person_id,
        happened_on,
        max(
            case
                when {{ tagloom.days_between('happened_on', 'next_bought_on') }} <= 7 then 1
                else 0
            end
        ) as was_bought
    from moments_with_what_followed
    where moment = 'search'
    group by person_id, happened_on
),

searchers as (
    -- a search of the last 7 days that led to nothing yet may still lead to something
    select
        person_id,
        sum(was_bought) as days_bought,
        count(
            case
                when was_bought = 1 or happened_on <= {{ tagloom.days_before_as_of(7) }} then 1
            end
        ) as days_decided,
        max(happened_on) as last_search_on,
        max(case when was_bought = 1 then happened_on end) as last_bought_search_on
    from search_days
    group by person_id
),

carts_latest_first as (
    select
        person_id,
        happened_on,
        {{ tagloom.seconds_between('happened_at', 'next_purchase_at') }} as seconds_to_purchase,
        {{ tagloom.seconds_between('happened_at', 'next_bought_at') }} as seconds_to_buying,
        row_number() over (partition by person_id order by happened_at desc) as place
    from moments_with_what_followed
    where moment = 'cart'
),

looks as (
    select
        person_id,
        count(
            case
                when
                    seconds_to_next > 300
                    and happened_on <= {{ tagloom.days_before_as_of(1) }}
                    and (
                        next_bought_at is null
                        or {{ tagloom.seconds_between('happened_at', 'next_bought_at') }} > 24 * 60 * 60
                    )
                    then 1
            end
        ) as long_looks
    from moments_with_what_followed
    where moment = 'product_view'
    group by person_id
),

looks_and_purchases as (
    select
        person_id,
        moment,
        happened_on,
        lag(moment) over (partition by person_id order by happened_at asc, moment asc) as previous_moment,
        lag(happened_on) over (partition by person_id order by happened_at asc, moment asc) as previous_on
    from moments
    where moment in ('product_view', 'purchase', 'store_order')
),

returns as (
    -- nothing but a look on an earlier day stands before the first look of the day
    select
        person_id,
        count(*) as days_returned
    from looks_and_purchases
    where
        moment = 'product_view'
        and previous_moment = 'product_view'
        and {{ tagloom.days_between('previous_on', 'happened_on') }} between 1 and 7
    group by person_id
),

tagged as (
    select
        visitors.person_id,
        cast(coalesce(searchers.days_bought, 0) as integer) as search_days_bought_365d,
        {{ tagloom.share_index('searchers.days_bought', 'searchers.days_decided') }}
            as search_to_order_rate,
        coalesce(
            searchers.last_search_on <= {{ tagloom.days_before_as_of(7) }}
            and (
                searchers.last_bought_search_on is null
                or searchers.last_search_on > searchers.last_bought_search_on
            ),
            false
        ) as has_unmet_search,
        cast(coalesce(looks.long_looks, 0) as integer) as long_looks_365d,
        cast(coalesce(returns.days_returned, 0) as integer) as repeat_view_days_365d,
        case
            when carts_latest_first.seconds_to_purchase <= 24 * 60 * 60 then 'paid'
            when carts_latest_first.seconds_to_buying <= 24 * 60 * 60 then 'bought in store'
            when carts_latest_first.happened_on > {{ tagloom.days_before_as_of(1) }} then 'open'
            when carts_latest_first.happened_on is not null then 'left'
        end as last_cart_outcome
    from visitors
    left join searchers on visitors.person_id = searchers.person_id
    left join looks on visitors.person_id = looks.person_id
    left join returns on visitors.person_id = returns.person_id
    left join carts_latest_first
        on
            visitors.person_id = carts_latest_first.person_id
            and carts_latest_first.place = 1
)

select * from tagged
