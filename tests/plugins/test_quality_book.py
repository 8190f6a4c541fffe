"""The quality book over a warehouse in memory: what is kept, what a rerun replaces, what readers see."""

import sqlite3
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest
from tagloom import quality_book
from tagloom.operations import create_operations_tables
from tagloom.quality import CheckResult

DAY = date(2017, 12, 31)


def result(**changes) -> CheckResult:
    fields = {
        "run_id": "run-1",
        "as_of_date": DAY,
        "layer": "staging",
        "contract": "staging/cards.yml",
        "table": "staging.cards",
        "column": "",
        "name": "There are cards",
        "check_type": "row_count",
        "outcome": "passed",
        "measured": 3.0,
        "unit": "",
        "threshold": "more than 0",
        "owner": "loyalty@example.com",
        "what_to_do": "Ask.",
        "sample": (),
        "problem": "",
        "milliseconds": 1.5,
    }
    return CheckResult(**{**fields, **changes})


@pytest.fixture
def warehouse():
    connection = duckdb.connect()
    create_operations_tables(connection)
    return connection


def land(warehouse, run_id: str, logged_at: datetime, table: str = "cards", rows: int = 10, days: int = 1) -> None:
    warehouse.execute(
        """
        insert into operations.landing_log by name
        select ? as run_id, 'loyalty' as source, ? as table_name, date '2017-12-31' as first_day,
            date '2017-12-31' + cast(? as integer) as end_day, 'landed' as status, ? as rows_read, ? as rows_landed,
            1 as rows_quarantined, 2 as duplicates, 0.5 as seconds, ?::timestamp as logged_at
        """,
        [run_id, table, days, rows + 3, rows, logged_at],
    )


def set_aside(warehouse, reason: str, day: date, repaired: bool = False, column: str | None = "fee") -> None:
    warehouse.execute(
        "insert into operations.quarantine by name select 'parking' as source, 'tickets' as table_name, "
        "? as column_name, ? as reason, ?::date as day, ? as repaired",
        [column, reason, day, repaired],
    )


def test_readers_find_nothing_before_anything_was_recorded(settings):
    assert quality_book.latest(settings) == []
    assert quality_book.layer_trend(settings, 30) == []
    assert quality_book.landings(settings, 30) == []
    sqlite3.connect(settings.quality_book).close()
    assert quality_book.quarantine(settings) == []


def test_results_come_back_as_they_were_the_worst_first(settings, warehouse):
    bad = result(name="Every card has a holder", outcome="failed", measured=4.5, unit=" %", column="holder")
    odd = result(name="It can be verified", outcome="not evaluated", measured=None, problem="no table", table="")
    quality_book.record(settings, warehouse, [result(), bad, odd, result(name="Few are old", outcome="warned")])
    kept = quality_book.latest(settings)
    assert [item.outcome for item in kept] == ["failed", "not evaluated", "warned", "passed"]
    first = vars(kept[0])
    assert first.pop("at").tzinfo == UTC
    expected = vars(bad) | {}
    del expected["sample"], expected["table_rows"]
    assert first == expected
    assert (kept[1].measured, kept[1].problem, kept[1].table) == (None, "no table", "")


def test_a_rerun_replaces_its_run_and_layer_only(settings, warehouse):
    quality_book.record(settings, warehouse, [result(outcome="failed"), result(name="Gone", outcome="failed")])
    quality_book.record(settings, warehouse, [result(layer="serving")])
    quality_book.record(settings, warehouse, [result()])
    assert [(item.layer, item.name, item.outcome) for item in quality_book.latest(settings)] == [
        ("serving", "There are cards", "passed"),
        ("staging", "There are cards", "passed"),
    ]
    assert [(score.layer, score.score) for score in quality_book.latest_tables(settings)] == [
        ("serving", 100.0),
        ("staging", 100.0),
    ]


def test_only_the_newest_run_of_a_layer_is_the_latest(settings, warehouse):
    quality_book.record(settings, warehouse, [result(outcome="failed")])
    quality_book.record(settings, warehouse, [result(run_id="run-2")])
    assert [(item.run_id, item.outcome) for item in quality_book.latest(settings)] == [("run-2", "passed")]


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([], 100.0),
        (["passed"] * 4, 100.0),
        (["passed"] * 3 + ["warned"], 87.5),
        (["warned"], 50.0),
        (["passed"] * 9 + ["failed"], 45.0),
        (["passed"] * 9 + ["not evaluated"], 45.0),
        (["passed"] * 4999 + ["failed"], 49.9),
        (["passed"] * 9999 + ["warned"], 99.9),
        (["failed"], 0.0),
    ],
)
def test_below_fifty_means_that_something_failed(outcomes, expected):
    assert quality_book.score(outcomes) == expected


