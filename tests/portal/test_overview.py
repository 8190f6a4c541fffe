"""What the first page tells, and that it tells it with half of the books missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from tagloom import quality_book
from tagloom.portal import summary
from tagloom.portal.pages import overview
from tagloom.portal.serving import Serving, Snapshot
from tagloom.settings import Settings

Clients = Callable[..., TestClient]
DAY = date(2017, 12, 31)
AT = datetime(2018, 1, 1, 6, tzinfo=UTC)


@pytest.fixture
def snapshot(world: Settings) -> Snapshot:
    return Serving(world).snapshot()


def _layer(name: str, day: date = DAY, failed: int = 0, warned: int = 0) -> quality_book.LayerScore:
    return quality_book.LayerScore("run", day, name, 48.0 if failed else 99.0, 3, 30, warned, failed, 12.0, AT)


def _landed(source: str, table: str, day: str, quarantined: int = 0) -> quality_book.LandedTable:
    return quality_book.LandedTable("run", source, table, day, AT, "landed", 110, 100, quarantined, 0, 0.1)


def test_a_new_user_sees_where_to_begin(client_as: Clients) -> None:
    page = client_as("marketer").get("/").text

    assert "Your first audience in three minutes" in page
    assert 'href="/audiences/new"' in page
    assert "Send it out" in page


def test_who_may_not_build_is_not_asked_to(client_as: Clients) -> None:
    page = client_as("viewer").get("/").text

    assert "Your first audience" not in page
    assert "/audiences/new" not in page


def test_the_page_says_how_fresh_and_how_much(client_as: Clients, snapshot: Snapshot) -> None:
    page = client_as("viewer").get("/").text

    assert f"{snapshot.persons:,}" in page
    assert "31 Dec 2017" in page
    assert snapshot.name in page
    assert "No checks were run yet" in page
    assert "not checked yet" in page


def test_layers_stand_in_the_order_of_building_each_with_its_newest_day(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    yesterday = date(2017, 12, 30)
    trend = [_layer("serving", yesterday, failed=1), _layer("own"), _layer("serving"), _layer("landing", warned=2)]
    monkeypatch.setattr(quality_book, "layer_trend", lambda settings, days: trend)

    found = summary.layers(settings)

    assert [layer.name for layer in found] == ["landing", "serving", "own"]
    assert [layer.tone for layer in found] == ["warn", "good", "good"]


def test_a_failed_layer_is_bad_health(client_as: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality_book, "layer_trend", lambda settings, days: [_layer("serving", failed=2)])

    page = client_as("viewer").get("/").text

    assert "2 failed" in page
    assert "nothing is wrong" not in page


def test_a_source_is_as_fresh_as_its_newest_table(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    landed = [
        _landed("web", "events", "2017-12-31", 3),
        _landed("pos", "lines", "2017-12-31"),
        _landed("web", "users", "2017-12-30"),
    ]
    monkeypatch.setattr(quality_book, "newest_landings", lambda settings: landed)

    pos, web = summary.sources(settings)

    assert (pos.name, web.name, web.tables, web.interval) == ("pos", "web", 2, "2017-12-31")
    assert (web.rows, web.quarantined) == (200, 3)


def test_stages_are_those_of_the_wide_table(snapshot: Snapshot) -> None:
    tag = summary.stage_tag(snapshot)
    assert tag is not None
    found = {move.value: move.persons for move in summary.stages(snapshot, tag)}

    counted = snapshot.rows(
        "select lifecycle_stage::varchar as stage, count(*) as persons from tag_integration.person_tags "
        "where lifecycle_stage is not null group by all"
    )
    assert tag.name == "lifecycle_stage"
    assert found == {row["stage"]: row["persons"] for row in counted}


def test_moves_are_those_into_another_group_on_the_newest_day(snapshot: Snapshot) -> None:
    found = summary.changes(snapshot)

    kept = snapshot.rows(
        "select object_id, value, valid_from, valid_to from tag_integration.tag_history "
        "where object = 'person' and tag = 'lifecycle_stage'"
    )
    ended = {row["object_id"] for row in kept if row["valid_to"] == snapshot.as_of_date}
    came = [row["value"] for row in kept if row["valid_from"] == snapshot.as_of_date and row["object_id"] in ended]
    expected = {value: came.count(value) for value in set(came) if value is not None}
    assert {move.value: move.persons for move in found.moves} == expected
    assert found.since is not None
    assert found.since < snapshot.as_of_date


def test_a_version_without_statistics_and_history_has_nothing_to_compare(snapshot: Snapshot) -> None:
    old = replace(snapshot)
    old.__dict__["tables"] = frozenset()

    assert summary.changes(old) == summary.Changes(None, None, [], [], {})


def test_small_groups_are_hidden_from_those_without_the_right(
    app: FastAPI, client_as: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = [summary.Move("new", 400), summary.Move("active", 20), summary.Move("churned", 7)]
    monkeypatch.setattr(summary, "stages", lambda snapshot, tag: stages)
    changes = summary.Changes(DAY, 0, [summary.Move("churned", 7)], [], {})
    monkeypatch.setattr(summary, "changes", lambda snapshot: changes)

    hidden = client_as("analyst").get("/").text
    open_page = client_as("steward").get("/").text

    chart = re.search(r"data-chart='([^']*)'", hidden)[1]
    # The smallest other group is hidden too: it is the rest to the whole.
    assert '"values": [400]' in chart
    assert "fewer than 10" in hidden
    assert '"values": [400, 20, 7]' in re.search(r"data-chart='([^']*)'", open_page)[1]
    assert "fewer than 10" not in open_page


def test_incidents_come_from_the_alert_book_and_need_none(settings: Settings, tmp_path: Path) -> None:
    assert summary.incidents(settings) == ([], 0)
    assert not settings.alert_book.exists()


def test_the_page_is_there_in_chinese(client_as: Clients) -> None:
    page = client_as("admin", language="zh").get("/").text

    assert "三分钟" in page
    assert "2017年12月31日" in page


def test_the_switches_are_routes_of_this_page() -> None:
    assert {route.path for route in overview.router.routes} == {"/", "/language", "/theme"}
