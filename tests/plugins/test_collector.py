"""The collector over HTTP: what it takes, what it refuses, and that an accepted event is never lost."""

import asyncio
import gzip
import http.client
import itertools
import json
import logging
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
from starlette.routing import Route
from starlette.testclient import TestClient
from tagloom.collector import app as app_module
from tagloom.collector.app import Collector, create_app
from tagloom.collector.envelopes import MalformedError, check_events, inflate, read_json, read_lines
from tagloom.collector.remembered import RememberedBatches
from tagloom.collector.segments import SEALED_NAME, Segments
from tagloom.collector.settings import CollectorSettings, load_collector_settings, pushed_tables
from tagloom.reading.deliveries import Delivery, find_deliveries
from tagloom.reading.readers import open_deliveries
from tagloom.settings import PROJECT, SettingsError
from tagloom.sources import Column, Source, Table, load_sources

KEY = "web-key-that-only-tests-use"
SECOND_KEY = "web-key-after-the-rotation"
APP_KEY = "app-key-that-only-tests-use"

DECLARATION = """
name: {name}
title: Shop
title_zh: 商店
owner: shop@example.com
party: first
consent_basis: consent
licence: own data
schedule: on arrival
tables: [{tables}]
"""
TABLE = """{{name: {name}, title: Events, reader: {{kind: {reader}}}, grain: event, primary_key: [event_id],
  columns: [{{name: event_id, type: text, required: true}}]}}"""


