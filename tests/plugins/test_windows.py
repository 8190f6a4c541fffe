"""Windows: which facts turn a comparison when the day moves on, and what moves for everybody."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from tagloom.windows import read_windows

TODAY = "cast('2017-12-31' as date)"
A_MONTH_AGO = f"cast({TODAY} - interval '30' day as date)"


@pytest.mark.parametrize(
    ("condition", "windows"),
    [
        (
            f"order_date > {A_MONTH_AGO} and order_date <= {TODAY}",
            {("order_date", 30, False), ("order_date", 0, False)},
        ),
        (f"orders.order_date >= {A_MONTH_AGO}", {("order_date", 30, True)}),
        (f"end_date >= {TODAY}", {("end_date", 0, True)}),
        (f"session_date < {TODAY}", {("session_date", 0, True)}),
        (f"max(order_date) > {A_MONTH_AGO}", {("order_date", 30, False)}),
        ("order_date > date '2017-01-01'", set()),
    ],
)
def test_comparisons_are_windows(condition, windows):
    reading = read_windows(f"select person_id from orders where {condition}")
    assert {(window.column, window.days, window.counts_limit) for window in reading.windows} == windows
    assert reading.moves_daily == ()


@pytest.mark.parametrize(
    "select",
    [
        f"select date_diff('day', order_date, {TODAY}) as days from orders",
        f"select person_id from orders where order_date + 7 > {A_MONTH_AGO}",
        f"select person_id from orders where {A_MONTH_AGO} < order_date",
        f"select person_id from orders where order_date > {TODAY} - 30",
        f"select person_id from orders where order_date between {A_MONTH_AGO} and {TODAY}",
        "with due as (select order_date + interval 7 day as due_date from orders) "
        f"select * from due where due_date <= {TODAY}",
        "with days as (select cast(ordered_at as date) as day from orders) "
        f"select * from days where day > {A_MONTH_AGO}",
    ],
)
def test_what_is_computed_from_the_day_moves_for_everybody(select):
    assert read_windows(select).moves_daily


@pytest.mark.parametrize(
    "made",
    [
        "max(order_date)",
        "min(case when paid then order_date end) over (partition by person_id order by order_date)",
        "coalesce(order_date, cast(null as date))",
        "lead(order_date) over (order by order_date)",
        "greatest(order_date, first_date)",
    ],
)
def test_a_date_that_is_picked_is_still_a_date_of_a_fact(made):
    sql = f"with picked as (select {made} as chosen from orders) select * from picked where chosen > {A_MONTH_AGO}"
    reading = read_windows(sql)
    assert (reading.moves_daily, [window.column for window in reading.windows]) == ((), ["chosen"])


def test_as_of_date_in_a_comment_is_nothing():
    reading = read_windows(f"-- before {TODAY}\nselect 1 as one")
    assert (reading.windows, reading.moves_daily) == (frozenset(), ())


@pytest.mark.parametrize("sign", [">", ">=", "<", "<="])
@pytest.mark.parametrize("days", [0, 1, 30])
@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_exactly_the_dates_that_turn_are_found(sign, days, ahead):
    before = date(2017, 12, 31)
    after = before + timedelta(ahead)
    [window] = read_windows(f"select * from f where d {sign} cast({TODAY} - interval '{days}' day as date)").windows
    compare = {"<": date.__lt__, "<=": date.__le__, ">": date.__gt__, ">=": date.__ge__}[sign]
    first, last = window.moved(before, after)
    for offset in range(-40, 10):
        fact = before + timedelta(offset)
        turns = compare(fact, before - timedelta(days)) != compare(fact, after - timedelta(days))
        assert turns == (first <= fact <= last), fact
