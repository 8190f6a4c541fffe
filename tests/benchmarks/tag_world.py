"""A retailer of any size for `tags.py`: what its systems landed, and who is who, straight in a warehouse file.

Two years end with AS_OF_DATE. A person has 60 order lines, 30 web events and 10 sightings, campaigns, coupons and
tickets in them, on average; how much follows a power law. Rows lie in the order of their days, as they land. Everything
follows from hashes of row numbers, so a size always gives the same rows. Identity mapping is made here and not built:
it has a benchmark of its own.
"""

from __future__ import annotations

from datetime import date

import duckdb
from tagloom.landing.raw_tables import META_COLUMNS
from tagloom.operations import create_operations_tables
from tagloom.settings import PROJECT
from tagloom.sources import load_sources

AS_OF_DATE = date(2017, 12, 30)
NEXT_DAY = date(2017, 12, 31)
FIRST_DAY = date(2016, 1, 1)
DAYS = (AS_OF_DATE - FIRST_DAY).days + 1

LINES_PER_ORDER = 10
EVENTS_PER_SESSION = 8
SIGHTINGS_PER_VISIT = 3

ORDERS, SESSIONS, VISITS, TARGETS, REDEMPTIONS, TICKETS = 6, 3.75, 2, 3, 0.6, 0.2
"""Per person, in all the days."""

ACTIVE = 0.01
"""Share of the persons who shop or visit on NEXT_DAY."""

PRODUCTS, STORES, CAMPAIGNS = 40_000, 400, 40


def make_world(connection: duckdb.DuckDBPyConnection, persons: int) -> None:
    """Fill raw_* and identity_mapping up to AS_OF_DATE; `prepare_connection` must have been called."""
    create_operations_tables(connection)
    for source in load_sources(PROJECT / "sources"):
        connection.execute(f"create schema if not exists {source.raw_schema}")
    connection.execute("create schema if not exists identity_mapping")
    connection.execute(_PERSON_OF.format(persons=persons))
    connection.execute(_ZIPF)
    for statement in (_PRODUCTS, _CAMPAIGNS):
        connection.execute(statement.format(products=PRODUCTS, stores=STORES, campaigns=CAMPAIGNS))
    for name, per_person, select in _FACTS:
        rows = int(persons * per_person)
        connection.execute(f"create table {name} as {select.format(moments=_moments(rows), campaigns=CAMPAIGNS)}")
    for name, select in _RECORDS:
        connection.execute(f"create table {name} as {select.format(persons=persons)}")
    for name, select in _identity():
        connection.execute(f"create table identity_mapping.{name} as {select.format(persons=persons)}")
    complete_raw_tables(connection)


def add_next_day(connection: duckdb.DuckDBPyConnection, persons: int) -> None:
    """Land NEXT_DAY: ACTIVE of the persons have an order, a session and a visit, each a third of them."""
    connection.execute(_PERSON_OF.format(persons=persons))
    connection.execute(_ZIPF)
    for name, _, select in _FACTS[:3]:
        rows = int(persons * ACTIVE / 3)
        columns = [row[0] for row in connection.execute(f"describe {name}").fetchall()]
        selected = select.format(moments=_moments_of_next_day(name, rows, persons), campaigns=CAMPAIGNS)
        written = [row[0] for row in connection.execute(f"describe ({selected})").fetchall()]
        missing = [f"null as {column}" for column in columns if column not in written]
        landed = f"cast('{NEXT_DAY}' as timestamp) + interval 26 hour as _landed_at"
        listed = ", ".join([f"* replace ({landed}, cast('{NEXT_DAY}' as date) as _interval)", *missing])
        connection.execute(f"delete from {name} where _interval = '{NEXT_DAY}'")
        connection.execute(f"insert into {name} by name select {listed} from ({selected})")


def count_facts(connection: duckdb.DuckDBPyConnection) -> int:
    """Order lines, events, sightings and what else happened, before NEXT_DAY."""
    counts = [f"select count(*) from {name}" for name, _, _ in _FACTS]
    return connection.execute(f"select sum(found) from ({' union all '.join(counts)}) as counts(found)").fetchall()[0][
        0
    ]


