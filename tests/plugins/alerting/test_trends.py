"""What checks measured on earlier days, from the results that are kept."""

from dataclasses import replace
from datetime import date, timedelta

import duckdb
from tagloom.alerting.messages import subject_of
from tagloom.alerting.trends import MOST_DAYS, trends
from tagloom.quality import record_results

from tests.plugins.alerting.test_messages import FAILED, PASSED

DAY = FAILED.as_of_date


def kept(connection, *measured: float | None, first: date, run: str = "run") -> None:
    record_results(
        connection,
        [
            replace(FAILED, measured=value, as_of_date=first + timedelta(days=number), run_id=f"{run}-{number}")
            for number, value in enumerate(measured)
        ],
    )


def test_the_last_days_are_found_oldest_first_and_of_each_day_the_last_run():
    with duckdb.connect() as connection:
        kept(connection, 1.0, 2.0, None, 4.0, first=DAY - timedelta(days=3))
        kept(connection, 2.5, first=DAY - timedelta(days=2), run="later")
        kept(connection, 99.0, first=DAY + timedelta(days=1), run="future")
        found = trends(connection, [replace(FAILED, measured=4.0), replace(PASSED, measured=1.0)])
    assert found == {subject_of(FAILED): (1.0, 2.5, 4.0)}


def test_old_days_are_left_out():
    with duckdb.connect() as connection:
        kept(connection, *range(MOST_DAYS + 5), first=DAY - timedelta(days=MOST_DAYS + 4))
        (values,) = trends(connection, [FAILED]).values()
    assert values == tuple(range(5, MOST_DAYS + 5))
