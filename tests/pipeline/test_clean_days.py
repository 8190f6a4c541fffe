"""Thirty clean days, one after the other: no check warns, no channel alarms, nobody gets a mail."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tagloom.settings import PROJECT
from tagloom.sources import load_sources

from sample_data.landing import last_local_day
from tests.pipeline.broken_world import MINUTES, busy_world, prepare_home, write_deliveries
from tests.pipeline.dag_runs import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

BEFORE, DAYS = 45, 30
"""Days that are known when the first clean day comes: forecasts of the channels need six weeks; and clean days."""


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What came of the days."""
    folder = tmp_path_factory.mktemp("clean_days")
    world, sources = busy_world(BEFORE + DAYS), load_sources(PROJECT / "sources")
    days = [last_local_day(world) - timedelta(days=number) for number in reversed(range(DAYS))]
    settings = prepare_home(folder / "home")
    write_deliveries(world, settings.landing, sources, [days[0] - timedelta(days=1), *days])
    server = Server(folder)
    steps = [{"call": "tests.pipeline.simulated_days:live", "with": {"first_day": days[0].isoformat(), "days": DAYS}}]
    try:
        (result,) = server.start(settings.home, "days", steps).wait(MINUTES * 60)
    finally:
        server.close()
    return result["returned"]


def test_no_check_fails_or_warns(month: dict) -> None:
    assert month["checks"] == []
    assert month["checked"] > 90 * DAYS


def test_no_channel_alarms(month: dict) -> None:
    assert month["alarms"] == []
    assert month["judged"] > 5 * DAYS, "each monitor has enough days to go by"


def test_nobody_is_told_anything(month: dict) -> None:
    assert month["told"] == []
