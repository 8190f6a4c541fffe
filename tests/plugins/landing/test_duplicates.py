"""Repeated keys are found in hashes that come sorted, some at a time."""

from __future__ import annotations

from collections import Counter

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tagloom.landing import duplicates


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.sampled_from([0, 1, 2, 2_047, 2_048, 2_049, 10_000]))
def test_what_is_there_more_than_once_is_found_wherever_the_rows_are_cut(seed, rows):
    with duckdb.connect() as connection, pytest.MonkeyPatch.context() as patched:
        patched.setattr(duplicates, "SORTED_AT_A_TIME", 2_048)
        connection.execute(
            f"create table numbers as select hash(hash(i + {seed}) % greatest({rows}, 1)) as number from range({rows}) "
            "as numbers(i)"
        )
        every = [number for (number,) in connection.execute("from numbers").fetchall()]
        found = duplicates._repeated(connection, "select number from numbers order by number")
    assert found.tolist() == sorted(number for number, times in Counter(every).items() if times > 1)