def complete_raw_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make what is declared and not made here, empty, so that every staging view works."""
    for source in load_sources(PROJECT / "sources"):
        connection.execute(f"create schema if not exists {source.raw_schema}")
        for table in source.tables:
            wanted = {column.name: column.type for column in table.columns}
            wanted = {name: _SQL_TYPES.get(kind, kind) for name, kind in wanted.items()} | META_COLUMNS
            name = f'{source.raw_schema}."{table.name}"'
            listed = ", ".join(f'"{column}" {kind}' for column, kind in wanted.items())
            connection.execute(f"create table if not exists {name} ({listed})")
            for column, kind in wanted.items():
                connection.execute(f'alter table {name} add column if not exists "{column}" {kind}')


_SQL_TYPES = {"text": "varchar", "number": "double"}

_PERSON_OF = """
    create or replace temp macro scattered(number, salt, buckets) as cast(hash(number, salt) % buckets as bigint);
    create or replace temp macro share(number, salt) as hash(number, salt) % 1000000007 / 1000000007.0;
    -- a tenth of the persons makes a quarter of the rows; neighbours in number are not neighbours in activity
    create or replace temp macro person_of(number, salt) as
        cast(floor({persons} * power(share(number, salt), 1.6)) as bigint) * 7919 % {persons} + 1;
"""

_ZIPF = """
    create or replace temp macro popular(number, salt, buckets) as
        cast(floor(buckets * power(share(number, salt), 3)) as bigint)
