"""The decisions of the DAGs: which days are landed, which day is built for, what is watched, what people are told."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import ModuleType, SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from tagloom.alerting.book import open_book, waiting
from tagloom.alerting.routing import RoutingError
from tagloom.arrivals import Watch
from tagloom.monitoring.declarations import load_monitors
from tagloom.monitoring.rules import Verdict
from tagloom.monitoring.watch import Watched
from tagloom.operations import create_operations_tables
from tagloom.quality import CheckResult
from tagloom.settings import PROJECT, Settings, load_settings
from tagloom.sources import load_sources
from tagloom.warehouse import open_warehouse


@pytest.fixture(scope="module")
def orchestration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The package, with an AIRFLOW_HOME of its own: importing Airflow writes there, but no database is needed."""
    with pytest.MonkeyPatch.context() as patch:
        if "airflow" not in sys.modules:
            for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
                patch.delenv(name)
            patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        import tagloom.orchestration.build
        import tagloom.orchestration.ingest

        yield tagloom.orchestration


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
    assert orchestration.build.last_complete_day(date(2017, 1, 2), ZoneInfo(time_zone)) == date.fromisoformat(expected)


@pytest.mark.parametrize(
    ("end_day", "expected"),
    [("2017-03-12", "2017-03-10"), ("2017-03-13", "2017-03-11"), ("2017-11-06", "2017-11-04")],
)
def test_last_complete_day_when_clocks_change(orchestration: ModuleType, end_day: str, expected: str) -> None:
    found = orchestration.build.last_complete_day(date.fromisoformat(end_day), ZoneInfo("America/New_York"))
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
    assert orchestration.ingest.days_of_run(a_context()) == (date(2017, 1, 5), date(2017, 1, 6))


def test_a_data_interval_within_two_days_lands_both(orchestration: ModuleType) -> None:
    context = a_context(
        data_interval_start=datetime(2017, 1, 5, 18, tzinfo=UTC), data_interval_end=datetime(2017, 1, 6, 6, tzinfo=UTC)
    )
    assert orchestration.ingest.days_of_run(context) == (date(2017, 1, 5), date(2017, 1, 7))


def test_an_empty_data_interval_lands_the_day_it_is_in(orchestration: ModuleType) -> None:
    moment = datetime(2017, 1, 5, 9, 30, tzinfo=UTC)
    context = a_context(data_interval_start=moment, data_interval_end=moment)
    assert orchestration.ingest.days_of_run(context) == (date(2017, 1, 5), date(2017, 1, 6))


def test_days_of_the_parameters(orchestration: ModuleType) -> None:
    assert orchestration.ingest.days_of_run(a_context("2017-02-01", "2017-02-04")) == (
        date(2017, 2, 1),
        date(2017, 2, 4),
    )


def test_one_day_without_an_end(orchestration: ModuleType) -> None:
    assert orchestration.ingest.days_of_run(a_context("2017-02-28")) == (date(2017, 2, 28), date(2017, 3, 1))


@pytest.mark.parametrize("end_day", ["2017-01-31", "2017-02-01"])
def test_an_end_that_is_not_after_the_first_day(orchestration: ModuleType, end_day: str) -> None:
    with pytest.raises(Exception, match=f"end_day {end_day} must be after first_day 2017-02-01"):
        orchestration.ingest.days_of_run(a_context("2017-02-01", end_day))


def test_the_given_day_is_built(orchestration: ModuleType, settings: Settings) -> None:
    context = {"params": {"as_of_date": "2017-01-06"}, "triggering_asset_events": {}}
    assert orchestration.build._as_of_date(settings, context) == date(2017, 1, 6)


def events(*end_days: str | None) -> dict:
    """Asset events as a run gets them, a source each."""
    return {
        f"raw_{number}": [SimpleNamespace(extra={"end_day": end_day} if end_day else {})]
        for number, end_day in enumerate(end_days)
    }


def test_the_assets_decide_and_the_source_that_is_behind_counts(orchestration: ModuleType, settings: Settings) -> None:
    context = {"params": {"as_of_date": None}, "triggering_asset_events": events("2017-01-13", "2017-01-12", None)}
    assert orchestration.build._as_of_date(settings, context) == date(2017, 1, 10)


