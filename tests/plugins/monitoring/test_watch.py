"""Monitors over a warehouse: what is kept of each day, and what is alarming."""

from datetime import date, timedelta

import duckdb
import pytest
from tagloom.monitoring.declarations import BelowMean, Monitor
from tagloom.monitoring.watch import shown, watch

DAY = date(2017, 12, 31)
MONITOR = Monitor(
    name="payments",
    title="Payments",
    title_zh="支付",
    owner="online@example.com",
    what_to_do="Ask.",
    unit="share",
    sql="select day, part, paid as numerator, tried as denominator from payments",
    rule=BelowMean(kind="below_mean"),
)


@pytest.fixture
def warehouse():
    """Two channels; one of them loses half of its payments from 29 December on, for six days."""
    with duckdb.connect() as connection:
        connection.execute(
            """
            create table payments as
            select
                day::date as day, part, 100 as tried,
                case when part = 'web' and day >= date '2017-12-29' and day < date '2018-01-04' then 40 else 80 end
                    as paid
            from range(date '2017-11-01', date '2018-01-20', interval 1 day) as days (day), (values ('web'), ('app'))
                as parts (part)
            """
        )
        yield connection


def alarming(connection, day: date) -> list[str]:
    return [found.part for found in watch(connection, [MONITOR], day) if found.verdict.is_alarming]


def test_one_channel_alarms_and_the_other_does_not(warehouse):
    found = {watched.part: watched for watched in watch(warehouse, [MONITOR], DAY)}
    assert found["web"].sentence == "40.0% on the last 3 days, below 80% of the mean of 80.0%"
    assert found["app"].sentence == ""
    assert found["web"].days[-1] == (DAY, 0.4)
    assert len(found["web"].days) == 35


def test_an_alarm_lasts_as_long_as_its_cause(warehouse):
    days = [day for number in range(80) if alarming(warehouse, day := date(2017, 11, 1) + timedelta(days=number))]
    assert days == [DAY + timedelta(days=number) for number in range(4)]


def test_the_history_has_one_row_a_day_and_part_however_often_it_is_judged(warehouse):
    for _ in range(2):
        watch(warehouse, [MONITOR], DAY)
    watch(warehouse, [MONITOR], DAY - timedelta(days=1))
    kept = warehouse.execute(
        "select as_of_date, part, measured, is_alarming from operations.channel_alarms order by all"
    ).fetchall()
    assert kept == [
        (DAY - timedelta(days=1), "app", 0.8, False),
        (DAY - timedelta(days=1), "web", pytest.approx(1.6 / 3), False),
        (DAY, "app", 0.8, False),
        (DAY, "web", 0.4, True),
    ]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select 1 as day", "monitors/payments.yml: sql: gives day; it must give day, part, numerator, denominator"),
        ("select * from nothing", "monitors/payments.yml: sql: Catalog Error"),
    ],
)
def test_wrong_sql_is_named(warehouse, sql, message):
    with pytest.raises(ValueError, match="payments") as error:
        watch(warehouse, [MONITOR.model_copy(update={"sql": sql})], DAY)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.1234, "share", "12.3%"),
        (1234.5, "money", "1,234.50"),
        (1234.5, "number", "1,234"),
        (None, "share", "nothing"),
    ],
)
def test_values_as_people_read_them(value, unit, text):
    assert shown(value, unit) == text
