"""What somebody would write by hand to get the numbers behind all tags: few passes over each fact, in plain DuckDB SQL.

No layers, no contracts, no history, no tables in between that are not read twice. Each statement reads a fact of schema
`intermediate` and computes everything that the tags ask of it at one grain. What is left to do then, such as
`spend >= 1000 then 'high'`, is cheap, and left out. At the end everything about a person is put side by side, as the
wide table has it. CHECKED says which of the numbers are tags as they are, so that both can be compared.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

import duckdb

SCHEMA = "by_hand"

CHECKED = {
    "weekdays": {"usual_weekday": "usual_weekday"},
    "favourite_stores": {"favourite_store_id": "favourite_store_id", "stores": "stores_shopped_365d"},
    "orders": {
        "orders_30d": "orders_30d", "orders_365d": "orders_365d", "spend_90d": "spend_90d", "spend_365d": "spend_365d",
        "units_365d": "units_365d", "largest_basket_365d": "largest_basket_365d", "saved_365d": "saved_365d",
        "order_days_365d": "shopping_days_365d", "first_order_date": "first_order_date",
        "last_order_date": "last_order_date", "lifetime_spend": "lifetime_spend",
        "stock_up_orders_365d": "stock_up_trips_365d", "last_order_amount": "last_order_amount",
    },
    "variety": {"products": "distinct_products_365d"},
    "due_categories": {"due_category": "due_category", "due_categories": "due_categories"},
    "journeys": {"long_looks": "long_looks_365d", "returns": "repeat_view_days_365d"},
    "favourite_departments": {"department": "favourite_department"},
    "favourite_categories": {"category": "favourite_category"},
    "distinctive_departments": {"department": "distinctive_department", "lift": "distinctive_department_lift"},
    "web": {
        "sessions_90d": "web_sessions_90d", "searches_365d": "web_searches_365d", "last_date": "last_web_visit_date",
    },
    "web_platforms": {"platform": "usual_web_platform"},
    "carts": {"abandoned_365d": "abandoned_carts_365d", "last_abandoned": "last_abandoned_cart_date"},
    "visits": {"visits_90d": "wifi_visits_90d", "last_date": "last_wifi_visit_date"},
    "tickets": {"tickets_365d": "tickets_365d", "last_satisfaction": "last_satisfaction"},
    "campaigns": {"campaigns": "campaigns_received"},
    "redemptions": {"redemptions_365d": "coupons_redeemed_365d"},
}  # fmt: skip
"""Table made by hand -> its column -> the tag with the same values."""


def fill(connection: duckdb.DuckDBPyConnection, as_of_date: date) -> None:
    """Make all tables of schema `by_hand`, from the facts of schema `intermediate`."""
    connection.execute(f"drop schema if exists {SCHEMA} cascade")
    connection.execute(f"create schema {SCHEMA}")
    connection.execute("set search_path = 'by_hand,intermediate,identity_mapping'")
    for statement in statements(as_of_date):
        connection.execute(statement)


def statements(as_of_date: date) -> list[str]:
    """SQL that makes the tables, in order."""
    text = re.sub(r"\$(\d+)d\b", lambda found: f"date '{as_of_date - timedelta(days=int(found[1]))}'", _SQL)
    return [part for part in text.replace("$today", f"date '{as_of_date}'").split(";") if part.strip()]


def differences(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """A sentence for each column by hand that is not what the tag says, over all persons who have a row of both."""
    found = []
    for table, columns in CHECKED.items():
        tested = ", ".join(
            f"count(*) filter (tags.{tag} is distinct from by_hand.{column}) as {tag}"
            for column, tag in columns.items()
        )
        row = connection.execute(
            f"select count(*), {tested} from {SCHEMA}.{table} as by_hand "
            "inner join tag_integration.person_tags as tags on by_hand.person_id = tags.person_id"
        ).fetchall()[0]
        if not row[0]:
            found.append(f"{table}: no person has a row of both")
        for (column, tag), differing in zip(columns.items(), row[1:], strict=True):
            if differing:
                found.append(f"{table}.{column} is not the tag {tag} for {differing:,} of {row[0]:,} persons")
    return found


_SQL = """
create table orders as
select
    person_id,
    min(order_date) as first_order_date,
    max(order_date) as last_order_date,
    count(distinct order_date) as order_days,
    cast(sum(sales_amount) as decimal(14, 2)) as lifetime_spend,
    count(*) filter (order_date > $30d) as orders_30d,
    count(*) filter (order_date > $90d) as orders_90d,
    count(*) filter (order_date > $365d) as orders_365d,
    coalesce(sum(sales_amount) filter (order_date > $30d), 0) as spend_30d,
    coalesce(sum(sales_amount) filter (order_date > $90d), 0) as spend_90d,
    coalesce(sum(sales_amount) filter (order_date > $180d), 0) as spend_180d,
    coalesce(sum(sales_amount) filter (order_date > $365d), 0) as spend_365d,
    sum(fuel_amount) filter (order_date > $365d) as fuel_365d,
    sum(private_label_amount) filter (order_date > $365d) as private_label_365d,
    sum(discounted_amount) filter (order_date > $365d) as discounted_365d,
    coalesce(sum(retail_discount_amount + coupon_discount_amount) filter (order_date > $365d), 0) as saved_365d,
    coalesce(sum(units) filter (order_date > $365d), 0) as units_365d,
    max(sales_amount) filter (order_date > $365d) as largest_basket_365d,
    count(*) filter (order_date > $365d and has_coupon) as coupon_orders_365d,
    count(*) filter (order_date > $365d and discounted_amount > 0 and discounted_amount * 2 >= sales_amount)
        as discounted_orders_365d,
    count(*) filter (order_date > $365d and lines >= 20) as stock_up_orders_365d,
    max_by(sales_amount, (ordered_at, order_id)) filter (order_date > $365d) as last_order_amount,
    count(*) filter (order_date > $365d and isodow(order_date) >= 6) as weekend_orders_365d,
    min(order_date) filter (order_date > $365d) as first_order_date_365d,
    count(distinct order_date) filter (order_date > $365d) as order_days_365d
