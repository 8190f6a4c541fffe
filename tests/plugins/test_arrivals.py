"""What has arrived and has not landed: noticed once, whole files only, also after restarts and changes."""

from __future__ import annotations

import json
import os
import time
from datetime import date
from pathlib import Path

import pytest
from tagloom import arrivals
from tagloom.arrivals import Watch, accept, intervals, new_days, refuse, waiting_days
from tagloom.reading.deliveries import find_deliveries
from tagloom.settings import Settings
from tagloom.sources import Source, load_source

DECLARATION = """
name: shop
title: Shop
title_zh: 商店
owner: shop@example.com
party: first
consent_basis: contract
licence: own data
schedule: on arrival
tables:
  - name: visits
    title: Visits
    reader: {kind: files, format: csv, path: "visits/{date}*.csv"}
    grain: event
    primary_key: [visit_id]
    columns: [{name: visit_id, type: text}]
  - name: clicks
    title: Clicks
    reader: {kind: pushed}
    grain: event
    primary_key: [click_id]
    columns: [{name: click_id, type: text}]
  - name: prices
    title: Prices
    reader: {kind: files, format: csv, path: "**/prices.csv"}
    grain: snapshot
    primary_key: [price_id]
    columns: [{name: price_id, type: text}]
"""

FIRST, SECOND, THIRD = date(2017, 1, 1), date(2017, 1, 2), date(2017, 1, 3)