"""


def _moments(rows: int) -> str:
    """number, day, moment: so many moments in the order of their days, in opening hours of New York, in UTC."""
    return f"""
        select
            range as number,
            cast('{FIRST_DAY}' as date) + cast(range * {DAYS} // {rows} as integer) as day,
            cast(null as bigint) as person_id,
            cast('{FIRST_DAY}' as date) + cast(range * {DAYS} // {rows} as integer)
            + to_seconds(12 * 3600 + scattered(range, 'moment', 14 * 3600)) as moment
        from range({rows})
    """


def _moments_of_next_day(name: str, rows: int, persons: int) -> str:
    """The same for NEXT_DAY, each of another person."""
    first = 1_000_000_000 + {"raw_pos.basket_lines": 0, "raw_web.events": 1, "raw_wifi.sightings": 2}[name] * rows
    return f"""
        select
            range as number,
            cast('{NEXT_DAY}' as date) as day,
            cast(range * 104729 % {persons} + 1 as bigint) as person_id,
            cast('{NEXT_DAY}' as date) + to_seconds(12 * 3600 + scattered(range, 'moment', 11 * 3600)) as moment
        from range({first}, {first + rows})
    """


_META = "cast(null as varchar) as _source_file, cast(null as bigint) as _line, day as _interval, " + (
    "cast(day as timestamp) + interval 26 hour as _landed_at"
)

_PRODUCTS = """
    create table raw_catalogue.products as
    with numbered as (
        select range as number, popular(range, 'category', 300) as category from range({products} * 98 // 100)
    )
    select
        cast(100000 + number as varchar) as product_id,
        cast(scattered(number, 'manufacturer', 900) as varchar) as manufacturer_id,
        case category % 30
            when 0 then 'GROCERY' when 1 then 'PRODUCE' when 2 then 'MEAT' when 3 then 'DAIRY' when 4 then 'FUEL'
            when 5 then 'MISCELLANEOUS' when 6 then 'COUPON' when 7 then 'SEAFOOD' when 8 then 'NUTRITION'
            when 9 then 'CHEF SHOPPE' else 'DEPARTMENT ' || category % 30
        end as department,
        case when share(number, 'brand') < 0.2 or category % 30 = 4 then 'Private' else 'National' end as brand,
        case category
            when 10 then 'BEERS/ALES' when 11 then 'DOG FOODS' when 12 then 'CAT FOOD' when 13 then 'BABY FOODS'
            when 14 then 'CIGARETTES' when 15 then 'FROZEN PIZZA' when 16 then 'SOUP' when 17 then 'EGGS'
            else 'CATEGORY ' || category
        end as product_category,
        'TYPE ' || category || '-' || scattered(number, 'type', 6) as product_type,
        '16 OZ' as package_size
    from numbered
"""

_CAMPAIGNS = """
    create table raw_campaigns.campaigns as
    select
        cast(range as varchar) as campaign_id,
        'Type ' || substr('ABC', 1 + range % 3, 1) as campaign_type,
        cast('2016-01-10' as date) + cast(range * 18 as integer) as start_date,
        cast('2016-01-10' as date) + cast(range * 18 + 40 as integer) as end_date
    from range({campaigns})
"""

_FACTS = (
    (
        "raw_pos.basket_lines",
        ORDERS,
        f"""
        with moments as ({{moments}}),
        orders as (
            select *, coalesce(moments.person_id, person_of(number, 'order')) as buyer from moments
        ),
        lines as (
            -- six lines of ten are among the person's forty usual products; a basket has one line per product
            select
                *,
                unnest(list_distinct(list_transform(
                    range(1 + scattered(number, 'lines', {2 * LINES_PER_ORDER - 1})),
                    lambda line: case
                        when share(number * 100 + line, 'usual') < 0.6
                            then popular(
                                buyer * 64 + (scattered(number, 'slot', 40) + line * 7) % 40, 'usual', {PRODUCTS}
                            )
                        else popular(number * 100 + line, 'any', {PRODUCTS})
                    end
                ))) as product
            from orders
        ),
        chosen as (
            select *, 199 + scattered(number * {PRODUCTS} + product, 'price', 900) as cents from lines
        )
        select
            'B' || number as basket_id,
            case when share(number, 'card') < 0.95 then lpad(cast(buyer as varchar), 12, '0') end as card_number,
            cast(300 + case when share(number, 'home') < 0.75 then buyer else number end % {STORES} as varchar)
                as store_id,
            cast(100000 + product as varchar) as product_id,
            moment as sold_at,
            cast(1 + popular(number * {PRODUCTS} + product, 'pieces', 6) as integer) as quantity,
            cast(cents / 100.0 as decimal(12, 2)) as sales_value,
            cast(case when cents % 3 = 0 then cents / 500.0 else 0 end as decimal(12, 2)) as retail_discount,
            cast(case when cents % 37 = 0 then 0.5 else 0 end as decimal(12, 2)) as coupon_discount,
            cast(case when cents % 111 = 0 then 0.25 else 0 end as decimal(12, 2)) as coupon_match_discount,
            {_META}
        from chosen
        """,
    ),
    (
        "raw_web.events",
        SESSIONS,
        f"""
        with moments as ({{moments}}),
        sessions as (
            select *, coalesce(moments.person_id, person_of(number, 'session')) // 5 * 5 + 1 + number % 3 as visitor
            from moments
        ),
        events as (
            select *, unnest(range(1 + scattered(number, 'events', {2 * EVENTS_PER_SESSION - 1}))) as event_number
            from sessions
        )
        select
            'E' || (number * 20 + event_number) as event_id,
            moment + to_seconds(event_number * 45 + scattered(number * 20 + event_number, 'pause', 44)) as occurred_at,
            'W' || lpad(cast(visitor as varchar), 6, '0') as web_user_id,
            case
                when event_number = 0 then 'main'
                else (['product_view', 'product_view', 'product_view', 'catalog', 'catalog', 'search', 'add_to_cart',
                    'cart', 'wishlist_add', 'review_page', 'payment_details', 'purchase', 'payment_error',
                    'checkout_bug', 'support_chat', 'catalog'])[1 + scattered(number * 20 + event_number, 'event', 16)]
            end as event,
            (['desktop', 'mobile', 'mobile', 'tablet'])[1 + scattered(visitor, 'platform', 4)] as platform,
            (['direct', 'paid_search', 'organic', 'email', 'social'])[1 + scattered(number, 'channel', 5)] as channel,
            {_META}
        from events
        """,
    ),
    (
        "raw_wifi.sightings",
        VISITS,
        f"""
        with moments as ({{moments}}),
        visits as (
            select *, coalesce(moments.person_id, person_of(number, 'visit')) // 5 * 5 + 1 + number % 2 as visitor
            from moments
        ),
        sightings as (
            select *, unnest(range(1 + scattered(number, 'sightings', {2 * SIGHTINGS_PER_VISIT - 1}))) as sighting
            from visits
        )
        select
            regexp_replace(upper(lpad(to_hex(visitor), 12, '0')), '(..)(..)(..)(..)(..)(..)', '\\1:\\2:\\3:\\4:\\5:\\6')
                as device_mac,
            moment + to_seconds(sighting * 300) as seen_at,
            cast(300 + visitor % {STORES} as varchar) as store_id,
            (['entrance', 'aisle', 'aisle', 'fresh', 'checkout'])[1 + scattered(number * 10 + sighting, 'zone', 5)]
                as zone,
            cast(-40 - scattered(number, 'signal', 40) as integer) as signal_dbm,
            {_META}
        from sightings
        """,
    ),
    (
        "raw_campaigns.targets",
        TARGETS,
        """
        with moments as ({moments})
        select distinct
            cast(scattered(number, 'campaign', {campaigns}) as varchar) as campaign_id,
            lpad(cast(person_of(number, 'target') as varchar), 12, '0') as card_number
        from moments
        """,
    ),
    (
        "raw_campaigns.redemptions",
        REDEMPTIONS,
        f"""
        with moments as ({{moments}})
        select
            lpad(cast(person_of(number, 'redemption') as varchar), 12, '0') as card_number,
            'C' || scattered(number, 'coupon', 1000) as coupon_upc,
            cast(scattered(number, 'campaign', {{campaigns}}) as varchar) as campaign_id,
            cast(day as date) as redemption_date,
            {_META}
        from moments
        """,
    ),
    (
        "raw_support.tickets",
        TICKETS,
        f"""
        with moments as ({{moments}})
        select
            'T' || lpad(cast(number as varchar), 6, '0') as ticket_id,
            moment as opened_at,
            case when share(number, 'open') < 0.95 then moment + to_seconds(scattered(number, 'closed', 600000)) end
                as closed_at,
            (['email', 'phone', 'chat'])[1 + scattered(number, 'channel', 3)] as channel,
            (['delivery', 'refund', 'product', 'account', 'app'])[1 + scattered(number, 'topic', 5)] as topic,
            case when share(number, 'answer') < 0.6 then cast(1 + scattered(number, 'stars', 5) as integer) end
                as satisfaction,
            'R' || person_of(number, 'ticket') as requester_id,
            {_META}
        from moments
        """,
    ),
)
"""Raw table, moments per person, select over them."""

_RECORDS = (
    (
        "raw_scores.scores",
        """
        select
            lpad(cast(card * 2 + 1 as varchar), 12, '0') as card_number,
            (['churn_60d', 'purchase_7d'])[1 + run % 2] as model,
            '2.0' as model_version,
            share(card * 10 + run, 'score') as score,
            cast('2017-12-18' as timestamp) + to_days(cast(7 * (run // 2) as integer)) as scored_at,
            cast('2017-12-25' as date) as _interval,
            cast('2017-12-25' as timestamp) as _landed_at
        from (select range % ({persons} // 2) as card, range // ({persons} // 2) as run from range({persons} // 2 * 4))
        """,
    ),
    (
        "raw_lists.entries",
        """
        select
            'loyalty_card' as identifier_type,
            lpad(cast(range * 100 + 1 as varchar), 12, '0') as identifier,
            (['vip', 'staff', 'do_not_promote'])[1 + scattered(range, 'list', 3)] as tag,
            (['gold', 'yes', 'yes'])[1 + scattered(range, 'list', 3)] as value,
            'stores@example.com' as owner,
            cast('2017-06-01' as date) as set_on,
            cast('2018-06-01' as date) as expires_on
        from range({persons} // 100)
        """,
    ),
    (
        "raw_app.devices",
        """
        select
            'A' || range as app_device_id,
            cast('2016-01-01' as timestamp) + to_hours(scattered(range, 'installed', 15000)) as installed_at,
            cast('2017-09-25' as timestamp) + to_hours(scattered(range, 'active', 2350)) as last_active_at,
            (['android', 'ios'])[1 + scattered(range, 'platform', 2)] as platform,
            '3.' || scattered(range, 'version', 9) as app_version,
            share(range, 'push') < 0.6 as push_enabled
        from range({persons} * 3 // 10)
        """,
    ),
    (
        "raw_survey.respondents",
        """
        select
            lpad(cast(range * 3 + 1 as varchar), 12, '0') as card_number,
            (['19-24', '25-34', '35-44', '45-54', '55-64', '65+'])[1 + scattered(range, 'age', 6)] as age_band,
            (['Under 15K', '15-24K', '35-49K', '50-74K', '100-124K'])[1 + scattered(range, 'income', 5)] as income_band,
            (['Homeowner', 'Renter', null])[1 + scattered(range, 'home', 3)] as home_ownership,
            (['Married', 'Unmarried', null])[1 + scattered(range, 'married', 3)] as marital_status,
            cast(1 + scattered(range, 'size', 4) as varchar) as household_size,
            (['1 Adult No Kids', '1 Adult Kids', '2 Adults No Kids', '2 Adults Kids'])[1 + scattered(range, 'kind', 4)]
                as household_composition,
            (['0', '1', '2', '3+'])[1 + scattered(range, 'kids', 4)] as kids_count
        from range({persons} // 3)
        """,
    ),
)


def _identity() -> tuple[tuple[str, str], ...]:
    """Tables of identity mapping, as far as facts and tags read them."""
    identifiers = {
        "loyalty_card": "lpad(cast(range + 1 as varchar), 12, '0')",
        "web_account": "'W' || lpad(cast(range + 1 as varchar), 6, '0')",
        "device_mac": "upper(lpad(to_hex(range + 1), 12, '0'))",
        "app_device": "'A' || range",
        "support_requester": "'R' || (range + 1)",
    }
    shares = {"web_account": "range % 5 < 3", "device_mac": "range % 5 < 2", "app_device": "range % 10 < 3"}
    selects = [
        f"""
        select
            '{kind}' as identifier_type,
            sha256(getvariable('identity_key_outer')
                || unhex(sha256(getvariable('identity_key_inner') || encode('{kind}:' || {value})))) as identifier_hash,
            cast({"range * 3 // 10 * 10 // 3" if kind == "app_device" else "range"} + 1 as bigint) as person_id
        from range({{persons}}{" * 3 // 10" if kind == "app_device" else ""})
        where {shares.get(kind, "true") if kind != "app_device" else "true"}
        """
        for kind, value in identifiers.items()
    ]
    return (
        (
            "identity_map",
            "select cast(row_number() over () as bigint) as identifier_key, * from "
            f"({' union all '.join(selects)}) as identifiers",
        ),
        ("persons", _PERSONS),
        (
            "household_members",
            "select cast(range + 1 as bigint) as person_id, 'H' || (range // 10 + 1) as household_id, "
            "cast('2016-02-01' as date) as since from range({persons}) where range % 10 < 4",
        ),
        (
            "households",
            "select household_id, cast(count(*) as integer) as members, min(since) as since "
            "from identity_mapping.household_members group by household_id",
        ),
    )


_PERSONS = """
    select
        cast(range + 1 as bigint) as person_id,
        cast('2016-01-01' as timestamp) + to_hours(scattered(range, 'seen', 9000)) as first_seen_at,
        cast(4 as integer) as identifiers,
        cast(1 as integer) as loyalty_cards,
        cast(range % 3 = 0 as integer) as crm_records,
        cast(range % 5 < 3 as integer) as web_accounts,
        cast(range % 10 < 3 as integer) as app_installations,
        cast(range % 5 < 2 as integer) as wifi_devices,
        range % 4 < 3 as has_email,
        range % 3 < 2 as has_phone,
        case when range % 8 < 7 then cast('1930-01-01' as date) + cast(scattered(range, 'birth', 28000) as integer) end
            as birth_date,
        case when range % 8 < 7 then 'loyalty' end as birth_date_source,
        lpad(cast(scattered(range, 'postcode', 9999) as varchar), 4, '0') as postcode,
        'loyalty' as postcode_source,
        (['nsw', 'vic', 'qld', 'wa', 'sa', 'tas', 'act', 'nt'])[1 + scattered(range, 'state', 8)] as state,
        'loyalty' as state_source,
        cast('2010-01-01' as timestamp) + to_hours(scattered(range, 'registered', 60000)) as loyalty_registered_at,
        case when range % 5 < 3 then cast('2014-01-01' as timestamp) + to_hours(scattered(range, 'account', 30000)) end
            as account_created_at,
        case when range % 7 < 6 then range % 7 < 4 end as may_email,
        case when range % 6 < 5 then range % 6 < 2 end as may_phone,
        range % 5 = 1 as wants_newsletter,
        range % 9 < 8 as has_active_card
    from range({persons})
"""