from int_orders
where person_id is not null
group by person_id;

create table scores as
select
    person_id,
    1 + floor((rank() over (order by last_order_date) - 1) * 5 / count(*) over ()) as recency_score,
    1 + floor((rank() over (order by order_days_365d) - 1) * 5 / count(*) over ()) as frequency_score,
    1 + floor((rank() over (order by spend_365d) - 1) * 10 / count(*) over ()) as spend_decile
from orders
where orders_365d > 0;

create table weekdays as
select
    person_id,
    case when sum(orders) >= 3 then
        (['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'])[
            max_by(weekday, (orders, last_at, -weekday))]
    end as usual_weekday
from (
    select person_id, isodow(order_date) as weekday, count(*) as orders, max(ordered_at) as last_at
    from int_orders
    where person_id is not null and order_date > $365d
    group by person_id, weekday
)
group by person_id;

create table parts_of_day as
select person_id, max_by(part, (orders, last_at, -part)) as usual_part
from (
    select
        person_id,
        case
            when order_hour < 5 or order_hour > 21 then 4 when order_hour < 12 then 1 when order_hour < 17 then 2 else 3
        end as part,
        count(*) as orders,
        max(ordered_at) as last_at
    from int_orders
    where person_id is not null and order_date > $365d
    group by person_id, part
)
group by person_id;

create table missions as
select person_id, min_by(mission, (-orders, -last_at, mission)) as usual_mission
from (
    select
        person_id,
        case
            when lines = 1 and fuel_amount > 0 then 'fuel stop' when lines >= 20 then 'stock-up'
            when lines >= 6 then 'top-up' else 'quick trip'
        end as mission,
        count(*) as orders,
        epoch_us(max(ordered_at)) as last_at
    from int_orders
    where person_id is not null and order_date > $365d
    group by person_id, mission
)
group by person_id;

