"""The pages of exports: making one, running it, downloading, what is held, and who may do what."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from tagloom.alerting import book
from tagloom.audiences import export_book, library
from tagloom.portal.store import audit
from tagloom.settings import Settings


@pytest.fixture
def audience(app: FastAPI) -> Iterator[int]:
    """An audience of everybody with the app; exports of the test are removed from the shared home."""
    definition = {"schema": 1, "rule": {"rules": [{"field": "tag:has_app", "operator": "=", "value": True}]}}
    with app.state.store.transaction() as store:
        saved = library.save(store, definition | {"holdout_percent": 10}, "Apps", by="ana")
    yield saved.id
    import shutil

    for folder in ("exports", "audiences"):
        shutil.rmtree(app.state.settings.home / folder, ignore_errors=True)
    (app.state.settings.home / "alerts.sqlite").unlink(missing_ok=True)


FORM = {
    "name": "Spring mailing",
    "target": "csv",
    "schedule": "daily",
    "columns": ["rfm_segment", "spend_365d"],
    "purpose": "advertising",
    "channel": "email",
}


def made(client: TestClient, audience: int, **more: object) -> str:
    """Make an export; returns the path of its page."""
    answer = client.post(f"/audiences/{audience}/exports", data=FORM | more)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_an_export_is_made_run_and_downloaded(
    client_as: Callable[..., TestClient], app: FastAPI, audience: int
) -> None:
    client = client_as("marketer", name="mia")
    assert "sent nowhere yet" in client.get(f"/audiences/{audience}/exports").text
    assert "favourite_department" in client.get(f"/audiences/{audience}/exports/new").text
    page = made(client, audience, run="now")
    shown = client.get(page).text
    assert "Download" in shown
    with app.state.store.session() as store:
        (export,) = export_book.exports_of(store, audience)
        (run,) = export_book.export_runs(store, [export.id])
    answer = client.get(f"{page}/files/{run.id}")
    assert answer.status_code == 200
    assert "spring-mailing-2017-12-31.csv" in answer.headers["content-disposition"]
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert list(lines[0]) == ["person_id", "rfm_segment", "spend_365d"]
    assert len(lines) == run.rows > 0
    assert client.get(f"{page}/files/{run.id}", params={"holdout": "true"}).content[:4] == b"PAR1"
    with app.state.store.session() as store:
        done = [(entry.user_name, entry.action) for entry in audit.entries(store)]
    assert done == [
        ("mia", "export downloaded"),
        ("mia", "export downloaded"),
        ("mia", "export run"),
        ("mia", "export made"),
    ]


def test_it_is_sent_once_per_version(client_as: Callable[..., TestClient], app: FastAPI, audience: int) -> None:
    client = client_as("marketer")
    page = made(client, audience, run="now")
    again = client.post(f"{page}/run")
    assert "sent+with+this" in again.headers["set-cookie"].replace("%20", "+")
    with app.state.store.session() as store:
        assert [run.attempts for run in export_book.export_runs(store, [1])] == [1]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"name": " "}, "A name is missing"),
        ({"columns": ["no_such_tag"]}, "is no published tag of persons"),
        ({"target": "webhook", "destination_webhook": "http://10.0.0.1"}, "is no destination of a webhook"),
        ({"schedule": "hourly"}, "is no schedule"),
        ({"purpose": "fun"}, "purpose: "),
    ],
)
def test_what_is_wrong_is_said_above_the_form(
    client_as: Callable[..., TestClient], audience: int, given: dict, sentence: str
) -> None:
    answer = client_as("marketer").post(f"/audiences/{audience}/exports", data=FORM | given)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "<form" in answer.text


def test_what_is_held_says_why_and_a_steward_releases_it(
    client_as: Callable[..., TestClient], app: FastAPI, audience: int
) -> None:
    settings: Settings = app.state.settings
    finding = book.Finding(
        "a check", "check", "failed", "There are orders of the day", "a@example.com", "intermediate.x"
    )
    with book.open_book(settings.alert_book) as opened:
        for incident in book.observe(opened, "s", [finding], "run", datetime.now(UTC), timedelta(days=1)).opened:
            opened.execute("insert into incident_dependents values (?, 'tag', 'rfm_segment')", [incident.incident_id])
    marketer, steward = client_as("marketer", name="mia"), client_as("steward", name="sam")
    page = made(marketer, audience, run="now")
    held = marketer.get(page).text
    assert "There are orders of the day" in held
    assert "Release it now" not in held
    assert marketer.post(f"{page}/release", data={"because": "x"}).status_code == 403
    assert "Release it now" in steward.get(page).text
    assert steward.post(f"{page}/release", data={"because": " "}).status_code == 400
    assert steward.post(f"{page}/release", data={"because": "Looked at by hand"}).status_code == 303
    assert marketer.post(f"{page}/run").status_code == 303
    assert "Download" in marketer.get(page).text
    with app.state.store.session() as store:
        released = next(entry for entry in audit.entries(store) if entry.action == "export released")
    assert (released.user_name, released.subject) == ("sam", "export:1")


def test_a_table_is_written_behind_the_answer(
    client_as: Callable[..., TestClient], audience: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TAGLOOM_EXPORT_DATABASE_CRM", f"sqlite:///{tmp_path / 'crm.sqlite'}")
    client = client_as("marketer")
    assert "Table in a database" in client.get(f"/audiences/{audience}/exports/new").text
    table = {"target": "table", "destination_table": "crm", "table": "spring_mailing"}
    page = made(client, audience, run="now", **table)
    with closing(sqlite3.connect(tmp_path / "crm.sqlite")) as connection:
        ((rows,),) = connection.execute("select count(*) from spring_mailing").fetchall()
    assert rows > 0
    assert f"<strong>{rows}</strong>" in client.get(f"/audiences/{audience}/exports").text
    assert "spring_mailing" in client.get(page).text


def test_an_export_is_changed_paused_and_deleted(
    client_as: Callable[..., TestClient], app: FastAPI, audience: int
) -> None:
    client = client_as("marketer", name="mia")
    page = made(client, audience)
    other = client_as("admin", name="root")
    assert 'value="Spring mailing"' in other.get(f"{page}/edit").text
    assert other.post(page, data=FORM | {"name": "Summer", "columns": []}).status_code == 303
    client.post(f"{page}/pause")
    with app.state.store.session() as store:
        export = export_book.load_export(store, 1)
        assert (export.name, export.owner, export.active, export.columns) == ("Summer", "root", False, [])
        assert export.config["sees_personal"] is True
    assert "Summer" in client.get("/exports").text
    client.post(f"{page}/delete")
    assert client.get(page).status_code == 404
    assert "Summer" not in client.get("/exports").text


def test_files_need_the_right_and_nothing_else_is_given_out(
    client_as: Callable[..., TestClient], audience: int
) -> None:
    page = made(client_as("marketer"), audience, run="now")
    assert client_as("analyst").get(f"{page}/files/1").status_code == 403
    for address in ("2", "999", "..%2f..%2fportal.sqlite", "1/../../../portal.sqlite"):
        assert client_as("admin").get(f"{page}/files/{address}").status_code in (404, 422)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_text_is_translated(client_as: Callable[..., TestClient], audience: int, language: str) -> None:
    client = client_as("admin", language=language)
    page = made(client, audience, run="now")
    for path in ("/exports", f"/audiences/{audience}/exports", page, f"{page}/edit"):
        text = client.get(path).text
        assert ("导出" in text) == (language == "zh"), path
