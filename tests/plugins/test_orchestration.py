"""The decisions of the DAGs: which days are landed, which day is built for, what a failure is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from types import ModuleType, SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from tagloom.landing import OPERATIONS_TABLES
from tagloom.quality import CheckResult
from tagloom.settings import Settings, load_settings
from tagloom.sources import load_sources
from tagloom.warehouse import open_warehouse


@pytest.fixture(scope="module")
def orchestration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module, with an AIRFLOW_HOME of its own: importing Airflow writes there, but no database is needed."""
    with pytest.MonkeyPatch.context() as patch:
        if "airflow" not in sys.modules:
            for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
                patch.delenv(name)
            patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        from tagloom import orchestration

        yield orchestration


@pytest.mark.parametrize(
    ("time_zone", "expected"),
    [
        # 2017-01-02 00:00 UTC is still the evening of the 1st in New York: the 31st is the last day that is over.
        ("America/New_York", "2016-12-31"),
        ("Asia/Shanghai", "2017-01-01"),
        ("UTC", "2017-01-01"),
    ],
)
def test_last_complete_day(orchestration: ModuleType, time_zone: str, expected: str) -> None:
    assert orchestration.last_complete_day(date(2017, 1, 2), ZoneInfo(time_zone)) == date.fromisoformat(expected)


@pytest.mark.parametrize(
    ("end_day", "expected"),
    [("2017-03-12", "2017-03-10"), ("2017-03-13", "2017-03-11"), ("2017-11-06", "2017-11-04")],
)
def test_last_complete_day_when_clocks_change(orchestration: ModuleType, end_day: str, expected: str) -> None:
    found = orchestration.last_complete_day(date.fromisoformat(end_day), ZoneInfo("America/New_York"))
    assert found == date.fromisoformat(expected)


def a_context(first_day: str | None = None, end_day: str | None = None, **more: object) -> dict:
    """A task's context: parameters of the run and a data interval of one day."""
    return {
        "params": {"first_day": first_day, "end_day": end_day},
        "data_interval_start": datetime(2017, 1, 5, tzinfo=UTC),
        "data_interval_end": datetime(2017, 1, 6, tzinfo=UTC),
        **more,
    }


def test_days_of_the_data_interval(orchestration: ModuleType) -> None:
    assert orchestration._days_to_land(a_context()) == (date(2017, 1, 5), date(2017, 1, 6))


def test_a_data_interval_within_two_days_lands_both(orchestration: ModuleType) -> None:
    context = a_context(
        data_interval_start=datetime(2017, 1, 5, 18, tzinfo=UTC), data_interval_end=datetime(2017, 1, 6, 6, tzinfo=UTC)
    )
    assert orchestration._days_to_land(context) == (date(2017, 1, 5), date(2017, 1, 7))


def test_an_empty_data_interval_lands_the_day_it_is_in(orchestration: ModuleType) -> None:
    moment = datetime(2017, 1, 5, 9, 30, tzinfo=UTC)
    context = a_context(data_interval_start=moment, data_interval_end=moment)
    assert orchestration._days_to_land(context) == (date(2017, 1, 5), date(2017, 1, 6))


def test_days_of_the_parameters(orchestration: ModuleType) -> None:
    assert orchestration._days_to_land(a_context("2017-02-01", "2017-02-04")) == (date(2017, 2, 1), date(2017, 2, 4))


def test_one_day_without_an_end(orchestration: ModuleType) -> None:
    assert orchestration._days_to_land(a_context("2017-02-28")) == (date(2017, 2, 28), date(2017, 3, 1))


@pytest.mark.parametrize("end_day", ["2017-01-31", "2017-02-01"])
def test_an_end_that_is_not_after_the_first_day(orchestration: ModuleType, end_day: str) -> None:
    with pytest.raises(Exception, match=f"end_day {end_day} must be after first_day 2017-02-01"):
        orchestration._days_to_land(a_context("2017-02-01", end_day))


def test_the_given_day_is_built(orchestration: ModuleType, settings: Settings) -> None:
    context = {"params": {"as_of_date": "2017-01-06"}, "triggering_asset_events": {}}
    assert orchestration._as_of_date(settings, context) == date(2017, 1, 6)