create table order_days as
select
    person_id,
    order_date,
    row_number() over shopping as day_number,
    lag(order_date) over shopping as previous_date
from (select distinct person_id, order_date from int_orders where person_id is not null)
window shopping as (partition by person_id order by order_date);

create table milestones as
select
    person_id,
    min(order_date) filter (day_number = 2) as second_date,
    min(order_date) filter (day_number = 4) as fourth_date,
    max(order_date) filter (order_date - previous_date > 90) as return_date,
    median(order_date - previous_date) filter (previous_date > $365d) as usual_gap,
    count(*) filter (previous_date > $365d) as gaps
from order_days
group by person_id;

create table cycles as
select
    person_id,
    count(*) filter (abs(order_date - previous_date - round(usual_gap)) <= greatest(2, round(usual_gap) / 3.0)) as kept
from order_days
inner join milestones using (person_id)
where gaps >= 4 and previous_date > $365d
group by person_id;

create table favourite_stores as
select
    person_id,
    max_by(store_id, (orders, last_at, -cast(store_id as integer))) as favourite_store_id,
    max_by(store_id, (last_at, -cast(store_id as integer))) as last_store_id,
    max_by(store_id, (weekend_orders, last_at, -cast(store_id as integer))) as weekend_store_id,
    max_by(store_id, (orders - weekend_orders, last_at, -cast(store_id as integer))) as weekday_store_id,
    max_by(store_id, (orders_90d, last_at, -cast(store_id as integer))) as store_id_lately,
    max_by(store_id, (orders - orders_90d, last_at, -cast(store_id as integer))) as store_id_earlier,
    max(weekend_orders) as weekend_orders,
    sum(weekend_orders) as all_weekend_orders,
    max(orders_90d) as orders_90d,
    sum(orders_90d) as all_orders_90d,
    max(orders) as orders,
    count(*) as stores
from (
    select
        person_id,
        store_id,
        count(*) as orders,
        count(*) filter (isodow(order_date) >= 6) as weekend_orders,
        count(*) filter (order_date > $90d) as orders_90d,
        max(ordered_at) as last_at
    from int_orders
    where person_id is not null and store_id is not null and order_date > $365d
    group by person_id, store_id
)
group by person_id;

create table stores as
select
    store_id,
    isodow(order_date) as weekday,
    count(*) filter (order_date > $365d) as orders_365d,
    count(*) filter (order_date > $90d) as orders_90d,
    sum(sales_amount) filter (order_date > $365d) as sales_365d,
    sum(sales_amount) filter (order_date > $180d) as sales_180d,
    sum(sales_amount) filter (order_date > $90d) as sales_90d,
    max(order_date) as last_order_date
from int_orders
group by store_id, weekday;

create table store_buyers as
select store_id, count(distinct person_id) as buyers_90d from int_orders where order_date > $90d group by store_id;

create table products_of_buyers as
select
    person_id,
    product_id,
    count(*) as lines,
    sum(sales_amount) as sales_amount,
    count(*) filter (order_date > $90d) as lines_90d,
    sum(sales_amount) filter (order_date > $90d) as sales_90d,
    sum(sales_amount) filter (order_date > $180d) as sales_180d,
    min(order_date) as first_date,
    max(order_date) as last_date
from int_order_lines
where order_date > $365d
group by person_id, product_id;

create table products as
select
    product_id,
    sum(lines) as lines,
    sum(sales_amount) as sales_amount,
    sum(sales_90d) as sales_90d,
    sum(sales_180d) as sales_180d,
    count(person_id) as buyers,
    count(person_id) filter (lines_90d > 0) as buyers_90d,
    count(person_id) filter (lines > 1) as repeat_buyers,
    max(last_date) as last_date
from products_of_buyers
group by product_id;