class Clock:
    """Both clocks of the module, turned by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = time.time()

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return self._began + self.seconds

    def time_ns(self) -> int:
        return int(self.time() * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(arrivals, "time", clock)
    return clock


@pytest.fixture
def source(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setenv("TAGLOOM_SOURCES", str(tmp_path / "sources"))
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "shop.yml").write_text(DECLARATION, encoding="utf-8")
    return load_source(tmp_path / "sources" / "shop.yml")


@pytest.fixture
def place(source: Source) -> Settings:
    """Settings whose declarations are those of the test."""
    from tagloom.settings import load_settings

    return load_settings()


def put(settings: Settings, path: str, text: str = "row\n", *, is_old: bool = True) -> Path:
    """Write a delivered file; an old one has not been written to for a minute."""
    file = settings.landing / "shop" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    if is_old:
        age(file, 60)
    return file


def age(file: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(file, (moment, moment))


def land(settings: Settings, *paths: str) -> None:
    """Write down, as landing does, that these files have landed as they are."""
    file = arrivals.landed_file(settings, "shop")
    file.parent.mkdir(parents=True, exist_ok=True)
    landed = json.loads(file.read_text()) if file.exists() else {}
    for path in paths:
        status = (settings.landing / "shop" / path).stat()
        landed[f"shop/{path}"] = [status.st_size, status.st_mtime_ns]
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(landed), encoding="utf-8")
    draft.replace(file)


def due(watch: Watch) -> list[str]:
    return sorted(arrival.path for arrival in watch.due())


def test_a_new_file_is_reported_once(place: Settings) -> None:
    watch = Watch(place, "shop")
    assert due(watch) == []
    put(place, "visits/2017-01-01.csv")
    assert due(watch) == ["visits/2017-01-01.csv"]
    assert due(watch) == []


def test_what_has_landed_is_not_reported_even_after_a_restart(place: Settings) -> None:
    put(place, "visits/2017-01-01.csv")
    put(place, "visits/2017-01-02.csv")
    land(place, "visits/2017-01-01.csv")
    assert due(Watch(place, "shop")) == ["visits/2017-01-02.csv"]
    assert due(Watch(place, "shop")) == ["visits/2017-01-02.csv"], "a watch that starts remembers nothing"


def test_a_file_that_landed_and_was_replaced_is_new(place: Settings) -> None:
    file = put(place, "visits/2017-01-01.csv")
    land(place, "visits/2017-01-01.csv")
    watch = Watch(place, "shop")
    assert due(watch) == []
    replacement = file.with_name(".replacement")
    replacement.write_text("other\n", encoding="utf-8")
    age(replacement, 30)
    replacement.replace(file)
    watch._folder._looked_at_all = float("-inf")
    assert due(watch) == ["visits/2017-01-01.csv"]


def test_a_file_that_is_written_to_waits_until_it_has_settled(place: Settings, clock: Clock) -> None:
    file = put(place, "visits/2017-01-01.csv", "half", is_old=False)
    watch = Watch(place, "shop")
    assert due(watch) == []
    clock.seconds = 3
    with file.open("a", encoding="utf-8") as stream:
        stream.write(" and the rest\n")
    os.utime(file, (clock.time(), clock.time()))
    assert due(watch) == []
    clock.seconds = 7
    assert due(watch) == [], "four seconds after it was written to"
    clock.seconds = 8.1
    assert due(watch) == ["visits/2017-01-01.csv"]


def test_a_file_from_a_clock_that_is_ahead_is_judged_by_ours(place: Settings, clock: Clock) -> None:
    file = put(place, "visits/2017-01-01.csv", is_old=False)
    age(file, -3_600)
    watch = Watch(place, "shop")
    assert due(watch) == []
    clock.seconds = 5.1
    assert due(watch) == ["visits/2017-01-01.csv"]


def test_a_sealed_segment_of_the_collector_counts_at_once(place: Settings) -> None:
    watch = Watch(place, "shop")
    put(place, "clicks/2017-01-01/120000_1.jsonl", is_old=False)
    assert due(watch) == ["clicks/2017-01-01/120000_1.jsonl"]


@pytest.mark.parametrize(
    "path",
    [
        "visits/.2017-01-01.csv",
        "visits/2017-01-01.csv.part",
        "visits/_tmp2017-01-01.csv",
        ".hidden/prices.csv",
        "clicks/2017-01-01/1.open",
        "visits/readme.txt",
        "visits/2017-02-30.csv",
        "unknown/2017-01-01.csv",
    ],
)
def test_what_is_no_delivery_is_left_alone(place: Settings, path: str) -> None:
    put(place, path)
    assert due(Watch(place, "shop")) == []


def test_what_comes_in_waits_for_what_is_being_landed(place: Settings, source: Source, clock: Clock) -> None:
    put(place, "visits/2017-01-01.csv")
    watch = Watch(place, "shop")
    assert due(watch) == ["visits/2017-01-01.csv"]
    put(place, "visits/2017-01-02.csv")
    assert due(watch) == [], "the run that lands the first takes the second, too"
    land(place, "visits/2017-01-01.csv", "visits/2017-01-02.csv")
    assert due(watch) == []
    put(place, "visits/2017-01-03.csv")
    assert due(watch) == ["visits/2017-01-03.csv"]
    put(place, "visits/2017-01-04.csv")
    clock.seconds += arrivals.PATIENCE_SECONDS - 1
    assert due(watch) == []
    clock.seconds += 1
    assert due(watch) == ["visits/2017-01-04.csv"], "a landing that does not come holds nothing up for long"
    refuse(place, source, THIRD, "cut short")
    refuse(place, source, date(2017, 1, 4), "cut short")
    put(place, "visits/2017-01-05.csv")
    assert due(watch) == ["visits/2017-01-05.csv"], "nobody waits for what was refused"


def test_what_has_not_landed_for_an_hour_is_reported_again(place: Settings, clock: Clock) -> None:
    put(place, "visits/2017-01-01.csv")
    watch = Watch(place, "shop")
    assert due(watch)
    clock.seconds = arrivals.RETRY_SECONDS - 1
    assert due(watch) == []
    clock.seconds = arrivals.RETRY_SECONDS
    assert due(watch) == ["visits/2017-01-01.csv"]
    assert due(watch) == []


def test_a_changed_declaration_reports_what_has_not_landed_again(place: Settings) -> None:
    put(place, "visits/2017-01-01.csv")
    put(place, "stock/2017-01-01.csv")
    watch = Watch(place, "shop")
    assert due(watch) == ["visits/2017-01-01.csv"]
    declaration = place.sources / "shop.yml"
    declaration.write_text(DECLARATION + "retention_days: [", encoding="utf-8")
    assert due(watch) == ["visits/2017-01-01.csv"], "the last declaration that could be read goes on counting"
    declaration.write_text(DECLARATION.replace("visits/{date}*", "stock/{date}"), encoding="utf-8")
    assert due(watch) == ["stock/2017-01-01.csv"]


def test_a_damaged_book_of_what_has_landed_counts_as_nothing_landed(place: Settings) -> None:
    put(place, "visits/2017-01-01.csv")
    land(place, "visits/2017-01-01.csv")
    arrivals.landed_file(place, "shop").write_text('{"shop/vis', encoding="utf-8")
    assert due(Watch(place, "shop")) == ["visits/2017-01-01.csv"]


def test_files_that_go_and_folders_that_come_are_noticed(place: Settings) -> None:
    file = put(place, "visits/2017-01-01.csv")
    watch = Watch(place, "shop")
    assert due(watch)
    file.unlink()
    put(place, "new/deep/prices.csv")
    assert due(watch) == ["new/deep/prices.csv"]
    assert [arrival.path for arrival in watch.arrived()] == ["new/deep/prices.csv"]


def test_a_link_that_leads_back_ends_nowhere(place: Settings) -> None:
    put(place, "visits/2017-01-01.csv")
    (place.landing / "shop" / "visits" / "again").symlink_to(place.landing / "shop")
    assert due(Watch(place, "shop")) == ["visits/2017-01-01.csv"]


def test_landing_finds_the_same_files_for_the_same_days(place: Settings, source: Source) -> None:
    for path in (
        "visits/2017-01-01.csv",
        "visits/2017-01-02_b.csv",
        "visits/deep/2017-01-01.csv",
        "clicks/2017-01-03/x.jsonl",
        "prices.csv",
        "a/b/prices.csv",
        "_repairs/visits/2017-01-02_abc.jsonl",
        "_repairs/clicks/2017-01-03.jsonl",
    ):
        put(place, path)
    folder = place.landing / "shop"
    expected = {
        (delivery.path.relative_to(folder).as_posix(), table.name, delivery.day)
        for table in source.tables
        for delivery in find_deliveries(folder, table, date.min, date.max)
    }
    assert len(expected) == 6
    assert {(found.path, found.table, found.day) for found in Watch(place, "shop").arrived()} == expected


def test_new_days(place: Settings, source: Source) -> None:
    put(place, "visits/2017-01-02.csv")
    put(place, "clicks/2017-01-01/1.jsonl")
    put(place, "visits/2017-01-03.csv", is_old=False)
    assert new_days(place, source) == [FIRST, SECOND]
    land(place, "visits/2017-01-02.csv")
    assert new_days(place, source) == [FIRST]


def test_a_refused_day_does_not_wait_until_something_in_it_changes(place: Settings, source: Source) -> None:
    file = put(place, "visits/2017-01-01.csv")
    put(place, "visits/2017-01-02.csv")
    assert refuse(place, source, FIRST, "89 of 600 rows are bad")
    assert waiting_days(place, source) == [SECOND]
    assert new_days(place, source) == [FIRST, SECOND]
    age(file, 30)
    assert waiting_days(place, source) == [FIRST, SECOND], "the file was written again"
    refuse(place, source, FIRST, "89 of 600 rows are bad")
    put(place, "visits/2017-01-01_b.csv")
    assert waiting_days(place, source) == [FIRST, SECOND], "another file of the day came"


def test_a_refused_day_is_told_once_and_again_when_it_was_accepted_meanwhile(place: Settings, source: Source) -> None:
    put(place, "visits/2017-01-01.csv")
    assert refuse(place, source, FIRST, "89 of 600 rows are bad")
    assert not refuse(place, source, FIRST, "89 of 600 rows are bad")
    assert not refuse(place, source, FIRST, "90 of 601 rows are bad"), "numbers change while bad events trickle in"
    accept(place, source, [FIRST])
    assert refuse(place, source, FIRST, "90 of 602 rows are bad")


def test_another_reason_is_told_after_an_hour(place: Settings, source: Source) -> None:
    put(place, "visits/2017-01-01.csv")
    assert refuse(place, source, FIRST, "89 of 600 rows are bad")
    file = arrivals.refused_file(place, "shop")
    refused = json.loads(file.read_text())
    refused["2017-01-01"]["told_at"] = "2020-01-01T00:00:00+00:00"
    file.write_text(json.dumps(refused), encoding="utf-8")
    assert not refuse(place, source, FIRST, "89 of 600 rows are bad")
    assert refuse(place, source, FIRST, "the file is cut short")


def test_intervals_are_runs_of_days() -> None:
    assert list(intervals([])) == []
    assert list(intervals([THIRD, FIRST, SECOND, FIRST])) == [(FIRST, date(2017, 1, 4))]
    assert list(intervals([FIRST, THIRD])) == [(FIRST, SECOND), (THIRD, date(2017, 1, 4))]


def test_a_look_at_a_folder_in_which_nothing_changed_reads_no_file(
    place: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        put(place, f"visits/2017-01-01_{number}.csv")
    age(place.landing / "shop" / "visits", 60)
    age(place.landing / "shop", 60)
    watch = Watch(place, "shop")
    assert len(due(watch)) == 200
    land(place, *(f"visits/2017-01-01_{number}.csv" for number in range(200)))
    due(watch)
    listed: list[object] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    clock.seconds = 1
    assert due(watch) == []
    assert listed == []
    put(place, "visits/2017-01-01_new.csv")
    assert due(watch) == ["visits/2017-01-01_new.csv"]
    assert len(listed) == 1
    clock.seconds = arrivals.FULL_LOOK_SECONDS + 1
    due(watch)
    assert len(listed) == 3, "now and then everything is looked at: rewriting a file in place changes no folder"
