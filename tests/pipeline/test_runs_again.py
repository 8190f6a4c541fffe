"""Runs that are repeated, go back in time or are killed give the same tables."""

from __future__ import annotations

import re

import pytest
from tagloom.publish import current_version

from tests.pipeline.conftest import INGESTS, LAYERS_WITH_TABLES, PAST_DAY, History, airflow_rows, hashes_of, rows_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

REPEATED_BUILD, BUILD_OF_PAST_DAY = len(INGESTS), len(INGESTS) + 2

REMEMBERING = re.compile(
    r"identity_mapping\.(person_registry|person_redirects|identity_(changes|map_history|metrics)|household_history)"
    r"|tag_integration\.(\w+_history|tag_history_days|tag_statistics|tag_distributions|tag_scores)"
)
"""Tables that tell what has happened: that half of the cards were gone for a run, and came back; the days built."""


def test_landing_the_same_files_again_changes_nothing(again: History) -> None:
    assert [result["state"] for result in again.results[: len(INGESTS)]] == ["success"] * len(INGESTS)
    events = airflow_rows(
        again.settings,
        """
        select json_extract(tables.value, '$.status'), count(*)
        from asset_event, json_each(asset_event.extra, '$.tables') as tables
        where asset_event.source_run_id in (
            select run_id from dag_run where dag_run.dag_id = asset_event.source_dag_id
            order by dag_run.id limit 1 offset 1
        )
        group by 1
        """,
    )
    tables = [name for name in again.world if not name.startswith("truth.")]
    assert events == [("unchanged", len(tables))]


def test_building_the_same_again_changes_nothing(again: History, clean: History) -> None:
    result = again.results[REPEATED_BUILD]
    assert (result["dag"], result["state"]) == ("build_tags", "success")
    assert result["version"] == clean.results[-1]["version"]
    assert hashes_of(again.settings, again.settings.home / "repeated.duckdb") == clean.hashes


def test_a_past_day_is_built_and_published(again: History) -> None:
    result = again.results[BUILD_OF_PAST_DAY]
    assert (result["dag"], result["state"]) == ("build_tags", "success")
    assert result["version"].startswith(f"{PAST_DAY:%Y%m%d}-")


def test_a_past_day_knows_nothing_of_what_came_later(again: History) -> None:
    past = again.settings.home / "past.duckdb"
    for table, column in (
        ("int_orders", "order_date"),
        ("int_order_lines", "order_date"),
        ("int_web_sessions", "session_date"),
        ("int_store_visits", "visit_date"),
        ("int_coupon_redemptions", "redemption_date"),
    ):
        query = f"select count(*), max({column}) from intermediate.{table}"
        ((then, last),) = rows_of(again.settings, query, past)
        ((now, _),) = rows_of(again.settings, query)
        assert 0 < then < now, table
        assert last <= PAST_DAY, table
    lines = again.world["pos.basket_lines"]
    local = lines["sold_at"].dt.tz_localize("UTC").dt.tz_convert("America/New_York").dt.date
    expected = lines[local <= PAST_DAY]["basket_id"].nunique()
    assert rows_of(again.settings, "select sum(orders) from serving.report_sales_by_segment", past) == [(expected,)]


def test_the_last_day_is_the_same_again_after_all_that(again: History, clean: History) -> None:
    assert {name.split(".")[0] for name in clean.hashes} == set(LAYERS_WITH_TABLES)
    assert [name for name in differences(again, clean) if not REMEMBERING.fullmatch(name)] == []
    assert current_version(again.settings).as_of_date == current_version(clean.settings).as_of_date


def test_kills_leave_no_trace(killed: History, clean: History) -> None:
    assert (killed.results[0]["dag"], killed.results[0]["state"]) == ("build_tags", "success")
    assert differences(killed, clean) == []
    assert current_version(killed.settings).name == current_version(clean.settings).name
    logged = (
        "select source, table_name, sum(rows_landed) from operations.landing_log where status = 'landed' group by all"
    )
    assert sorted(rows_of(killed.settings, logged)) == sorted(rows_of(clean.settings, logged))


def test_all_unit_tests_of_dbt_pass(killed: History) -> None:
    result = killed.results[1]
    assert result["problem"] == ""
    assert len(result["passed"]) > 30


def differences(one: History, other: History) -> list[str]:
    """Tables that are not the same."""
    return [name for name in sorted(one.hashes | other.hashes) if one.hashes.get(name) != other.hashes.get(name)]