create table variety as
select
    person_id,
    count(*) as products,
    count(*) filter (lines > 1) as repeated_products,
    count(*) filter (last_date > $90d) as products_90d,
    count(*) filter (first_date > $90d) as new_products_90d
from products_of_buyers
where person_id is not null
group by person_id;

create table product_months as
select
    product_id,
    case when order_date > $365d then month(order_date) end as month_number,
    sum(sales_amount) as sales_amount,
    count(*) as lines,
    min(order_date) as first_date,
    max(order_date) as last_date
from int_order_lines
group by product_id, month_number;

create table product_peaks as
select product_id, min_by(month_number, (-sales_amount, month_number)) as peak_month
from product_months
where month_number is not null
group by product_id;

create table product_seasons as
select
    product_id,
    any_value(peak_month) as peak_month,
    min(first_date) as first_date,
    max(last_date) as last_date,
    sum(lines) filter (month_number is not null) as lines,
    sum(sales_amount) filter (month_number is not null) as sales_amount,
    sum(sales_amount) filter (abs(month_number - peak_month) in (0, 1, 11)) as season_amount
from product_months
left join product_peaks using (product_id)
group by product_id;

create table product_prices as
select
    product_id,
    count(*) as lines,
    count(*) filter (retail_discount_amount <> 0) as discounted_lines,
    count(*) filter (coupon_discount_amount <> 0) as coupon_lines,
    sum(sales_amount) filter (counts_pieces and quantity > 0) as amount_of_pieces,
    sum(quantity) filter (counts_pieces and quantity > 0) as pieces
from int_order_lines
where order_date > $365d
group by product_id;

create table departments_of_stores as
select store_id, department, brand_type, counts_pieces, sum(sales_amount) as sales_amount
from int_order_lines
where order_date > $365d and is_in_catalogue
group by store_id, department, brand_type, counts_pieces;

create table categories as
select
    person_id,
    department,
    product_category,
    counts_pieces and is_in_catalogue and department not in ('COUPON', 'MISCELLANEOUS') as is_taste,
    sum(sales_amount) as sales_amount,
    max(order_date) as last_date
from int_order_lines
where order_date > $365d
group by person_id, department, product_category, is_taste;

create table departments as
select
    person_id,
    department,
    sum(sales_amount) filter (is_taste) as sales_amount,
    max(last_date) filter (is_taste) as last_date
from categories
group by person_id, department;

create table departments_shopped as
select person_id, count(*) as departments from departments where department <> 'UNKNOWN' group by person_id;

create table favourite_departments as
select
    person_id,
    min_by(department, (-sales_amount, $today - last_date, department)) as department,
    max(sales_amount) as sales_amount,
    sum(sales_amount) as person_amount
from departments
where person_id is not null and sales_amount is not null
group by person_id
having sum(sales_amount) > 0;

create table favourite_categories as
select
    person_id,
    min_by(product_category, (-sales_amount, $today - last_date, product_category)) as category,
    max(sales_amount) as sales_amount
from (
    select person_id, product_category, sum(sales_amount) as sales_amount, max(last_date) as last_date
    from categories
    where person_id is not null and is_taste and product_category is not null and product_category not like 'COUPON%'
    group by person_id, product_category
)
group by person_id;

create table distinctive_departments as
select person_id, min_by(department, (-lift, -sales_amount, department)) as department, max(lift) as lift
from (
    select
        departments.person_id,
        departments.department,
        departments.sales_amount,
        cast(round(
            cast(departments.sales_amount as double) * total_amount
            / (cast(person_amount as double) * department_amount),
            1
        ) as decimal(14, 1)) as lift
    from departments
    inner join favourite_departments using (person_id)
    inner join (
        select
            department,
            cast(sum(sales_amount) as double) as department_amount,
            cast(sum(sum(sales_amount)) over () as double) as total_amount
        from int_order_lines
        where
            is_in_catalogue and counts_pieces and department not in ('COUPON', 'MISCELLANEOUS')
            and order_date >= date_trunc('month', $today) - interval 12 month
            and order_date < date_trunc('month', $today)
        group by department
    ) as everybodys on departments.department = everybodys.department
    where departments.sales_amount >= person_amount * 0.05
)
where lift >= 1.5
group by person_id;