def test_without_events_what_landed_decides(
    orchestration: ModuleType, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    awaited = [source.name for source in load_sources(settings.sources) if source.build_waits_for_it]
    landed = [(source, 13 + number, "landed") for number, source in enumerate(awaited)]
    # Others do not count, nor does what was stopped or not delivered.
    landed += [("wifi", 2, "landed"), (awaited[0], 20, "stopped"), (awaited[0], 21, "nothing delivered")]
    with open_warehouse(settings) as connection:
        create_operations_tables(connection)
        for source, day, status in landed:
            connection.execute(
                "insert into operations.landing_log (source, table_name, end_day, status) values (?, 'table', ?, ?)",
                [source, date(2017, 1, day), status],
            )
    context = {"params": {"as_of_date": None}, "triggering_asset_events": {}}
    assert orchestration.build._as_of_date(settings, context) == date(2017, 1, 11)
    monkeypatch.setenv("TAGLOOM_TIME_ZONE", "Asia/Shanghai")
    assert orchestration.build._as_of_date(load_settings(), context) == date(2017, 1, 12)


def test_nothing_has_landed(orchestration: ModuleType, settings: Settings) -> None:
    with open_warehouse(settings) as connection:
        create_operations_tables(connection)
    context = {"params": {"as_of_date": None}, "triggering_asset_events": {}}
    with pytest.raises(Exception, match="Nothing has landed yet; run ingest_loyalty first or set as_of_date"):
        orchestration.build._as_of_date(settings, context)


def test_nothing_has_landed_in_a_new_warehouse(orchestration: ModuleType, settings: Settings) -> None:
    context = {"params": {"as_of_date": None}, "triggering_asset_events": {}}
    with pytest.raises(Exception, match="Nothing has landed yet; run ingest_loyalty first or set as_of_date"):
        orchestration.build._as_of_date(settings, context)


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
    lines = str(orchestration.alerts.QualityError("landing", results)).splitlines()
    assert lines[0] == "2 of 4 checks of landing failed:"
    assert lines[1].startswith("raw_loyalty.cards: not true: Every card has a number.")
    assert "its SQL fails" in lines[2]


@pytest.mark.parametrize(
    ("dag_id", "task_id", "title"),
    [
        ("ingest_loyalty", "land", "landing of loyalty"),
        ("ingest_loyalty", "fetch", "fetching of loyalty"),
        ("ingest_loyalty", "refused", "landing of loyalty"),
        ("ingest_loyalty", "read_declaration", "declaration of loyalty"),
        ("update_tags", "update", "update of tags"),
        ("build_tags", "tag_category", "building tag category"),
        ("build_tags", "publish", "publishing"),
    ],
)
def test_titles_of_mails(orchestration: ModuleType, dag_id: str, task_id: str, title: str) -> None:
    assert orchestration.alerts.title(dag_id, task_id) == title


def test_assets_have_a_stable_address(orchestration: ModuleType) -> None:
    assert orchestration.common.raw_asset("pos").uri == "tagloom://raw/pos"
    assert orchestration.common.layer_asset("serving").uri == "tagloom://layer/serving"
    assert orchestration.ingest.arrival_asset("pos").uri == "tagloom://arrivals/pos"


def test_a_trigger_can_be_made_again_from_what_it_says(orchestration: ModuleType) -> None:
    trigger = orchestration.arrival_trigger.ArrivalTrigger("web")
    classpath, arguments = trigger.serialize()
    module, _, name = classpath.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**arguments)
    assert again.serialize() == trigger.serialize()