def _declare(folder: Path, name: str, *tables: str, reader: str = "pushed") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    listed = ", ".join(TABLE.format(name=table, reader=reader) for table in tables)
    (folder / f"{name}.yml").write_text(DECLARATION.format(name=name, tables=listed), encoding="utf-8")


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Source]:
    """web with one pushed table, app with two, pos with none; keys for web and app."""
    folder = tmp_path / "sources"
    _declare(folder, "web", "events")
    _declare(folder, "app", "opens", "purchases")
    _declare(
        folder, "pos", "sales", reader="files, format: csv, path: '{{date}}.csv'".replace("{{", "{").replace("}}", "}")
    )
    for name in [name for name in os.environ if name.startswith("TAGLOOM_COLLECTOR")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TAGLOOM_SOURCES", str(folder))
    monkeypatch.setenv("TAGLOOM_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("TAGLOOM_COLLECTOR_KEYS", f"web:{KEY}, web:{SECOND_KEY},app:{APP_KEY}")
    return load_sources(folder)


def _rows(landing: Path, *, sealed: bool = True) -> list[dict[str, Any]]:
    """Return what readers find, or with sealed=False what is in the open segments as well."""
    paths = sorted(landing.glob("*/*/*/*.jsonl" if sealed else "*/*/*/*.jsonl*"))
    assert all(SEALED_NAME.fullmatch(path.name) for path in paths if path.suffix == ".jsonl")
    return [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]


class TestSettings:
    def test_several_keys_of_a_source_are_good_at_once(self, sources: list[Source]) -> None:
        settings = load_collector_settings(sources)
        assert settings.keys == {"web": (KEY, SECOND_KEY), "app": (APP_KEY,)}
        assert (settings.host, settings.port) == ("127.0.0.1", 8090)
        assert settings.allowed_origins == ()
        assert KEY not in repr(settings)

    def test_only_pushed_tables_take_events(self, sources: list[Source]) -> None:
        assert pushed_tables(sources) == {"web": ["events"], "app": ["opens", "purchases"]}

    @pytest.mark.parametrize(
        ("name", "value", "sentence"),
        [
            ("KEYS", "", "TAGLOOM_COLLECTOR_KEYS is not set.*openssl rand -hex 24.*app, web"),
            ("KEYS", f"web:{KEY},{APP_KEY}", "entry 2: has no colon"),
            ("KEYS", f"pos:{KEY}", "entry 1: no source 'pos' has a pushed table; these have: app, web"),
            ("KEYS", "web:secret-but-short", r"entry 1 \(for web\): the key has 16 characters, fewer than 24"),
            ("KEYS", "web:secret with blanks in between", "visible ASCII"),
            ("KEYS", f"web:{KEY},app:{KEY}", "web and app have the same key"),
            ("PORT", "80.5", "TAGLOOM_COLLECTOR_PORT must be a port number"),
            ("BODY_BYTES", "4M", "TAGLOOM_COLLECTOR_BODY_BYTES must be a whole number above 0, not '4M'"),
            ("NESTING", "0", "above 0"),
            ("SEAL_SECONDS", "nan", "TAGLOOM_COLLECTOR_SEAL_SECONDS must be a number of seconds above 0"),
            ("ACCESS_LOG", "maybe", "must be yes or no"),
            ("ALLOWED_ORIGINS", "shop.example.com", "an origin looks like https://shop.example.com"),
        ],
    )
    def test_a_wrong_setting_is_one_sentence_without_the_key(
        self, name: str, value: str, sentence: str, sources: list[Source], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(f"TAGLOOM_COLLECTOR_{name}", value)
        with pytest.raises(SettingsError, match=sentence) as caught:
            load_collector_settings(sources)
        assert not [key for key in (KEY, APP_KEY, "secret") if key in str(caught.value)]

    def test_without_a_pushed_table_there_is_nothing_to_collect(self) -> None:
        with pytest.raises(SettingsError, match="nothing to collect"):
            load_collector_settings([])


class TestEnvelopes:
    def test_all_three_forms_say_the_same(self) -> None:
        first, second = b'{"a": 1.10}', b'{"b": "x"}'
        listed = read_json(b"[" + first + b", " + second + b"]")
        inside = read_json(b'\xef\xbb\xbf{"events": [' + first + b"," + second + b'], "table": "t", "batch": "b"}')
        lines = read_lines(first + b"\r\n\n  " + second)
        assert listed.events == inside.events == lines.events == [first, second]
        assert (inside.table, inside.batch) == ("t", "b")

    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            (b'[{"a":1},\n {"b" 2}]', "expecting ':' delimiter, line 2, column 7"),
            (b'[{"a":1}', "line|column 9"),
            (b"", "expecting value"),
            (b'[{"a":NaN}]', "invalid character"),
            (b"[" * 100_000, "nested too deeply"),
            (b'{"a": 1}', "unknown field `a`"),
            (b'{"table": "t"}', "missing required field `events`"),
            (b'{"events": {}}', "Expected `array`"),
            (b'"events"', "Expected `object`"),
            (b"\xff\xfe[\x00", "column 1"),
        ],
    )
    def test_what_is_not_json_is_said_with_its_place(self, body: bytes, sentence: str) -> None:
        with pytest.raises(MalformedError, match=sentence):
            read_json(body)

    def test_a_bad_line_is_named(self) -> None:
        with pytest.raises(MalformedError, match="Line 3 of the body is not JSON: expecting value, column 6"):
            read_lines(b'{"a":1}\n\n{"b":}\n')

    @pytest.mark.parametrize(
        ("event", "reason"),
        [
            (b"3", "is not a JSON object"),
            (b'[{"a": 1}]', "is not a JSON object"),
            (b'{"a": "\xff"}', "is not UTF-8"),
            (b'{"a": 1e999}', "out of range"),
            (b'{"_batch": "mine"}', "'_batch'; keys that begin with _ are the collector's own"),
            (rb'{"\u005fbatch": "mine"}', "'_batch'"),
            (b'{"a": "' + b"x" * 100 + b'"}', "has 109 bytes; 100 are allowed"),
            (b'{"a": {"b": {"c": 1}}}', "more than 2 levels"),
            (b'{"a": [[]]}', "more than 2 levels"),
        ],
    )
    def test_an_event_that_cannot_be_taken_leaves_the_others(self, event: bytes, reason: str) -> None:
        fine = b'{"a": {"_inside": 1}, "\xe4\xb8\xad": null}'
        good, rejected = check_events([fine, event, fine], event_bytes=100, nesting=2)
        assert good == [fine, fine]
        assert [each.index for each in rejected] == [1]
        assert reason in rejected[0].reason

    def test_half_of_an_emoji_is_replaced_and_nothing_else(self) -> None:
        body = rb'[{"half": "\uD83D", "whole": "\ud83d\ude00", "both": "\udE00\ud83d\ude00", "text": "\\ud83d"}]'
        (event,) = read_json(body).events
        assert event == rb'{"half": "\ufffd", "whole": "\ud83d\ude00", "both": "\ufffd\ud83d\ude00", "text": "\\ud83d"}'

    def test_gzip_in_several_members(self) -> None:
        assert inflate(gzip.compress(b"one ") + gzip.compress(b"two"), 7) == b"one two"
        with pytest.raises(MalformedError, match="ends in the middle"):
            inflate(gzip.compress(b"x" * 1000)[:-1], 2000)
        with pytest.raises(MalformedError, match="not the gzip"):
            inflate(b"plain", 100)
        with pytest.raises(MalformedError, match="more than 16 members"):
            inflate(gzip.compress(b"") * 17, 100)


@pytest.fixture
def serve(sources: list[Source], tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Return a function that starts the application in this process, with settings as given."""
    clients = []

    def start(**variables: str) -> TestClient:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(f"TAGLOOM_COLLECTOR_{name}", value)
            settings = load_collector_settings(sources)
        client = TestClient(create_app(_collector(settings, sources, tmp_path / "landing")))
        client.__enter__()
        client.headers["Authorization"] = f"Bearer {KEY}"
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)


def _collector(settings: CollectorSettings, sources: list[Source], landing: Path) -> Collector:
    segments = Segments(landing, settings.seal_seconds, settings.segment_bytes)
    remembered = RememberedBatches(settings.remember_hours, settings.remember_batches)
    return Collector(settings, pushed_tables(sources), segments, remembered)


class TestAnswers:
    def test_events_are_accepted(self, serve: Callable[..., TestClient], tmp_path: Path) -> None:
        client = serve()
        answer = client.post("/v1/events", json={"events": [{"event_id": "1"}, {"event_id": "2"}], "table": "events"})
        assert answer.status_code == 202
        batch = answer.json()["batch"]
        assert answer.json() == {"accepted": 2, "batch": batch, "duplicate": False}
        rows = _rows(tmp_path / "landing", sealed=False)
        assert [(row["event_id"], row["_batch"], row["_number"], row["_of"]) for row in rows] == [
            ("1", batch, 1, 2),
            ("2", batch, 2, 2),
        ]

    def test_json_lines_gzip_and_a_key_in_its_own_header(
        self, serve: Callable[..., TestClient], tmp_path: Path
    ) -> None:
        client = serve()
        del client.headers["Authorization"]
        answer = client.post(
            "/v1/events?table=purchases",
            content=gzip.compress(b'{"event_id": "1"}\n{"event_id": "2"}\n'),
            headers={"X-API-Key": APP_KEY, "Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"},
        )
        assert answer.json()["accepted"] == 2
        assert [path.parent.name for path in (tmp_path / "landing" / "app").glob("*/*")] == ["purchases"]

    @pytest.mark.parametrize(
        ("key", "asked", "inside", "status"),
        [
            (KEY, None, None, 202),
            (KEY, "events", "events", 202),
            (KEY, "opens", None, 404),
            (KEY, "../app/opens", None, 404),
            (APP_KEY, None, None, 400),
            (APP_KEY, None, "opens", 202),
            (APP_KEY, "opens", "purchases", 400),
        ],
    )
    def test_a_key_reaches_the_pushed_tables_of_its_source_only(
        self, key: str, asked: str | None, inside: str | None, status: int, serve: Callable[..., TestClient]
    ) -> None:
        answer = serve().post(
            "/v1/events",
            params={"table": asked} if asked else None,
            json={"events": [{"event_id": "1"}]} | ({"table": inside} if inside else {}),
            headers={"Authorization": f"Bearer {key}"},
        )
        assert answer.status_code == status, answer.text

    def test_events_that_cannot_be_taken_are_listed_and_the_others_accepted(
        self, serve: Callable[..., TestClient], tmp_path: Path
    ) -> None:
        client = serve(EVENT_BYTES="100")
        events = [{"event_id": "1"}, {"event_id": "x" * 100}, 3, {"event_id": "4"}]
        answer = client.post("/v1/events", json=events)
        assert answer.status_code == 202
        assert (answer.json()["accepted"], answer.json()["rejected"]) == (2, 2)
        assert [error["index"] for error in answer.json()["errors"]] == [1, 2]
        assert [row["event_id"] for row in _rows(tmp_path / "landing", sealed=False)] == ["1", "4"]

        nothing = client.post("/v1/events", json=[3, 4])
        assert nothing.status_code == 422
        assert nothing.json()["error"] == "No event can be taken. Event 0 is not a JSON object."

    @pytest.mark.parametrize(
        ("request_", "status", "code"),
        [
            ({"content": b"[{]"}, 400, "malformed"),
            ({"content": b"[]"}, 400, "no_events"),
            ({"content": b'[{"a":1}]', "headers": {"Content-Type": "text/csv"}}, 415, "content_type"),
            ({"content": b'[{"a":1}]', "headers": {"Content-Encoding": "br"}}, 415, "content_encoding"),
            ({"content": b'[{"a":1}]', "headers": {"Content-Encoding": "gzip"}}, 400, "malformed"),
            ({"content": b'[{"a":1}]', "headers": {"Idempotency-Key": "a\\b"}}, 400, "idempotency_key"),
            ({"content": b'[{"a":1}]', "headers": {"Idempotency-Key": "x" * 129}}, 400, "idempotency_key"),
            ({"json": {"events": [{"a": 1}], "batch": "1"}, "headers": {"Idempotency-Key": "2"}}, 400, "two_keys"),
            ({"json": [{"a": 1}] * 11}, 413, "too_many_events"),
            ({"json": [{"a": "x" * 2000}]}, 413, "body_too_large"),
            ({"content": iter([b"[" + b" " * 600, b" " * 600])}, 413, "body_too_large"),
        ],
    )
    def test_what_is_refused_says_why_and_leaves_nothing(
        self,
        request_: dict[str, Any],
        status: int,
        code: str,
        serve: Callable[..., TestClient],
        tmp_path: Path,
    ) -> None:
        client = serve(BATCH_EVENTS="10", BODY_BYTES="1000")
        answer = client.post("/v1/events", **request_)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.json()["error"].endswith(".")
        assert _rows(tmp_path / "landing", sealed=False) == []
        assert client.post("/v1/events", json=[{"a": 1}]).status_code == 202, "and the next one is welcome"

    def test_a_zip_bomb_is_not_inflated(self, serve: Callable[..., TestClient]) -> None:
        client = serve()
        bomb = gzip.compress(b"[" + b" " * 500_000_000, compresslevel=1)
        assert len(bomb) < 4_000_000
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answer = client.post("/v1/events", content=bomb, headers={"Content-Encoding": "gzip"})
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000, "kilobytes"

    def test_too_many_requests_are_told_when_to_come_again(
        self, serve: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = serve(REQUESTS_PER_SECOND="2")
        clock = [1000.0]
        monkeypatch.setattr(app_module.time, "monotonic", lambda: clock[0])

        def post(key: str = KEY) -> httpx.Response:
            return client.post("/v1/events", json=[{"a": 1}], headers={"Authorization": f"Bearer {key}"})

        assert [post().status_code for _ in range(3)] == [202, 202, 429]
        assert post().headers["Retry-After"] == "1"
        assert post(SECOND_KEY).status_code == 202, "each key has its own share"
        clock[0] += 0.5
        assert [post().status_code for _ in range(2)] == [202, 429]
        clock[0] += 3600
        assert [post().status_code for _ in range(3)] == [202, 202, 429]

    def test_bodies_in_memory_are_limited(
        self, serve: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(app_module, "BYTES_IN_WORK", 1000)
        client = serve()
        answer = client.post("/v1/events", json=[{"a": "x" * 1000}])
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert "tagloom_collector_bytes_in_work 0\n" in client.get("/metrics").text

    def test_what_cannot_be_written_is_503_and_seen_by_the_health_check(
        self, serve: Callable[..., TestClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = serve()
        obstacle = tmp_path / "landing" / "web"
        obstacle.write_text("a file where a folder should be", encoding="utf-8")
        answer = client.post("/v1/events", json=[{"a": 1}], headers={"Idempotency-Key": "1"})
        assert (answer.status_code, answer.json()["code"]) == (503, "not_written")
        assert "Retry-After" in answer.headers
        assert client.get("/health").status_code == 503
        with monkeypatch.context() as patch:
            later = time.monotonic() + app_module.ERROR_SECONDS
            patch.setattr(app_module.time, "monotonic", lambda: later)
            assert client.get("/health").json()["status"] == "ready", "somebody has to try again"
        obstacle.unlink()
        again = client.post("/v1/events", json=[{"a": 1}], headers={"Idempotency-Key": "1"})
        assert (again.status_code, again.json()["duplicate"]) == (202, False)
        assert client.get("/health").json()["status"] == "ready"
        full = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
        monkeypatch.setattr(app_module.shutil, "disk_usage", lambda folder: full)
        answer = client.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "the disk is full")


class TestIdempotency:
    @pytest.mark.parametrize("place", ["header", "quoted header", "body"])
    def test_the_same_batch_again_adds_nothing(
        self, place: str, serve: Callable[..., TestClient], tmp_path: Path
    ) -> None:
        client = serve()
        body: dict[str, Any] = {"events": [{"event_id": "1"}, 2]} | ({"batch": "b-1"} if place == "body" else {})
        headers = {} if place == "body" else {"Idempotency-Key": "b-1" if place == "header" else '"b-1"'}
        answers = [client.post("/v1/events", json=body, headers=headers).json() for _ in range(3)]
        assert [answer.pop("duplicate") for answer in answers] == [False, True, True]
        assert answers[0] == answers[1] == answers[2]
        assert (answers[0]["accepted"], answers[0]["batch"], answers[0]["rejected"]) == (1, "b-1", 1)
        assert len(_rows(tmp_path / "landing", sealed=False)) == 1

    def test_compression_and_layout_make_no_other_batch_but_content_does(
        self, serve: Callable[..., TestClient]
    ) -> None:
        client = serve()
        headers = {"Idempotency-Key": "b"}
        assert client.post("/v1/events", content=b'[{"a":1}]', headers=headers).status_code == 202
        zipped = gzip.compress(b'{"events" : [ {"a":1} ], "table" : "events"}')
        again = client.post("/v1/events", content=zipped, headers=headers | {"Content-Encoding": "gzip"})
        assert again.json()["duplicate"] is True
        other = client.post("/v1/events", content=b'[{"a":2}]', headers=headers)
        assert (other.status_code, other.json()["code"]) == (422, "key_reused")

    def test_sources_do_not_share_keys(self, serve: Callable[..., TestClient]) -> None:
        client = serve()
        for key, table in ((KEY, "events"), (APP_KEY, "opens")):
            answer = client.post(
                f"/v1/events?table={table}",
                json=[{"a": 1}],
                headers={"Idempotency-Key": "b", "Authorization": f"Bearer {key}"},
            )
            assert answer.json()["duplicate"] is False

    def test_of_many_at_the_same_time_one_is_written(self, sources: list[Source], tmp_path: Path) -> None:
        async def race() -> list[dict]:
            collector = _collector(load_collector_settings(sources), sources, tmp_path / "landing")
            collector.start()
            transport = httpx.ASGITransport(create_app(collector))
            async with httpx.AsyncClient(transport=transport, base_url="http://collector") as client:
                client.headers.update({"Authorization": f"Bearer {KEY}", "Idempotency-Key": "b"})
                answers = await asyncio.gather(*(client.post("/v1/events", json=[{"a": 1}]) for _ in range(20)))
            await collector.stop()
            return [answer.json() for answer in answers]

        duplicates = Counter(answer["duplicate"] for answer in asyncio.run(race()))
        assert duplicates == {False: 1, True: 19}
        assert len(_rows(tmp_path / "landing")) == 1


class TestDoors:
    def test_nobody_gets_in_without_a_key(self, serve: Callable[..., TestClient], tmp_path: Path) -> None:
        client = serve()
        del client.headers["Authorization"]
        wrong = [
            {},
            {"Authorization": "Bearer "},
            {"Authorization": f"Bearer {KEY}x"},
            {"Authorization": f"Bearer {KEY[:-1]}"},
            {"Authorization": f"Basic {KEY}"},
            {"Authorization": KEY},
            {"X-API-Key": ""},
            {"X-API-Key": "schlüssel".encode("latin-1")},
            {"Cookie": f"key={KEY}"},
        ]
        for route in client.app.routes:
            assert isinstance(route, Route)
            for method, headers in itertools.product(("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"), wrong):
                answer = client.request(method, f"{route.path}?key={KEY}", content=b'[{"a":1}]', headers=headers)
                if (method, route.path) in {("GET", "/health"), ("GET", "/metrics")}:
                    assert answer.status_code == 200
                elif route.methods and method in route.methods:
                    assert (answer.status_code, answer.json()["code"]) == (401, "wrong_key")
                    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                else:
                    assert answer.status_code == 405
        assert _rows(tmp_path / "landing", sealed=False) == []
        assert {route.path for route in client.app.routes} == {"/v1/events", "/health", "/metrics"}
        assert client.get("/docs").status_code == 404

    def test_both_keys_work_while_they_are_rotated(self, serve: Callable[..., TestClient]) -> None:
        client = serve()
        for key in (KEY, SECOND_KEY):
            answer = client.post("/v1/events", json=[{"a": 1}], headers={"Authorization": f"bearer {key}"})
            assert answer.status_code == 202

    def test_pages_of_other_origins_stay_out_unless_they_are_named(self, serve: Callable[..., TestClient]) -> None:
        origin = "https://shop.example.com"
        asking = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
        }
        closed = serve()
        assert "access-control-allow-origin" not in closed.options("/v1/events", headers=asking).headers
        closed.__exit__(None, None, None)
        opened = serve(ALLOWED_ORIGINS=f"{origin}/, https://www.example.com")
        answer = opened.options("/v1/events", headers=asking)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)
        posted = opened.post("/v1/events", json=[{"a": 1}], headers={"Origin": origin})
        assert posted.headers["access-control-allow-origin"] == origin
        refused = opened.post("/v1/events", json=[], headers={"Origin": origin, "Authorization": ""})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, origin)
        stranger = opened.options("/v1/events", headers=asking | {"Origin": "https://evil.example.com"})
        assert "access-control-allow-origin" not in stranger.headers

    def test_health_and_metrics_say_how_it_is(self, serve: Callable[..., TestClient]) -> None:
        client = serve()
        client.post("/v1/events", json=[{"a": 1}, {"a": 2}, 3], headers={"Idempotency-Key": "b"})
        client.post("/v1/events", json=[{"a": 1}, {"a": 2}, 3], headers={"Idempotency-Key": "b"})
        client.post("/v1/events", content=b"{")
        health = client.get("/health").json()
        assert (health["status"], health["open_segments"]) == ("ready", 1)
        assert 0 < health["oldest_open_segment_seconds"] < 60
        assert health["disk_free_bytes"] > 0
        metrics = client.get("/metrics").text
        for line in (
            'tagloom_collector_events_total{source="web",table="events"} 2',
            'tagloom_collector_batches_total{source="web",table="events"} 1',
            'tagloom_collector_duplicates_total{source="web"} 1',
            'tagloom_collector_rejected_events_total{source="web"} 2',
            'tagloom_collector_requests_total{status="202"} 2',
            'tagloom_collector_requests_total{status="400"} 1',
            "tagloom_collector_remembered_batches 1",
        ):
            assert f"\n{line}\n" in metrics

    def test_the_log_holds_neither_bodies_nor_keys(
        self, serve: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, logger="tagloom")
        client = serve(ACCESS_LOG="yes")
        client.post(f"/v1/events?x={KEY}", json=[{"phone": "5551234"}])
        client.post("/v1/events", content=b'[{"phone": "5551234" 3}]')
        client.post("/v1/events", json=[{"phone": "5551234"}], headers={"Authorization": f"Bearer {KEY}x"})
        lines = [record.getMessage() for record in caplog.records if record.name == "tagloom.collector.access"]
        assert [re.sub(r" [\d.]+ ms", "", line) for line in lines] == [
            "202 accepted source=web table=events events=1",
            "400 malformed source=web table=- events=0",
            "401 wrong_key source=- table=- events=0",
        ]
        assert KEY not in caplog.text
        assert "555" not in caplog.text

    def test_a_flood_of_refused_requests_does_not_fill_the_log(
        self, serve: Callable[..., TestClient], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        caplog.set_level(logging.INFO, logger="tagloom")
        clock = [1000.0]
        monkeypatch.setattr(app_module.time, "monotonic", lambda: clock[0])
        client = serve()
        del client.headers["Authorization"]
        for _ in range(50):
            client.post("/v1/events")
        clock[0] += 1
        client.post("/v1/events")
        lines = [record.getMessage() for record in caplog.records if record.name == "tagloom.collector.access"]
        assert len(lines) == 12
        assert "40 more requests were refused" in lines


class Process:
    """A real collector."""

    def __init__(self, home: Path, **variables: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.home = home
        self.landing = home / "landing"
        self.log = home / "collector.log"
        self.address = f"http://127.0.0.1:{self.port}"
        self._variables = {f"TAGLOOM_COLLECTOR_{name}": value for name, value in variables.items()}
        self.started: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = os.environ | {
            "PYTHONPATH": str(PROJECT / "plugins"),
            "TAGLOOM_LANDING": str(self.landing),
            "TAGLOOM_COLLECTOR_PORT": str(self.port),
            **self._variables,
        }
        with self.log.open("ab") as output:
            self.started = subprocess.Popen(
                [sys.executable, "-m", "tagloom", "collect"], env=environment, stdout=output, stderr=output
            )

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self.started is not None
            assert self.started.poll() is None, self.log.read_text(encoding="utf-8")
            try:
                if httpx.get(f"{self.address}/health").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
        raise AssertionError("the collector did not start")

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.started is not None
        self.started.send_signal(number)
        return self.started.wait(timeout=30)

    def post(self, events: list, **headers: str) -> httpx.Response:
        return httpx.post(f"{self.address}/v1/events", json=events, headers={"X-API-Key": KEY} | headers)

    @property
    def sealed(self) -> list[dict[str, Any]]:
        return _rows(self.landing)

    @property
    def unsealed(self) -> list[Path]:
        return list(self.landing.glob("*/*/*/*.open"))


class TestReading:
    def test_readers_find_what_is_sealed_and_nothing_else(
        self, serve: Callable[..., TestClient], sources: list[Source], tmp_path: Path
    ) -> None:
        """The other side of the bargain: what lands is what was sent, and the collector's keys are no surprise."""
        web = next(source for source in sources if source.name == "web")
        moment = Column(name="received_at", type="timestamp", delivered_as="_received_at")
        table = Table.model_validate(web.tables[0].model_dump() | {"columns": [*web.tables[0].columns, moment]})
        today = datetime.now(UTC).date()
        landing = tmp_path / "landing"

        def deliveries() -> list[Delivery]:
            # Both days, should the test run at midnight.
            return find_deliveries(landing / "web", table, today - timedelta(days=1), today + timedelta(days=2))

        client = serve(SEAL_SECONDS="60")
        body = b'[{"event_id": "1"},\n {\n"event_id":\n"2",\r\n"new": {"a": [1,\n2]}}, {}]'
        assert client.post("/v1/events", content=body).json()["accepted"] == 3
        assert deliveries() == []
        client.__exit__(None, None, None)
        with duckdb.connect() as connection:
            (opened,) = open_deliveries(connection, table, deliveries(), landing)
            rows = connection.execute(f"select event_id, received_at, _line, _torn from {opened.relation}").fetchall()
        assert [(row[0], row[2], row[3]) for row in rows] == [("1", 1, None), ("2", 2, None), (None, 3, None)]
        assert all(row[1].startswith(str(today)) for row in rows)
        assert opened.undeclared == {"new"}


@pytest.fixture
def process(sources: list[Source], tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Return a function that makes a collector, not started yet."""
    made: list[Process] = []

    def make(**variables: str) -> Process:
        made.append(Process(tmp_path, **variables))
        return made[-1]

    yield make
    for each in made:
        if each.started and each.started.poll() is None:
            each.end(signal.SIGKILL)


class TestProcess:
    def test_a_single_event_is_readable_within_seconds_and_idle_makes_no_files(
        self, process: Callable[..., Process]
    ) -> None:
        collector = process()
        collector.start()
        collector.wait_until_ready()
        assert collector.post([{"event_id": "1"}]).status_code == 202
        begin = time.monotonic()
        while not collector.sealed:
            assert time.monotonic() - begin < 4, "quiet for a second is sealed"
            time.sleep(0.02)
        time.sleep(1.5)
        assert len(list(collector.landing.glob("web/events/*/*"))) == 1
        assert collector.end() == 0
        assert "sealed web/events/" in collector.log.read_text(encoding="utf-8")

    def test_sigterm_finishes_what_is_being_sent_and_seals(self, process: Callable[..., Process]) -> None:
        collector = process(SEAL_SECONDS="60")
        collector.start()
        collector.wait_until_ready()
        body = json.dumps([{"event_id": str(number)} for number in range(100)]).encode()
        connection = http.client.HTTPConnection("127.0.0.1", collector.port)
        connection.putrequest("POST", "/v1/events")
        for name, value in (("X-API-Key", KEY), ("Content-Length", str(len(body)))):
            connection.putheader(name, value)
        connection.endheaders(body[:50])
        time.sleep(0.2)
        assert collector.started is not None
        collector.started.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        connection.send(body[50:])
        assert connection.getresponse().status == 202
        assert collector.started.wait(timeout=30) == 0
        assert len(collector.sealed) == 100
        assert collector.unsealed == []

    def test_a_body_that_is_too_large_or_cut_short_harms_nobody(self, process: Callable[..., Process]) -> None:
        collector = process()
        collector.start()
        collector.wait_until_ready()
        with httpx.Client(base_url=collector.address, headers={"X-API-Key": KEY}) as client:
            announced = client.post("/v1/events", json=["x" * 10_000_000])
            streamed = client.post("/v1/events", content=iter([b" " * 1_000_000] * 10))
            assert (announced.status_code, streamed.status_code) == (413, 413)
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", collector.port)) as sender:
                head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Length: 1000\r\n\r\n[{{"
                sender.sendall(head.encode())
        assert collector.post([{"event_id": "1"}]).status_code == 202
        metrics = httpx.get(f"{collector.address}/metrics").text
        assert "tagloom_collector_bytes_in_work 0\n" in metrics
        assert collector.end() == 0
        assert len(collector.sealed) == 1

    def test_a_second_collector_and_a_taken_port_are_explained(self, process: Callable[..., Process]) -> None:
        first, second = process(), process()
        first.start()
        first.wait_until_ready()
        second.log = second.home / "second.log"
        second.start()
        assert second.started is not None
        assert second.started.wait(timeout=30) == 1
        assert f"Another collector (process {first.started.pid}) already writes" in second.log.read_text("utf-8")
        second.port = first.port
        second.start()
        assert second.started.wait(timeout=30) == 1
        assert f"cannot listen on port {first.port}" in second.log.read_text("utf-8")
        assert first.end() == 0

    def test_without_keys_it_says_how_to_make_one(self, process: Callable[..., Process]) -> None:
        collector = process(KEYS=" ")
        collector.start()
        assert collector.started is not None
        assert collector.started.wait(timeout=30) == 1
        log = collector.log.read_text("utf-8")
        assert "TAGLOOM_COLLECTOR_KEYS is not set" in log
        assert "openssl rand -hex 24" in log
        assert "Traceback" not in log

    def test_a_batch_is_known_after_a_restart_and_after_a_kill(self, process: Callable[..., Process]) -> None:
        collector = process(SEAL_SECONDS="60")
        for number, how in enumerate((signal.SIGTERM, signal.SIGKILL, signal.SIGTERM)):
            collector.start()
            collector.wait_until_ready()
            for name in range(number + 1):
                answer = collector.post([{"event_id": str(name)}], **{"Idempotency-Key": f"b{name}"})
                assert answer.json()["duplicate"] is (name < number)
            assert collector.post([{"event_id": "other"}], **{"Idempotency-Key": "b0"}).status_code == 422
            collector.end(how)
        assert sorted(row["event_id"] for row in collector.sealed) == ["0", "1", "2"]

    def test_a_file_that_cannot_grow_refuses_and_keeps_only_what_was_accepted(
        self, process: Callable[..., Process]
    ) -> None:
        """The system's limit of the file size cuts a write short in the middle, as a full disk does."""
        collector = process(SEAL_SECONDS="60")
        collector.start()
        collector.wait_until_ready()
        assert collector.started is not None
        resource.prlimit(collector.started.pid, resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
        events = [{"event_id": "x" * 1000, "number": number} for number in range(30)]
        statuses = [collector.post(events, **{"Idempotency-Key": f"b{number}"}).status_code for number in range(6)]
        assert set(statuses) == {202, 503}
        resource.prlimit(collector.started.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        again = [collector.post(events, **{"Idempotency-Key": f"b{number}"}).json() for number in range(6)]
        assert [answer["duplicate"] for answer in again] == [status == 202 for status in statuses]
        assert collector.end() == 0
        assert Counter(row["_batch"] for row in collector.sealed) == {f"b{number}": 30 for number in range(6)}


async def _send_for_ever(address: str, sender: int, accepted: list[tuple[str, int, bool]], stop: asyncio.Event) -> None:
    """Send batches one after the other, each again and again until it is accepted; even senders use keys."""
    with_keys = sender % 2 == 0
    async with httpx.AsyncClient(base_url=address, headers={"X-API-Key": KEY}, timeout=5) as client:
        for number in itertools.count():
            name = f"{sender}-{number}"
            size = 1 + (sender + number) % 7
            events = [{"event_id": f"{name}-{index}", "filler": "x" * 300} for index in range(size)]
            headers = {"Idempotency-Key": name} if with_keys else {}
            while True:
                try:
                    answer = await client.post("/v1/events", json=events, headers=headers)
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
                    continue
                assert answer.status_code == 202, answer.text
                accepted.append((name, size, with_keys))
                break
            if stop.is_set():
                return


def _bombard(collector: Process, kills: int) -> list[tuple[str, int, bool]]:
    """Have 16 senders at work while the collector is killed again and again; return what they know to be accepted."""

    async def run() -> list[tuple[str, int, bool]]:
        accepted: list[tuple[str, int, bool]] = []
        stop = asyncio.Event()
        senders = [asyncio.create_task(_send_for_ever(collector.address, n, accepted, stop)) for n in range(16)]
        for kill in range(kills):
            before = len(accepted)
            while len(accepted) < before + 200:
                await asyncio.sleep(0.001 * (kill % 5))
            collector.end(signal.SIGKILL)
            collector.start()
            await asyncio.to_thread(collector.wait_until_ready)
        stop.set()
        await asyncio.gather(*senders)
        return accepted

    return asyncio.run(run())


@pytest.mark.slow
def test_ten_kills_lose_nothing_double_nothing_and_halve_nothing(process: Callable[..., Process]) -> None:
    collector = process(SEAL_SECONDS="0.5", REQUESTS_PER_SECOND="100000")
    collector.start()
    collector.wait_until_ready()
    accepted = _bombard(collector, kills=10)
    assert collector.end() == 0
    assert collector.unsealed == []
    assert "recovered web/events" in collector.log.read_text("utf-8")

    rows = collector.sealed
    found = Counter(row["event_id"] for row in rows)
    assert len(accepted) >= 2000
    for name, size, with_keys in accepted:
        counts = [found[f"{name}-{index}"] for index in range(size)]
        assert set(counts) == ({1} if with_keys else set(counts) - {0}), name
    # Nothing is half there: not even of batches whose senders were never told.
    parts: dict[str, list[int]] = {}
    for row in rows:
        parts.setdefault(row["_batch"], []).append(row["_number"])
        assert row["_number"] <= row["_of"]
    sizes = {row["_batch"]: row["_of"] for row in rows}
    assert all(sorted(numbers) == list(range(1, sizes[batch] + 1)) for batch, numbers in parts.items())