create table weighed_categories as
select
    person_id,
    department,
    product_category,
    sum(cast(power(0.5, ($today - order_date) / 90.0) as decimal(9, 6))) as weight
from int_order_lines
where
    person_id is not null and is_in_catalogue and counts_pieces and department not in ('COUPON', 'MISCELLANEOUS')
    and product_category is not null and product_category not like 'COUPON%' and order_date > $365d
group by person_id, department, product_category;

create table weights_of_persons as
select
    person_id,
    sum(weight) as weight,
    sum(weight) filter (department in ('PRODUCE', 'NUTRITION', 'SALAD BAR')) as fresh_weight,
    sum(weight) filter (
        department in ('CHEF SHOPPE', 'RESTAURANT') or product_category in (
            'CONVENIENT BRKFST/WHLSM SNACKS', 'DINNER MXS:DRY', 'FROZEN PIZZA', 'FRZN BREAKFAST FOODS',
            'FRZN MEAT/MEAT DINNERS', 'FRZN POTATOES', 'HEAT/SERVE', 'PREPARED FOOD', 'SANDWICHES', 'SOUP', 'SUSHI'
        )
    ) as convenience_weight,
    sum(weight) filter (
        department in ('MEAT', 'SEAFOOD') or product_category in (
            'BAKING MIXES', 'BAKING NEEDS', 'BUTTER', 'DRY BN/VEG/POTATO/RICE', 'DRY NOODLES/PASTA', 'EGGS',
            'FLOUR & MEALS', 'SHORTENING/OIL', 'SPICES & EXTRACTS', 'SUGARS/SWEETNERS'
        )
    ) as cooking_weight
from weighed_categories
group by person_id;

create table signature_categories as
select
    person_id,
    max(category_index) as category_index,
    max_by(product_category, (category_index, weight), 3) as categories
from (
    select
        person_id,
        product_category,
        tastes.weight,
        round(100 * (tastes.weight * of_all.all_weight + 20.0 * of_all.weight)
            / ((tastes.weight * of_all.all_weight + 20.0 * of_all.weight) + of_all.weight * (own.weight + 20.0)))
            as category_index
    from (
        select person_id, product_category, cast(sum(weight) as double) as weight
        from weighed_categories
        group by person_id, product_category
    ) as tastes
    inner join weights_of_persons as own using (person_id)
    inner join (
        select
            product_category,
            cast(sum(weight) as double) as weight,
            cast(sum(sum(weight)) over () as double) as all_weight
        from weighed_categories
        group by product_category
    ) as of_all using (product_category)
    where tastes.weight >= 2
)
where category_index >= 60
group by person_id;

create table due_categories as
select
    person_id,
    count(*) as due_categories,
    min_by(product_category, (-days, -since_last / cycle, product_category)) as due_category
from (
    select
        person_id,
        product_category,
        count(*) as days,
        cast(max(order_date) - min(order_date) as double) / (count(*) - 1) as cycle,
        $today - max(order_date) as since_last,
        max(order_date) - min(order_date) as from_first_to_last
    from (
        select distinct person_id, product_category, order_date
        from int_order_lines
        where
            person_id is not null and is_in_catalogue and counts_pieces
            and department not in ('COUPON', 'MISCELLANEOUS') and product_category is not null
            and product_category not like 'COUPON%' and order_date > $365d
    )
    group by person_id, product_category
    having count(*) >= 5
)
where from_first_to_last >= 7 * (days - 1) and since_last between cycle and cycle * 2
group by person_id;

