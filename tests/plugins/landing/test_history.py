"""History of snapshots: any order of arrival gives what the snapshots themselves say."""

from __future__ import annotations

from datetime import date, timedelta

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st
from tagloom.landing.history import replace_period

FIRST = date(2017, 1, 1)

snapshots = st.lists(
    st.dictionaries(st.integers(0, 3), st.sampled_from(["a", "b", None]), max_size=4), min_size=1, max_size=5
)
"""One snapshot a day: key -> content."""


def build(snapshots: list[dict], order: list[int]) -> list[tuple]:
    with duckdb.connect() as connection:
        connection.execute("create table stored (key integer, content varchar, _valid_from date, _valid_to date)")
        landed: set[int] = set()
        for number in order:
            connection.execute("create or replace temp table arrived (key integer, content varchar)")
            for key, content in snapshots[number].items():
                connection.execute("insert into arrived values (?, ?)", [key, content])
            later = [day for day in landed if day > number]
            until = FIRST + timedelta(min(later)) if later else None
            replace_period(
                connection, "stored", "arrived", ["key"], ["key", "content"], FIRST + timedelta(number), until
            )
            landed.add(number)
        return connection.execute("select key, content, _valid_from, _valid_to from stored order by all").fetchall()


@settings(max_examples=40, deadline=None)
@given(snapshots, st.randoms(use_true_random=False))
def test_snapshots_in_any_order_and_number_give_the_same_history(snapshots, random):
    in_order = build(snapshots, list(range(len(snapshots))))
    shuffled = [*range(len(snapshots))] * 2
    random.shuffle(shuffled)
    assert build(snapshots, shuffled) == in_order


@settings(max_examples=40, deadline=None)
@given(snapshots)
def test_history_says_of_each_day_what_its_snapshot_said(snapshots):
    history = build(snapshots, list(range(len(snapshots))))
    for number, snapshot in enumerate(snapshots):
        day = FIRST + timedelta(number)
        said = {key: content for key, content, start, end in history if start <= day and (end is None or day < end)}
        assert said == snapshot


@settings(max_examples=40, deadline=None)
@given(snapshots)
def test_periods_of_a_key_neither_overlap_nor_repeat_each_other(snapshots):
    history = build(snapshots, list(range(len(snapshots))))
    for (key, content, _, end), (next_key, next_content, start, _) in zip(
        history_by_time(history), history_by_time(history)[1:], strict=False
    ):
        if key == next_key:
            assert end is not None
            assert end <= start
            assert end < start or content != next_content


def history_by_time(history: list[tuple]) -> list[tuple]:
    return sorted(history, key=lambda row: (row[0], row[2]))