def test_the_trigger_fires_for_files_and_lets_others_run_meanwhile(
    orchestration: ModuleType, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orchestration.arrival_trigger, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr("tagloom.arrivals.PATIENCE_SECONDS", 0.1)
    loop_threads: set[int] = set()
    looking_threads: set[int] = set()
    due = Watch.due
    monkeypatch.setattr(Watch, "due", lambda watch: looking_threads.add(threading.get_ident()) or due(watch))
    folder = settings.landing / "loyalty"
    folder.mkdir()

    async def watch() -> list[dict]:
        loop_threads.add(threading.get_ident())
        payloads = []
        for name in ("cards_2017-01-11.csv", "cards_2017-01-12.csv"):
            (folder / name).write_text("card_number\n", encoding="utf-8")
            os.utime(folder / name, (1, 1))
        async for event in orchestration.arrival_trigger.ArrivalTrigger("loyalty").run():
            payloads.append(event.payload)
            if len(payloads) == 2:
                return payloads
            (folder / "cards_2017-01-13.csv").write_text("card_number\n", encoding="utf-8")
            os.utime(folder / "cards_2017-01-13.csv", (1, 1))
        return payloads

    first, second = asyncio.run(asyncio.wait_for(watch(), timeout=20))
    assert first == {"source": "loyalty", "days": ["2017-01-11", "2017-01-12"], "files": 2}
    assert second == {"source": "loyalty", "days": ["2017-01-13"], "files": 1}
    assert not loop_threads & looking_threads


def test_the_trigger_survives_a_folder_that_cannot_be_read(
    orchestration: ModuleType, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orchestration.arrival_trigger, "PROBLEM_SECONDS", 0.01)
    arrival = SimpleNamespace(day=date(2017, 1, 11))
    answers = iter([OSError("Stale file handle"), [arrival]])

    def due(watch: Watch) -> list:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(Watch, "due", due)

    async def watch() -> dict:
        async for event in orchestration.arrival_trigger.ArrivalTrigger("loyalty").run():
            return event.payload
        return {}

    assert asyncio.run(asyncio.wait_for(watch(), timeout=20))["days"] == ["2017-01-11"]


def test_days_that_events_announce(orchestration: ModuleType) -> None:
    announced = [{"from_trigger": True, "payload": {"days": ["2017-01-05", "2017-01-06"]}}, {"by": "hand"}]
    context = {"triggering_asset_events": {"arrivals_web": [SimpleNamespace(extra=extra) for extra in announced]}}
    assert orchestration.ingest._announced_days(context) == {date(2017, 1, 5), date(2017, 1, 6)}
    assert orchestration.ingest._announced_days({"triggering_asset_events": None}) == set()


def test_an_airflow_connection_is_passed_on_without_airflow(
    orchestration: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = "postgres://reader:s%40fe@db.example.com:5433/crm?sslmode=require"
    monkeypatch.setenv("AIRFLOW_CONN_CRM_DATABASE", uri)
    details = orchestration.ingest.connection_details("crm_database")
    assert (details.connection_id, details.kind) == ("crm_database", "postgres")
    assert (details.host, details.port, details.schema) == ("db.example.com", 5433, "crm")
    assert (details.login, details.password) == ("reader", "s@fe")
    assert details.extra == {"sslmode": "require"}
    assert "s@fe" not in repr(details)
    assert orchestration.ingest.connection_details(None) is None


def test_a_build_waits_for_an_awaited_source_whose_declaration_is_wrong(
    orchestration: ModuleType, tmp_path: Path
) -> None:
    for path in (PROJECT / "sources").glob("*.yml"):
        shutil.copy(path, tmp_path)
    awaited = orchestration.build.awaited_sources(tmp_path)
    assert awaited == [source.name for source in load_sources(tmp_path) if source.build_waits_for_it]
    assert "pos" in awaited
    for name in ("pos", "wifi"):
        declaration = tmp_path / f"{name}.yml"
        declaration.write_text(declaration.read_text(encoding="utf-8") + "\nmistake: [\n", encoding="utf-8")
    assert orchestration.build.awaited_sources(tmp_path) == awaited


DRIFT = ("column coupon_code is new and not declared", "column channel is missing; perhaps it is called source now")


def a_landing_task(settings: Settings) -> dict:
    """The context of ingest_web's land task, and dbt's manifest of what reads its table."""
    settings.dbt_target.mkdir(parents=True, exist_ok=True)
    model = {"resource_type": "model", "schema": "staging", "name": "stg_web__events", "alias": "stg_web__events"}
    model["original_file_path"] = "models/staging/web/stg_web__events.sql"
    tag = {"resource_type": "model", "schema": "tag_category", "name": "tag_visits", "alias": "tag_visits"}
    tag |= {"original_file_path": "models/tag_category/person/tag_visits.sql"}
    tag["columns"] = {"web_visit_count": {"meta": {"tag": True}}}
    source = {"resource_type": "source", "schema": "raw_web", "identifier": "events", "name": "events"}
    manifest = {
        "nodes": {"model.a": model, "model.b": tag},
        "sources": {"source.a": source},
        "child_map": {"source.a": ["model.a"], "model.a": ["model.b"]},
    }
    (settings.dbt_target / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    instance = SimpleNamespace(dag_id="ingest_web", task_id="land", map_index=-1, log_url="http://localhost/log")
    return {
        "run_id": "asset_triggered__2017-01-05",
        "task_instance": instance,
        "params": {"first_day": None, "end_day": None},
        "dag_run": SimpleNamespace(run_after=datetime(2017, 1, 5, tzinfo=UTC)),
    }


def test_changed_deliveries_are_told_to_their_owner(
    orchestration: ModuleType, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orchestration.alerts, "_mail_server", lambda settings: None)
    source = next(source for source in load_sources(settings.sources) if source.name == "web")
    landings = [SimpleNamespace(table="events", drift=DRIFT), SimpleNamespace(table="other", drift=())]
    orchestration.alerts.tell_changes(a_landing_task(settings), source, landings)
    mails = waiting_mails(settings)
    assert sorted(mail["To"] for mail in mails) == ["data-team@example.com", source.owner]
    for mail in mails:
        assert mail["Subject"].startswith(
            "[Tagloom] WARNING: deliveries of web, 2 changes - they have landed all the same"
        )
        assert mail["Importance"] is None
        for part in ("plain", "html"):
            text = " ".join(mail.get_body((part,)).get_content().split())
            for sentence in DRIFT:
                assert sentence in text
            for known in ("raw_web.events", "web_visit_count", "sources/web.yml", "models/staging/web/stg_web__events"):
                assert known.lower() in text.lower(), known
            assert "raw_web.other" not in text.lower()


def test_unchanged_deliveries_are_not_told(orchestration: ModuleType, settings: Settings) -> None:
    source = load_sources(settings.sources)[0]
    orchestration.alerts.tell_changes(a_landing_task(settings), source, [SimpleNamespace(table="cards", drift=())])
    assert waiting_mails(settings) == []


def a_failure(dag_id: str, run_id: str, map_index: int = -1, sentence: str = "no answer") -> dict:
    instance = SimpleNamespace(
        dag_id=dag_id, task_id="fetch", map_index=map_index, log_url="http://localhost", xcom_pull=lambda task_ids: None
    )
    return {
        "run_id": run_id,
        "task_instance": instance,
        "task": SimpleNamespace(owner="tagloom"),
        "params": {},
        "dag_run": SimpleNamespace(run_after=datetime(2017, 1, 5, tzinfo=UTC)),
        "exception": RuntimeError(sentence),
    }


def test_every_table_that_cannot_be_fetched_is_told(
    orchestration: ModuleType, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orchestration.alerts, "_mail_server", lambda settings: None)
    for map_index in (0, 1, 1):
        orchestration.alerts.tell_failure(a_failure("ingest_shop", "run", map_index))
    assert len(waiting_mails(settings)) == 2


def test_updates_that_fail_again_and_again_are_told_once_a_day_and_when_they_work_again(
    orchestration: ModuleType, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orchestration.alerts, "_mail_server", lambda settings: None)
    moments = [datetime(2017, 1, day, hour, tzinfo=UTC) for day, hour in ((5, 7), (5, 8), (6, 8), (6, 9), (6, 10))]

    class Clock(datetime):
        @classmethod
        def now(cls, zone: object) -> datetime:
            return moments[number]

    monkeypatch.setattr(orchestration.alerts, "datetime", Clock)
    for number, expected in enumerate((1, 1, 2)):
        orchestration.alerts.tell_failure(a_failure("update_tags", f"run {number}"))
        assert len(waiting_mails(settings)) == expected
    for number, expected in ((3, 3), (4, 3)):
        orchestration.alerts.tell_success(a_failure("update_tags", f"run {number}"))
        assert len(waiting_mails(settings)) == expected
    words = ("FAILED", "STILL FAILED", "WELL AGAIN")
    assert all(word in mail["Subject"] for word, mail in zip(words, waiting_mails(settings), strict=True))


def test_checks_that_failed_are_not_told_a_second_time(orchestration: ModuleType, settings: Settings) -> None:
    failure = a_failure("build_tags", "run")
    failure["exception"].__cause__ = orchestration.alerts.QualityError("landing", [a_result("failed")])
    orchestration.alerts.tell_failure(failure)
    assert waiting_mails(settings) == []


def test_alarms_of_channels_are_told_to_their_owners_and_so_is_their_end(
    orchestration: ModuleType, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orchestration.alerts, "_mail_server", lambda settings: None)
    monitor = next(monitor for monitor in load_monitors() if monitor.name == "web_payment")
    sentence = "{measured} on the last 3 days, below 80% of the mean of {expected}"
    low, well = Verdict(True, 0.3, 0.8, 0.64, None, sentence), Verdict(False, 0.8, 0.8, 0.64)
    day = date(2017, 5, 24)
    for number, verdict in enumerate((low, low, well)):
        watched = Watched(monitor, "web shop", verdict, ((day, 0.3),))
        orchestration.alerts.tell_alarms(settings, a_failure("monitor_channels", f"run {number}"), day, [watched])
    subjects = [(mail["Subject"], mail["To"]) for mail in waiting_mails(settings)]
    thing = "Payments that go through, web shop"
    assert subjects == [
        (f"[Tagloom] ALARM: {thing}, 1 metric", "data-team@example.com"),
        (f"[Tagloom] ALARM: {thing}, 1 metric", monitor.owner),
        ("[Tagloom] WELL AGAIN: Payments that go through, web shop, 1 metric", "data-team@example.com"),
        ("[Tagloom] WELL AGAIN: Payments that go through, web shop, 1 metric", monitor.owner),
    ]
    text = waiting_mails(settings)[1].get_body(("plain",)).get_content()
    assert "30.0% on the last 3 days, below 80% of the mean of 80.0%" in text
    assert monitor.what_to_do in " ".join(text.split())


def test_wrong_rules_keep_nobody_from_hearing_of_a_failure(
    orchestration: ModuleType, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise RoutingError("routing.yml: recipient: is not a known key")

    monkeypatch.setattr(orchestration.alerts, "_mail_server", lambda settings: None)
    monkeypatch.setattr(orchestration.alerts, "load_routing", refuse)
    orchestration.alerts.tell_failure(a_failure("ingest_shop", "run"))
    assert len(waiting_mails(settings)) == 1


def waiting_mails(settings: Settings) -> list[EmailMessage]:
    """What waits in the alert book, in the order in which it was written."""
    with open_book(settings.alert_book) as book:
        found = waiting(book, datetime(9999, 1, 1, tzinfo=UTC))
    return [message_from_bytes(delivery.content, policy=policy.default) for delivery in found]


def test_a_foreground_run_tries_nothing_again(orchestration: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [SimpleNamespace(task_id="fetch", retries=2), SimpleNamespace(task_id="land", retries=2)]
    seen: list[list[int]] = []

    def run(run_conf: dict) -> SimpleNamespace:
        seen.append([task.retries for task in tasks])
        return SimpleNamespace(state="failed")

    dag = SimpleNamespace(tasks=tasks, test=run)
    bag = SimpleNamespace(import_errors={}, get_dag=lambda dag_id: dag)
    monkeypatch.setattr("airflow.dag_processing.dagbag.DagBag", lambda folder: bag)
    assert orchestration.foreground_run("ingest_loyalty", {}) == "failed"
    assert seen == [[0, 0]]