create table needs as
select person_id, product_category, count(distinct order_id) as orders
from int_order_lines
where
    person_id is not null and order_date > $365d
    and product_category in (
        'BABY FOODS', 'BABYFOOD', 'BEERS/ALES', 'CAT FOOD', 'CAT LITTER', 'CIGARETTES', 'CIGARS',
        'DIAPERS & DISPOSABLES', 'DOG FOODS', 'DOMESTIC WINE', 'IMPORTED WINE', 'INFANT FORMULA', 'LIQUOR',
        'MISC WINE', 'TOBACCO OTHER'
    )
group by person_id, product_category;

create table households as
select
    household_id,
    sum(orders.spend_365d) as spend_365d,
    sum(orders.spend_90d) as spend_90d,
    sum(orders.spend_180d) as spend_180d,
    max(orders.spend_365d) as largest_spend_365d,
    sum(orders.orders_365d) as orders_365d,
    count(*) filter (orders.orders_365d > 0) as shopping_members,
    count(*) filter (orders.orders_90d > 0) as active_members,
    max(orders.last_order_date) as last_order_date,
    count(*) as members,
    count(*) filter (persons.has_email and persons.may_email) as reachable_members,
    min(persons.birth_date) as first_birth_date,
    max(persons.birth_date) as last_birth_date,
    max(survey.kids_count) as kids_count
from household_members
inner join persons using (person_id)
left join orders using (person_id)
left join int_survey_answers as survey using (person_id)
group by household_id;

create table departments_of_households as
select household_id, department, sum(sales_amount) as sales_amount
from household_members
inner join departments using (person_id)
group by household_id, department;

create table web as
select
    person_id,
    max(session_date) as last_date,
    count(*) filter (session_date > $30d) as sessions_30d,
    count(*) filter (session_date > $90d) as sessions_90d,
    count(*) filter (session_date > $365d) as sessions_365d,
    coalesce(sum(searches) filter (session_date > $365d), 0) as searches_365d,
    sum(wishlist_adds) filter (session_date > $365d) as wishlist_adds_365d,
    sum(product_views) filter (session_date > $365d) as product_views_365d
from int_web_sessions
where person_id is not null
group by person_id;

create table web_platforms as
select person_id, min_by(platform, (-sessions, -last_at, platform)) as platform
from (
    select person_id, platform, count(*) as sessions, epoch_us(max(started_at)) as last_at
    from int_web_sessions
    where person_id is not null and platform is not null
    group by person_id, platform
)
group by person_id;

create table web_channels as
select person_id, min_by(channel, (-sessions, -last_at, channel)) as channel
from (
    select person_id, channel, count(*) as sessions, epoch_us(max(started_at)) as last_at
    from int_web_sessions
    where person_id is not null and channel is not null
    group by person_id, channel
)
group by person_id;

create table carts as
with sessions as (
    select
        person_id, session_date, has_cart, has_purchase, has_payment_error, ended_at,
        min(case when has_purchase then started_at end) over (
            partition by person_id order by started_at, web_session_id rows between 1 following and unbounded following
        ) as next_purchase_at
    from int_web_sessions
    where person_id is not null
),
carts as (
    select
        *,
        not has_purchase
        and (next_purchase_at is null or date_diff('second', ended_at, next_purchase_at) > 86400) as is_abandoned
    from sessions
    where has_cart and session_date < $today
)
select
    person_id,
    count(*) filter (session_date > $365d) as carts_365d,
    count(*) filter (session_date > $30d and is_abandoned) as abandoned_30d,
    count(*) filter (session_date > $365d and is_abandoned) as abandoned_365d,
    count(*) filter (session_date > $365d and is_abandoned and has_payment_error) as failed_365d,
    max(session_date) filter (is_abandoned) as last_abandoned
from carts
group by person_id;

create table funnels as
select
    person_id,
    max(step) as step_365d,
    max(step) filter (last_on > $30d) as step_30d,
    mode(step) filter (step < 5) as usual_exit
from (
    select person_id, web_session_id, max(funnel_step) as step, max(event_date) as last_on
    from int_web_events
    where person_id is not null and event_date > $365d
    group by person_id, web_session_id
)
group by person_id;

