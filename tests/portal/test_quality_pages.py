"""Quality pages: empty without books, and what checks, incidents and holds say; releases need a right and a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest
from fastapi import FastAPI
from sqlalchemy import select
from starlette.testclient import TestClient
from tagloom import quality_book
from tagloom.alerting import book, holds
from tagloom.audiences import library
from tagloom.operations import create_operations_tables
from tagloom.portal.store.audit import AuditEntry
from tagloom.portal.store.base import now
from tagloom.portal.store.decisions import SteeringNote
from tagloom.quality import CheckResult
from tagloom.settings import Settings
from tagloom.steering.notes import CHANNELS

ClientAs = Callable[..., TestClient]

PATHS = ("", "/checks", "/quarantine", "/incidents", "/channels", "/holds")

DAY = date(2017, 12, 31)
MOMENT = datetime(2018, 1, 1, 6, tzinfo=UTC)


RESULT = CheckResult(
    run_id="run0",
    as_of_date=DAY,
    layer="intermediate",
    contract="intermediate/int_orders.yml",
    table="intermediate.int_orders",
    column="order_id",
    name="There are orders",
    check_type="row_count",
    outcome="failed",
    measured=0.0,
    unit="",
    threshold="more than 500",
    owner="orders@example.com",
    what_to_do="Ask the shop.",
    sample=(),
    problem="",
    milliseconds=12.0,
)


@pytest.fixture
def books(world: Settings) -> Iterator[Settings]:
    """Two days of checks, quarantined rows, a landing, a failure that holds rfm_segment and a warning."""
    with duckdb.connect() as connection:
        create_operations_tables(connection)
        connection.execute(
            "insert into operations.quarantine (source, table_name, column_name, reason, day) "
            "values ('wifi', 'sightings', 'device_mac', 'is missing', date '2017-12-30')"
        )
        for back, outcome in ((1, "passed"), (0, "failed")):
            day = DAY - timedelta(days=back)
            changed = replace(RESULT, run_id=f"run{back}", as_of_date=day, outcome=outcome, measured=900.0 * back)
            quality_book.record(world, connection, [changed, replace(changed, name="Keys are there", outcome="passed")])
    with book.open_book(world.alert_book) as opened:
        seen = book.observe(
            opened,
            "build_tags/intermediate",
            [
                book.Finding(
                    "a",
                    "check",
                    "failed",
                    "There are orders: measured 0",
                    "orders@example.com",
                    "intermediate.int_orders",
                ),
                book.Finding(
                    "b",
                    "check",
                    "warning",
                    "Fewer sessions than usual",
                    "web@example.com",
                    "intermediate.int_web_sessions",
                ),
            ],
            "run0",
            MOMENT,
            timedelta(days=1),
        )
        failure = next(one for one in seen.opened if one.finding.severity == "failed")
        book.note_dependents(
            opened, failure.incident_id, {"tag": ["rfm_segment"], "report": ["report_sales_by_segment"]}
        )
    yield world
    for file in (world.alert_book, world.quality_book):
        for path in world.home.glob(f"{file.name}*"):
            path.unlink()


@pytest.fixture
def audience(app: FastAPI) -> int:
    """A saved audience that stands on rfm_segment."""
    definition = {
        "schema": 1,
        "rule": {"combinator": "and", "not": False, "rules": [{"field": "tag:rfm_segment", "operator": "notNull"}]},
        "consent": "none",
        "suppression": False,
        "holdout_percent": 0,
        "split": None,
    }
    with app.state.store.transaction() as session:
        return library.save(session, definition, "Everybody with a segment", by="ada").id


def test_pages_open_without_any_book(client_as: ClientAs, world: Settings) -> None:
    for language in ("en", "zh"):
        client = client_as("viewer", language=language)
        for path in PATHS:
            assert client.get(f"/quality{path}").status_code == 200, path
    assert not world.quality_book.exists()


def test_pages_open_with_books(client_as: ClientAs, books: Settings, audience: int) -> None:
    for language in ("en", "zh"):
        client = client_as("viewer", language=language)
        for path in PATHS:
            assert client.get(f"/quality{path}").status_code == 200, path


def test_the_overview_says_what_is_wrong(client_as: ClientAs, books: Settings, audience: int) -> None:
    text = client_as("viewer").get("/quality").text
    for shown in ("There are orders: measured 0", "Fewer sessions than usual", "1 of them failures", "intermediate"):
        assert shown in text, shown


def test_checks_are_filtered_by_layer_outcome_and_table(client_as: ClientAs, books: Settings) -> None:
    client = client_as("viewer")
    assert "2 checks" in client.get("/quality/checks").text
    assert "1 checks" in client.get("/quality/checks?outcome=failed").text
    assert "0 checks" in client.get("/quality/checks?layer=staging").text
    table = client.get("/quality/checks?table=intermediate.int_orders").text
    assert "Score by day of data" in table
    text = client.get("/quality/checks/intermediate/int_orders.yml?name=There are orders").text
    assert "Measured by day of data" in text
    assert "Ask the shop." in text
    assert client.get("/quality/checks/intermediate/int_orders.yml?name=x").status_code == 404
    assert client.get("/quality/checks/..%2F..%2Fetc%2Fpasswd?name=x").status_code == 404


def test_an_incident_shows_what_depends_on_it_and_recipients_only_to_who_may_override(
    client_as: ClientAs, books: Settings
) -> None:
    with book.open_book(books.alert_book) as opened:
        incidents = [one for one in book.open_incidents(opened) if one.finding.severity == "failed"]
        alert = book.add_alert(opened, "failure", "failed", "orders", ("build_tags", "t", "r"), incidents, MOMENT)
        book.add_delivery(opened, alert, "mail", "secret@example.com", "m1", b"x", MOMENT)
    number = incidents[0].incident_id
    viewer = client_as("viewer").get(f"/quality/incidents/{number}").text
    assert "report_sales_by_segment" in viewer
    assert "secret@example.com" not in viewer
    assert "secret@example.com" not in client_as("viewer").get("/quality/incidents").text
    assert "secret@example.com" in client_as("steward").get(f"/quality/incidents/{number}").text
    assert client_as("viewer").get("/quality/incidents/999").status_code == 404


def test_quarantine_says_why_rows_wait(client_as: ClientAs, books: Settings) -> None:
    text = client_as("viewer").get("/quality/quarantine").text
    assert "device_mac is missing" in text
    assert "wifi.sightings" in text


def test_somebody_works_on_an_incident(client_as: ClientAs, books: Settings, app: FastAPI) -> None:
    path = "/quality/incidents/1/acknowledge"
    assert client_as("marketer").post(path, data={"reason": "I look"}).status_code == 403
    assert client_as("steward").post(path, data={"reason": " "}).status_code == 400
    assert client_as("steward").post("/quality/incidents/99/acknowledge", data={"reason": "I look"}).status_code == 409
    assert client_as("steward", name="sue").post(path, data={"reason": "I look"}).status_code == 303
    assert "sue works on it" in client_as("viewer").get("/quality/incidents").text


def test_a_hold_is_released_by_who_may_with_a_reason_and_logged(
    client_as: ClientAs, books: Settings, audience: int, app: FastAPI
) -> None:
    subject = f"audience:{audience}"
    form = {"subject": subject, "reason": "the day was closed"}
    text = client_as("viewer").get("/quality/holds").text
    assert "Everybody with a segment" in text
    assert 'data-open="release-' not in text
    assert 'data-open="release-' in client_as("steward").get("/quality/holds").text
    for role in ("viewer", "analyst", "marketer"):
        assert client_as(role).post("/quality/holds", data=form).status_code == 403
    assert client_as("steward").post("/quality/holds", data={"subject": subject, "reason": ""}).status_code == 400
    assert client_as("steward").post("/quality/holds", data=form, headers={"origin": "https://x"}).status_code == 403
    assert holds.overrides(books) == []
    assert client_as("steward", name="sue").post("/quality/holds", data=form).status_code == 303
    [release] = holds.overrides(books)
    assert (release.subject, release.by, release.because) == (subject, "sue", "the day was closed")
    assert holds.holds_for(books, ["rfm_segment"], subject=subject) == []
    assert len(holds.holds_for(books, ["rfm_segment"], subject="audience:999")) == 1
    assert client_as("steward").post("/quality/holds", data=form).status_code == 409
    assert client_as("steward").post("/quality/holds", data={**form, "subject": "audience:999"}).status_code == 409
    with app.state.store.session() as session:
        actions = session.execute(select(AuditEntry.action, AuditEntry.subject, AuditEntry.detail)).all()
    assert ("hold released", subject, "the day was closed") in [tuple(row) for row in actions]
    assert "the day was closed" in client_as("viewer").get("/quality/holds").text


def test_channels_show_alarms_first(client_as: ClientAs, app: FastAPI) -> None:
    days = [[(DAY - timedelta(days=back)).isoformat(), 0.5 + back / 100] for back in range(89, -1, -1)]

    def channel(title: str, is_alarming: bool) -> dict:
        verdict = {
            **{"measured": 0.5, "expected": 0.7, "lowest": 0.56, "highest": None},
            **{"is_alarming": is_alarming, "sentence": "It is low." if is_alarming else ""},
        }
        return {
            **{"monitor": title, "title": title, "title_zh": f"{title}中", "owner": "o@example.com", "part": "web"},
            **{
                "what_to_do": "Look at the till.",
                "unit": "share",
                "days": days,
                "verdicts": {DAY.isoformat(): verdict},
            },
        }

    with app.state.store.transaction() as session:
        content = [channel("Alpha", False), channel("Beta", True)]
        session.add(SteeringNote(name=CHANNELS, content=content, taken_at=now()))
    text = client_as("viewer").get("/quality/channels").text
    assert text.index("Beta · web") < text.index("Alpha · web")
    assert "Look at the till." in text
    assert "Alpha中" in client_as("viewer", language="zh").get("/quality/channels").text
