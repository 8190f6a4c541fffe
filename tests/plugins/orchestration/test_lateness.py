"""Runs that take too long or fail as a whole, sources that are late, failing tasks: who is told, and what is held."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, date, datetime, timedelta
from types import ModuleType, SimpleNamespace

import pytest
from tagloom.alerting.book import open_book, open_incidents
from tagloom.alerting.holds import holds_for, open_holds
from tagloom.alerting.late import Late
from tagloom.alerting.wording import deadline_scope
from tagloom.landing.land import BadDeliveryError
from tagloom.settings import PROJECT, Settings
from tagloom.sources import load_source
from tagloom.warehouse import open_warehouse

from tests.plugins.test_orchestration import a_failure, a_landing_task, a_result, orchestration, waiting_mails

__all__ = ["orchestration"]

QUEUED = "2018-01-01T06:00:00Z"
DAY = date(2018, 1, 1)


@pytest.fixture
def alerts(orchestration: ModuleType, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, without a mail server, with a manifest in which a tag depends on raw_web.events."""
    import tagloom.orchestration.lateness

    monkeypatch.setattr(orchestration.alerts, "_mail_server", lambda settings: None)
    a_landing_task(settings)
    return tagloom.orchestration


def failure(dag_id: str, task_id: str, error: Exception, run: str = "run-1") -> dict:
    context = a_failure(dag_id, run)
    context["task_instance"].task_id = task_id
    return context | {"exception": error}


def kinds(settings: Settings) -> list[tuple[str, str]]:
    """Kind and table of every open incident."""
    with open_book(settings.alert_book) as book:
        return [(one.finding.kind, one.finding.table) for one in open_incidents(book)]


def missed(alerts: ModuleType, state: str = "running", run: str = "run-1") -> None:
    run_of_api = {
        "dag_id": "build_tags",
        "dag_run_id": run,
        "state": state,
        "queued_at": QUEUED,
        "run_after": QUEUED,
    }
    asyncio.run(alerts.lateness.missed_deadline({"dag_run": run_of_api, "deadline": {"deadline_time": QUEUED}}))


def test_a_missed_deadline_is_told_once_and_holds_everything(alerts, settings):
    missed(alerts)
    missed(alerts)
    (mail,) = waiting_mails(settings)
    assert mail["Subject"] == "[Tagloom] LATE: build of tags - nothing new is published"
    assert mail["X-Tagloom-Kind"] == "deadline-missed"
    text = mail.get_body(("plain",)).get_content()
    assert "started at 2018-01-01 01:00 EST and should have been done 180 minutes later" in " ".join(text.split())
    assert "/dags/build_tags/runs/run-1" in text
    assert kinds(settings) == [("deadline", "")]
    (hold,) = open_holds(settings)
    assert hold.tags == {"web_visit_count"}
    assert hold.reason == "Build of tags is late"


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_run_that_has_ended_is_not_told_of_when_its_deadline_passes(alerts, settings, state):
    missed(alerts, state)
    assert waiting_mails(settings) == []


def test_the_end_of_a_late_run_is_told(alerts, settings):
    missed(alerts)
    context = failure("build_tags", "publish", RuntimeError())
    for _ in range(2):
        alerts.alerts.tell_end(settings, context, [deadline_scope("build_tags")], "build of tags")
    assert [mail["Subject"] for mail in waiting_mails(settings)][1:] == ["[Tagloom] WELL AGAIN: build of tags"]
    assert open_holds(settings) == []


def test_tasks_look_at_the_clock_themselves(alerts, settings):
    def look(minutes: float) -> None:
        context = failure("build_tags", "staging", RuntimeError())
        context["dag_run"].start_date = datetime.now(UTC) - timedelta(minutes=minutes)
        alerts.lateness.look_at_the_clock(settings, context)

    look(179)
    assert waiting_mails(settings) == []
    look(181)
    look(182)
    assert len(waiting_mails(settings)) == 1


def test_the_deadline_is_airflows_own_where_a_scheduler_runs(alerts, settings, monkeypatch):
    from airflow.serialization.encoders import encode_deadline_alert

    monkeypatch.setattr(sys, "argv", ["airflow", "dag-processor"])
    deadline = alerts.lateness.build_deadline(settings)
    assert deadline.interval == timedelta(minutes=180)
    assert deadline.callback.path == "tagloom.orchestration.lateness.missed_deadline"
    assert encode_deadline_alert(deadline)["reference"] == {"reference_type": "DagRunQueuedAtDeadline"}
    monkeypatch.setattr(sys, "argv", ["airflow", "dags", "test", "build_tags"])
    assert alerts.lateness.build_deadline(settings) is None, "Airflow 3.3.2 cannot end such a run"


@pytest.mark.parametrize(("reason", "told"), [("task_failure", 0), ("", 0), ("timed_out", 1)])
def test_a_run_that_fails_without_a_task_is_told(alerts, settings, reason, told):
    for _ in range(2):
        alerts.lateness.tell_run_failure(
            {"dag": SimpleNamespace(dag_id="build_tags"), "run_id": "run-1", "reason": reason}
        )
    assert len(waiting_mails(settings)) == told
    if not told:
        return
    assert waiting_mails(settings)[0]["Subject"] == "[Tagloom] FAILED: build of tags - nothing new is published"
    last = failure("build_tags", "publish", RuntimeError())
    last["task"].downstream_task_ids = {"more"}
    alerts.alerts.tell_success(last)
    assert len(waiting_mails(settings)) == 1
    last["task"].downstream_task_ids = set()
    alerts.alerts.tell_success(last)
    assert "WELL AGAIN" in waiting_mails(settings)[1]["Subject"]