def events(*end_days: str | None) -> dict:
    """Asset events as a run gets them, a source each."""
    return {
        f"raw_{number}": [SimpleNamespace(extra={"end_day": end_day} if end_day else {})]
        for number, end_day in enumerate(end_days)
    }


def test_the_assets_decide_and_the_source_that_is_behind_counts(orchestration: ModuleType, settings: Settings) -> None:
    context = {"params": {"as_of_date": None}, "triggering_asset_events": events("2017-01-13", "2017-01-12", None)}
    assert orchestration._as_of_date(settings, context) == date(2017, 1, 10)


def test_without_events_what_landed_decides(
    orchestration: ModuleType, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    awaited = [source.name for source in load_sources(settings.sources) if source.build_waits_for_it]
    landed = [(source, 13 + number, "landed") for number, source in enumerate(awaited)]
    # Others do not count, nor does what was stopped or not delivered.
    landed += [("wifi", 2, "landed"), (awaited[0], 20, "stopped"), (awaited[0], 21, "nothing delivered")]
    with open_warehouse(settings) as connection:
        connection.execute(OPERATIONS_TABLES)
        for source, day, status in landed:
            connection.execute(
                "insert into operations.landing_log (source, table_name, end_day, status) values (?, 'table', ?, ?)",
                [source, date(2017, 1, day), status],
            )
    context = {"params": {"as_of_date": None}, "triggering_asset_events": {}}
    assert orchestration._as_of_date(settings, context) == date(2017, 1, 11)
    monkeypatch.setenv("TAGLOOM_TIME_ZONE", "Asia/Shanghai")
    assert orchestration._as_of_date(load_settings(), context) == date(2017, 1, 12)


def test_nothing_has_landed(orchestration: ModuleType, settings: Settings) -> None:
    with open_warehouse(settings) as connection:
        connection.execute(OPERATIONS_TABLES)
    context = {"params": {"as_of_date": None}, "triggering_asset_events": {}}
    with pytest.raises(Exception, match="Nothing has landed yet; run ingest_loyalty first or set as_of_date"):
        orchestration._as_of_date(settings, context)


def test_nothing_has_landed_in_a_new_warehouse(orchestration: ModuleType, settings: Settings) -> None:
    context = {"params": {"as_of_date": None}, "triggering_asset_events": {}}
    with pytest.raises(Exception, match="Nothing has landed yet; run ingest_loyalty first or set as_of_date"):
        orchestration._as_of_date(settings, context)


def a_result(outcome: str, name: str = "Every card has a number") -> CheckResult:
    return CheckResult(
        run_id="run",
        as_of_date=date(2017, 1, 11),
        layer="landing",
        contract="landing/loyalty/cards.yml",
        table="raw_loyalty.cards",
        column="card_number",
        name=name,
        check_type="missing",
        outcome=outcome,
        measured=3.0,
        unit=" %",
        threshold="0 %",
        owner="loyalty@example.com",
        what_to_do="Ask.",
        sample=(),
        problem="its SQL fails" if outcome == "not evaluated" else "",
        milliseconds=1.0,
    )


def test_a_failed_layer_is_told_in_one_line_per_check(orchestration: ModuleType) -> None:
    results = [a_result("passed"), a_result("warned"), a_result("failed"), a_result("not evaluated", "Cards are known")]
    lines = str(orchestration.QualityError("landing", results)).splitlines()
    assert lines[0] == "2 of 4 checks of landing failed:"
    assert lines[1].startswith("raw_loyalty.cards: not true: Every card has a number.")
    assert "its SQL fails" in lines[2]


@pytest.mark.parametrize(
    ("dag_id", "task_id", "is_about_checks", "title"),
    [
        ("ingest_loyalty", "land", False, "landing of loyalty"),
        ("build_tags", "landing", True, "checks of landing"),
        ("build_tags", "identity_mapping", True, "checks of identity mapping"),
        ("build_tags", "tag_category", False, "building tag category"),
    ],
)
def test_titles_of_mails(
    orchestration: ModuleType, dag_id: str, task_id: str, is_about_checks: bool, title: str
) -> None:
    assert orchestration._title(dag_id, task_id, is_about_checks) == title


def test_assets_have_a_stable_address(orchestration: ModuleType) -> None:
    assert orchestration.raw_asset("pos").uri == "tagloom://raw/pos"
    assert orchestration.layer_asset("serving").uri == "tagloom://layer/serving"