def test_scores_of_tables_and_layers_by_day(settings, warehouse):
    for days, outcome in ((2, "passed"), (1, "warned"), (0, "failed")):
        day = DAY - timedelta(days=days)
        quality_book.record(
            settings,
            warehouse,
            [
                result(run_id=f"run of {day}", as_of_date=day, outcome=outcome),
                result(run_id=f"run of {day}", as_of_date=day, table="staging.customers", contract="x.yml"),
            ],
        )
    trend = quality_book.layer_trend(settings, 30)
    assert [(item.as_of_date.day, item.score, item.warned, item.failed) for item in trend] == [
        (29, 100.0, 0, 0),
        (30, 75.0, 1, 0),
        (31, 25.0, 0, 1),
    ]
    assert (trend[0].tables, trend[0].checks, trend[0].milliseconds) == (2, 2, 3.0)
    assert [item.score for item in quality_book.table_trend(settings, "staging.cards", 30)] == [100.0, 50.0, 0.0]
    assert [item.score for item in quality_book.table_trend(settings, "staging.cards", 2)] == [50.0, 0.0]
    assert [item.score for item in quality_book.table_trends(settings, 30)["staging.customers"]] == [100.0] * 3
    assert quality_book.check_trend(settings, "staging/cards.yml", "There are cards", 2) == [
        (DAY - timedelta(days=1), 3.0),
        (DAY, 3.0),
    ]
    # The newest run of a day counts, once.
    quality_book.record(settings, warehouse, [result(run_id="again")])
    assert [item.score for item in quality_book.layer_trend(settings, 1)] == [100.0]


def test_a_broken_contract_has_a_score_under_its_file(settings, warehouse):
    quality_book.record(settings, warehouse, [result(table="", contract="staging/bad.yml", outcome="not evaluated")])
    assert [(item.table, item.score) for item in quality_book.latest_tables(settings)] == [("staging/bad.yml", 0.0)]


def test_passed_results_are_forgotten_in_time_failures_and_scores_are_not(settings, warehouse):
    old = DAY - timedelta(days=quality_book.KEEP_PASSED_DAYS + 1)
    earlier = result(run_id="old", as_of_date=old)
    quality_book.record(settings, warehouse, [earlier, replace(earlier, name="Cards are new", outcome="failed")])
    quality_book.record(settings, warehouse, [result()])
    quality_book.record(settings, warehouse, [result()])
    with sqlite3.connect(settings.quality_book) as book:
        kept = book.execute("select run_id, outcome from check_results order by 1").fetchall()
    assert kept == [("old", "failed"), ("run-1", "passed")]
    assert len(quality_book.layer_trend(settings, 200)) == 2


def test_landings_are_copied_once(settings, warehouse):
    moment = datetime(2018, 1, 1, 3, 30)
    land(warehouse, "one", moment)
    land(warehouse, "one", moment, table="holders", rows=0, days=3)
    quality_book.record(settings, warehouse, [])
    land(warehouse, "two", moment + timedelta(days=1), rows=20)
    quality_book.record(settings, warehouse, [])
    quality_book.record(settings, warehouse, [])
    found = quality_book.landings(settings, 30)
    assert [(item.run_id, item.table_name, item.data_interval, item.landed) for item in found] == [
        ("two", "cards", "2017-12-31", 20),
        ("one", "cards", "2017-12-31", 10),
        ("one", "holders", "2017-12-31/2018-01-03", 0),
    ]
    assert found[0].landed_at == datetime(2018, 1, 2, 3, 30, tzinfo=UTC)
    assert (found[0].rows_read, found[0].quarantined, found[0].duplicates, found[0].seconds) == (23, 1, 2, 0.5)
    assert [item.run_id for item in quality_book.landings(settings, 1)] == ["two"]
    assert [(item.table_name, item.landed) for item in quality_book.newest_landings(settings)] == [("cards", 20)]


def test_quarantine_is_counted_by_reason_without_what_was_repaired(settings, warehouse):
    for day in (29, 30):
        set_aside(warehouse, "is no number", date(2017, 12, day))
    set_aside(warehouse, "is empty", DAY)
    set_aside(warehouse, "the row has 4 fields, not 5", DAY, column=None)
    quality_book.record(settings, warehouse, [])
    assert [(item.reason, item.rows, item.newest.day) for item in quality_book.quarantine(settings)] == [
        ("fee is no number", 2, 30),
        ("fee is empty", 1, 31),
        ("the row has 4 fields, not 5", 1, 31),
    ]
    warehouse.execute("update operations.quarantine set repaired = true where column_name = 'fee'")
    quality_book.record(settings, warehouse, [])
    assert [item.rows for item in quality_book.quarantine(settings)] == [1]


def test_a_warehouse_without_books_is_no_error(settings):
    quality_book.record(settings, duckdb.connect(), [result()])
    assert len(quality_book.latest(settings)) == 1


def test_all_or_nothing(settings, warehouse):
    quality_book.record(settings, warehouse, [result()])
    with pytest.raises(sqlite3.Error):
        quality_book.record(settings, warehouse, [result(outcome="failed"), result(name=None)])
    assert [item.outcome for item in quality_book.latest(settings)] == ["passed"]


def test_it_can_be_read_while_it_is_written(settings, warehouse):
    quality_book.record(settings, warehouse, [result()])
    with quality_book._writing(settings) as book:
        book.execute("delete from check_results")
        assert len(quality_book.latest(settings)) == 1
    assert quality_book.latest(settings) == []