def a_late_source(until: date | None = date(2017, 12, 31)) -> Late:
    return Late(load_source(PROJECT / "sources" / "web.yml"), until, DAY, datetime(2018, 1, 1, 6, tzinfo=UTC))


def test_a_late_source_is_told_once_until_it_has_come(alerts, settings):
    for number in range(3):
        alerts.lateness.tell_late(
            settings, failure("send_alerts", "watch_sources", RuntimeError(), f"run-{number}"), [a_late_source()]
        )
    mails = waiting_mails(settings)
    assert {mail["Subject"] for mail in mails} == {
        "[Tagloom] LATE: deliveries of web - tags made of them stay as they are and are held"
    }
    assert sorted(mail["To"] for mail in mails) == ["data-team@example.com", "online@example.com"]
    assert kinds(settings) == [("late", "raw_web.events")]
    assert holds_for(settings, ["web_visit_count"])
    alerts.lateness.tell_late(settings, failure("send_alerts", "watch_sources", RuntimeError(), "run-4"), [])
    assert len(waiting_mails(settings)) == 2 * len(mails)
    assert not holds_for(settings, ["web_visit_count"])


def test_what_is_late_and_what_fails_because_of_it_is_one_mail(alerts, settings):
    with open_warehouse(settings) as connection:
        from tagloom.operations import create_operations_tables

        create_operations_tables(connection)
        connection.execute(
            "create table operations.check_results (as_of_date date, measured double, contract varchar, "
            "check_name varchar)"
        )
        results = [a_result("failed"), a_result("passed", "There are cards")]
        context = failure("build_tags", "landing", RuntimeError())
        alerts.alerts.tell_results(settings, connection, context, "landing", results, [a_late_source()])
        mails = {mail["To"]: mail for mail in waiting_mails(settings)}
        assert set(mails) == {"data-team@example.com", "online@example.com", "loyalty@example.com"}
        assert mails["data-team@example.com"]["Subject"].startswith("[Tagloom] FAILED: checks of landing, 1 check of 2")
        assert mails["online@example.com"]["X-Tagloom-Kind"] == "late-source"
        # What watches the clock finds the same and does not tell it again.
        alerts.lateness.tell_late(settings, failure("send_alerts", "watch", RuntimeError()), [a_late_source()])
        assert len(waiting_mails(settings)) == 3
        alerts.alerts.tell_results(settings, connection, context | {"run_id": "run-2"}, "landing", [results[1]])
    assert kinds(settings) == []
    assert all("WELL AGAIN" in mail["Subject"] for mail in waiting_mails(settings)[3:])


def test_a_delivery_with_too_many_bad_rows_is_told_as_that(alerts, settings):
    error = RuntimeError("89 of 600 rows are bad")
    error.__cause__ = BadDeliveryError("89 of 600 rows are bad")
    alerts.alerts.tell_failure(failure("ingest_web", "land", error))
    assert waiting_mails(settings)[0]["X-Tagloom-Kind"] == "quarantine"
    assert kinds(settings) == [("quarantine", "raw_web.events")]
    assert holds_for(settings, ["web_visit_count"])[0].reason == "Landing of web was refused: too many rows are bad"


def test_a_full_disk_at_publish_says_what_to_remove(alerts, settings):
    error = OSError(28, "No space left on device")
    alerts.alerts.tell_failure(failure("build_tags", "publish", error))
    (mail,) = waiting_mails(settings)
    assert mail["Subject"] == "[Tagloom] FAILED: publishing - nothing new is published"
    assert mail["X-Tagloom-Kind"] == "publish-failed"
    text = " ".join(mail.get_body(("plain",)).get_content().split())
    assert f"Make room on the disk of {settings.home}" in text
    assert "Then clear the task publish." in text
    assert open_holds(settings)[0].tags == {"web_visit_count"}


def test_a_model_that_fails_holds_what_stands_on_it_and_no_more(alerts, settings):
    sentence = "models/x.sql: the model {} could not be built: no such column"
    alerts.alerts.tell_failure(failure("build_tags", "tag_category", RuntimeError(sentence.format("tag_visits"))))
    assert kinds(settings) == [("task", "tag_category.tag_visits")]
    assert open_holds(settings)[0].tags == {"web_visit_count"}


def test_documentation_and_updates_that_fail_hold_nothing(alerts, settings):
    alerts.alerts.tell_failure(failure("document_models", "document", RuntimeError("x")))
    alerts.alerts.tell_failure(failure("update_tags", "update", RuntimeError("x")))
    assert len(waiting_mails(settings)) == 2
    assert open_holds(settings) == []


def test_a_missing_mail_server_is_said_by_who_sends_and_only_then(orchestration, settings, caplog):
    assert orchestration.alerts._mail_server(settings) is None
    assert caplog.text == ""
    orchestration.alerts.tell_failure(failure("ingest_web", "land", RuntimeError("x")))
    assert caplog.text.count("there is no mail server; set TAGLOOM_SMTP_URL") == 1


def test_the_first_day_that_completes_a_local_day(orchestration):
    from zoneinfo import ZoneInfo

    for zone in ("America/New_York", "Asia/Shanghai", "UTC", "Pacific/Kiritimati"):
        for number in range(400):
            day = date(2017, 1, 1) + timedelta(days=number)
            end = orchestration.build.first_end_day_of(day, ZoneInfo(zone))
            assert orchestration.build.last_complete_day(end, ZoneInfo(zone)) == day
