"""Windows: which facts turn a comparison when the day moves on, and what moves for everybody."""

from __future__ import annotations

from datetime import date, timedelta

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tagloom.windows import anniversary_condition, read_windows

from tests.plugins.tags.test_tag_macros import MACRO

TODAY = "cast('2017-12-31' as date)"
A_MONTH_AGO = f"cast({TODAY} - interval '30' day as date)"

LOCAL_DAY = "cast(timezone('America/New_York', timezone('UTC', {moment})) as date)"


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
        "with due as (select order_date + interval 7 day as due from orders), "
        f"last as (select max(due) as last_due from due) select * from last where last_due > {A_MONTH_AGO}",
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


def full_years_of(column: str) -> str:
    """What the macro makes of a column and as_of_date."""
    return f"select {MACRO.full_years_between(column, TODAY)} as years from persons"


@pytest.mark.parametrize("column", ["birth_date", "persons.birth_date"])
def test_full_years_turn_on_anniversaries(column):
    reading = read_windows(full_years_of(column))
    assert (reading.windows, reading.moves_daily, reading.anniversaries) == (frozenset(), (), {"birth_date"})


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("extract(day from birth_date)", "extract(day from other_date)"),
        ("then 1", "then 2"),
        ("as integer", "as double"),
    ],
)
def test_what_only_looks_like_full_years_moves_for_everybody(written, instead):
    sql = full_years_of("birth_date")
    assert written in sql
    assert read_windows(sql.replace(written, instead)).moves_for_everybody


def test_full_years_of_a_date_that_is_made_move_for_everybody(tmp_path):
    sql = full_years_of("due_date")
    made = sql.replace("from persons", "from (select birth_date + interval 7 day as due_date from persons)")
    assert read_windows(made).moves_for_everybody
    picked = sql.replace("from persons", "from (select case when known then birth_date end as due_date from persons)")
    assert not read_windows(picked).moves_for_everybody


@pytest.mark.parametrize(
    ("moment", "columns"),
    [
        ("seen_at", {"seen_at"}),
        ("visits.seen_at", {"seen_at"}),
        ("least(members.registered_at, created_at)", {"registered_at", "created_at"}),
    ],
)
def test_the_local_day_of_a_moment_is_found_by_the_moment(moment, columns):
    made = LOCAL_DAY.format(moment=moment)
    reading = read_windows(f"with d as (select {made} as day from visits) select * from d where day > {A_MONTH_AGO}")
    assert reading.moves_daily
    assert (reading.moves_for_everybody, reading.local_days) == ((), {"day": columns})


@pytest.mark.parametrize("moment", ["seen_at + interval 3 day", "greatest(seen_at, (select max(seen_at) from visits))"])
def test_the_local_day_of_another_moment_moves_for_everybody(moment):
    made = LOCAL_DAY.format(moment=moment)
    reading = read_windows(f"with d as (select {made} as day from visits) select * from d where day > {A_MONTH_AGO}")
    assert (bool(reading.moves_for_everybody), reading.local_days) == (True, {})


def test_the_local_day_of_a_moment_that_is_made_moves_for_everybody():
    made = LOCAL_DAY.format(moment="due_at")
    reading = read_windows(
        "with due as (select ordered_at + interval 7 day as due_at from orders), "
        f"d as (select {made} as day from due) select * from d where day > {A_MONTH_AGO}"
    )
    assert [piece.rpartition(" ")[2] for piece in reading.moves_for_everybody] == ["due_at"]


dates = st.dates(date(1900, 1, 1), date(2030, 12, 31)) | st.sampled_from(
    [date(2000, 2, 28), date(2000, 2, 29), date(2000, 3, 1), date(1999, 12, 31), date(2000, 1, 1)]
)
days = st.dates(date(2015, 1, 1), date(2021, 12, 31)) | st.sampled_from(
    [date(2016, 2, 28), date(2016, 2, 29), date(2017, 2, 28), date(2017, 3, 1), date(2017, 12, 31), date(2018, 1, 1)]
)


@settings(max_examples=200, deadline=None)
@given(birth=dates, before=days, ahead=st.integers(0, 7))
def test_exactly_the_dates_with_an_anniversary_are_found(birth, before, ahead):
    """29 February has its anniversary on 1 March where the year has no such day."""
    after = before + timedelta(ahead)

    def years(day: date) -> int:
        return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))

    sql = anniversary_condition(f"date '{birth}'", before, after)
    [(turns,)] = duckdb.sql(f"select {sql}").fetchall()
    assert turns == (years(before) != years(after))