create table moments as
with moments as (
    select person_id, event_type as moment, occurred_at as happened_at, event_date as day, seconds_to_next
    from int_web_events
    where
        person_id is not null and event_date > $365d
        and event_type in ('search', 'product_view', 'add_to_cart', 'cart', 'purchase')
    union all
    select person_id, 'store_order', ordered_at, order_date, null
    from int_orders
    where order_date > $365d and person_id in (select person_id from int_web_events where event_date > $365d)
)
select
    person_id,
    moment,
    happened_at,
    day,
    seconds_to_next,
    min(case when moment = 'purchase' then happened_at end) over later as next_purchase_at,
    min(case when moment in ('purchase', 'store_order') then happened_at end) over later as next_bought_at,
    min(case when moment in ('purchase', 'store_order') then day end) over later as next_bought_on,
    lag(case when moment in ('product_view', 'purchase', 'store_order') then moment end ignore nulls) over earlier
        as previous_moment,
    lag(case when moment in ('product_view', 'purchase', 'store_order') then day end ignore nulls) over earlier
        as previous_on
from moments
window
    later as (
        partition by person_id order by happened_at desc, moment in ('purchase', 'store_order') desc
        rows between unbounded preceding and current row
    ),
    earlier as (partition by person_id order by happened_at, moment);

create table journeys as
select
    person_id,
    count(distinct case when moment = 'search' and next_bought_on - day <= 7 then day end) as search_days_bought,
    count(distinct case when moment = 'search' then day end) as search_days,
    max(case when moment = 'search' then day end) as last_search,
    max_by(next_purchase_at, happened_at) filter (moment in ('cart', 'add_to_cart')) as bought_after_last_cart,
    count(*) filter (
        moment = 'product_view' and seconds_to_next > 300 and day < $today
        and (next_bought_at is null or date_diff('second', happened_at, next_bought_at) > 86400)
    ) as long_looks,
    count(*) filter (
        moment = 'product_view' and previous_moment = 'product_view' and day - previous_on between 1 and 7
    ) as returns
from moments
group by person_id;

create table orders_after_visits as
select
    person_id,
    count(*) filter (not is_visit and date_diff('second', last_visit_at, happened_at) <= 259200) as orders_after_visit
from (
    select
        *,
        max(case when is_visit and not has_purchase then happened_at end) over (
            partition by person_id order by happened_at, is_visit desc rows between unbounded preceding and current row
        ) as last_visit_at
    from (
        select person_id, true as is_visit, started_at as happened_at, has_purchase
        from int_web_sessions
        where person_id is not null and session_date > $365d
        union all
        select person_id, false, ordered_at, false
        from int_orders
        where order_date > $365d and person_id in (select person_id from int_web_sessions where session_date > $365d)
    )
)
group by person_id;

create table visits as
select
    person_id,
    max(visit_date) as last_date,
    count(*) filter (visit_date > $30d) as visits_30d,
    count(*) filter (visit_date > $90d) as visits_90d,
    count(*) filter (visit_date > $365d) as visits_365d,
    sum(duration_minutes) filter (visit_date > $365d) as minutes_365d,
    count(*) filter (visit_date > $365d and not reached_checkout) as unpaid_365d
from int_store_visits
where person_id is not null
group by person_id;

create table visits_of_stores as
select store_id, count(*) as visits, sum(duration_minutes) as minutes, count_if(reached_checkout) as paid
from int_store_visits
where visit_date > $90d
group by store_id;

create table tickets as
select
    person_id,
    max(opened_date) as last_date,
    count(*) filter (opened_date > $365d) as tickets_365d,
    count_if(is_open) as open_tickets,
    avg(satisfaction) as average_satisfaction,
    max_by(satisfaction, (opened_at, ticket_id)) filter (satisfaction is not null) as last_satisfaction,
    avg(resolution_hours) as average_resolution_hours
from int_support_tickets
where person_id is not null
group by person_id;

create table topics as
select person_id, min_by(topic, (-tickets, -last_at, topic)) as topic
from (
    select person_id, topic, count(*) as tickets, epoch_us(max(opened_at)) as last_at
    from int_support_tickets
    where person_id is not null
    group by person_id, topic
)
group by person_id;

create table tickets_and_orders as
select
    tickets.person_id,
    count(distinct ticket_id) filter (
        opened_date > $365d and date_diff('second', ordered_at, opened_at) between 0 and 86400
    ) as tickets_after_order,
    min(order_date) filter (ordered_at > closed_at) as next_order_date
from int_support_tickets as tickets
inner join int_orders as orders on tickets.person_id = orders.person_id
group by tickets.person_id;

create table campaigns as
select
    person_id,
    count(*) as campaigns,
    count(*) filter (start_date > $90d) as campaigns_90d,
    count(*) filter (end_date >= $today) as running
from int_campaign_targets
where person_id is not null
group by person_id;

create table redemptions as
select
    person_id,
    count(*) filter (redemption_date > $365d) as redemptions_365d,
    count(distinct redemption_date) as days,
    max(redemption_date) as last_date
from int_coupon_redemptions
where person_id is not null
group by person_id;

create table answered as
select person_id, count(distinct campaign_id) as campaigns
from int_campaign_targets semi join int_coupon_redemptions using (person_id, campaign_id)
group by person_id;

create table answers as
select person_id, sum(answered_on - start_date) as days, count(*) as campaigns, max(answered_on) as last_answered_on
from (
    select person_id, campaign_id, start_date, min(redemption_date) as answered_on
    from int_campaign_targets
    inner join int_coupon_redemptions using (person_id, campaign_id)
    where redemption_date >= start_date
    group by person_id, campaign_id, start_date
)
group by person_id;

create table latest_scores as
select person_id, model, max_by(score, (scored_at, score)) as score, max(scored_at) as scored_at
from int_scores
where person_id is not null
group by person_id, model;

create table apps as
select
    person_id,
    count(*) filter (last_active_date > $90d and is_push_enabled) as pushed,
    count(*) filter (last_active_date > $365d) as used,
    min_by(platform, ($today - last_active_date, $today - installed_date, platform)) as platform
from int_app_installations
where person_id is not null
group by person_id;

create table profiles as
select
    *,
    count(*) over (partition by upper(state)) as persons_in_state,
    count(*) over (partition by left(postcode, 2)) as persons_in_area
from persons;

create table peers as
select
    person_id,
    rank() over (partition by upper(state) order by spend_365d) as place_in_state,
    rank() over (partition by age_band order by spend_365d) as place_in_age_band,
    quantile_cont(spend_365d, 0.75) over (partition by age_band) as good_spend
from persons
inner join orders using (person_id)
left join int_survey_answers using (person_id)
where spend_365d > 0;

create table wide as
select *
from profiles
left join int_survey_answers using (person_id)
left join orders using (person_id)
left join scores using (person_id)
left join peers using (person_id)
left join weekdays using (person_id)
left join missions using (person_id)
left join milestones using (person_id)
left join cycles using (person_id)
left join weights_of_persons using (person_id)
left join signature_categories using (person_id)
left join due_categories using (person_id)
left join funnels using (person_id)
left join journeys using (person_id)
left join orders_after_visits using (person_id)
left join tickets_and_orders using (person_id)
left join answers using (person_id)
left join parts_of_day using (person_id)
left join favourite_stores using (person_id)
left join variety using (person_id)
left join departments_shopped using (person_id)
left join favourite_departments using (person_id)
left join favourite_categories using (person_id)
left join distinctive_departments using (person_id)
left join web using (person_id)
left join web_platforms using (person_id)
left join web_channels using (person_id)
left join carts using (person_id)
left join visits using (person_id)
left join tickets using (person_id)
left join topics using (person_id)
left join campaigns using (person_id)
left join redemptions using (person_id)
left join answered using (person_id)
left join apps using (person_id);
"""
