"""run_audiences as Airflow really runs it: members and exports after a publish, holds, failures, kills.

The home holds a published version of made-up persons, so nothing is landed or built and a run takes seconds.
"""

from __future__ import annotations

import csv
import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tagloom.alerting import book
from tagloom.audiences import export_book, exports, library
from tagloom.portal.serving import Serving
from tagloom.portal.store.audiences import ExportRun
from tagloom.portal.store.base import Store
from tagloom.publish import current_version
from tagloom.settings import Settings

from tests.pipeline.conftest import History, airflow_rows, settings_of
from tests.pipeline.dag_runs import Server
from tests.portal.world import publish_world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BY_APP = {"rule": {"rules": [{"field": "tag:has_app", "operator": "=", "value": True}]}, "holdout_percent": 10}
EVERYBODY = {"rule": {"rules": []}}
BROKEN = {"rule": {"rules": [{"field": "tag:was_a_tag_once", "operator": "=", "value": True}]}}

RUN = {"dag": "run_audiences", "conf": {}}


@dataclass
class Receiver:
    """A real server that takes batches, slowly."""

    address: str = ""
    taken: dict[str, list[int]] = field(default_factory=dict)
    """Idempotency-Key -> persons."""
    requests: int = 0
    seconds: float = 0.0


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["content-length"])))
            found.requests += 1
            time.sleep(found.seconds)
            found.taken[self.headers["idempotency-key"]] = [person["person_id"] for person in content["persons"]]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.address = f"http://127.0.0.1:{server.server_port}/hook"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


@dataclass
class House:
    """A home with an audience and three exports, and how to let Airflow run."""

    settings: Settings
    store: Store
    server: Server
    receiver: Receiver
    runs: int = 0

    def start(self, **variables: str):
        """Begin a run of the DAG in a process of its own."""
        self.runs += 1
        address = {"TAGLOOM_EXPORT_WEBHOOK_MAILER": self.receiver.address}
        return self.server.start(self.settings.home, f"audiences_{self.runs}", [RUN], **address, **variables)

    def run(self) -> str:
        """Let the DAG run to its end; returns its state."""
        (result,) = self.start().wait()
        return result["state"]

    def states(self) -> dict[str, ExportRun]:
        """Export -> what became of it with the current version."""
        with self.store.session() as session:
            version = current_version(self.settings).name
            found = {
                export.name: export_book.run_of(session, export.id, version)
                for export in export_book.exports_of(session)
            }
        return {name: run for name, run in found.items() if run is not None}

    def allowed(self) -> set[int]:
        """Who has the app and has not objected."""
        rows = (
            Serving(self.settings)
            .snapshot()
            .rows("select person_id from tag_integration.person_tags where has_app and not do_not_promote")
        )
        return {row["person_id"] for row in rows}


@pytest.fixture(scope="module")
def house(
    seed: History, folder: Path, dag_server: Server, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> House:
    home = folder / "audiences"
    shutil.copytree(seed.settings.home / "airflow", home / "airflow")
    settings = settings_of(home)
    settings.make_folders()
    publish_world(settings, persons=600)
    store = Store(f"sqlite:///{home / 'portal.sqlite'}")
    tags = Serving(settings).snapshot().tags
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAGLOOM_EXPORT_WEBHOOK_MAILER", receiver.address)
        with store.transaction() as session:
            apps = library.save(session, BY_APP, "Apps", by="ana")
            everybody = library.save(session, EVERYBODY, "Everybody", by="ana")
            given = {"schedule": "each_publish", "owner": "mia", "tags": tags}
            export_book.save_export(
                session, apps.id, name="file", target="csv", columns=["rfm_segment"], config={}, **given
            )
            export_book.save_export(
                session, everybody.id, name="all", target="parquet", columns=["state"], config={}, **given
            )
            config = {"destination": "mailer", "batch_rows": 10}
            export_book.save_export(
                session, apps.id, name="mailer", target="webhook", columns=[], config=config, **given
            )
    return House(settings, store, dag_server, receiver)


@pytest.fixture(scope="module")
def first(house: House) -> dict[str, ExportRun]:
    """What the first run has sent; it is run twice."""
    assert house.run() == "success"
    sent = house.states()
    requests = house.receiver.requests
    assert house.run() == "success"
    assert house.receiver.requests == requests, "the second run sends nothing"
    return sent


def test_members_and_exports_follow_the_published_version(house: House, first: dict[str, ExportRun]) -> None:
    assert {name: run.status for name, run in first.items()} == dict.fromkeys(("file", "all", "mailer"), "sent")
    with exports.export_file(house.settings, first["file"]).open(encoding="utf-8") as file:
        sent = {int(line["person_id"]) for line in csv.DictReader(file)}
    assert sent < house.allowed()
    assert len(sent) + first["file"].held_out == len(house.allowed())
    with house.store.session() as session:
        newest = library.last_runs(session)
        sizes = {audience.name: newest[audience.id].size for audience in library.list_audiences(session)}
    assert sizes["Everybody"] < 600
    assert sizes["Apps"] == len(house.allowed())


def test_the_webhook_got_everybody_once(house: House, first: dict[str, ExportRun]) -> None:
    persons = [person for batch in house.receiver.taken.values() for person in batch]
    assert len(persons) == len(set(persons)) == first["mailer"].rows == first["file"].rows


def test_a_second_run_sends_nothing_again(house: House, first: dict[str, ExportRun]) -> None:
    assert {name: run.attempts for name, run in house.states().items()} == dict.fromkeys(first, 1)
    assert {name: run.started_at for name, run in house.states().items()} == {
        name: run.started_at for name, run in first.items()
    }


def test_what_is_stale_is_held_and_goes_out_when_it_is_over(house: House, first: dict[str, ExportRun]) -> None:
    publish_world(house.settings, persons=600, seed=2)
    finding = book.Finding(
        "a check", "check", "failed", "There are orders of the day", "a@example.com", "intermediate.x"
    )

    def observe(findings: list[book.Finding], run: str) -> book.Observed:
        with book.open_book(house.settings.alert_book) as opened:
            observed = book.observe(opened, "scope", findings, run, datetime.now(UTC), timedelta(days=1))
            for incident in observed.opened:
                opened.execute("insert into incident_dependents values (?, 'tag', 'has_app')", [incident.incident_id])
            return observed

    observe([finding], "a run")
    assert house.run() == "success", "a hold is no failure"
    assert {name: run.status for name, run in house.states().items()} == {
        "file": "held",
        "mailer": "held",
        "all": "sent",
    }
    observe([], "another run")
    assert house.run() == "success"
    states = house.states()
    assert {run.status for run in states.values()} == {"sent"}
    assert states["all"].attempts == 1
    with house.store.session() as session:
        (apps,) = [audience for audience in library.list_audiences(session) if audience.name == "Apps"]
        newest, before = library.runs(session, apps.id, limit=2)
    assert (newest.stayed + newest.left_count, newest.published_version) == (
        before.size,
        states["file"].published_version,
    )


def test_killed_while_it_sends_it_goes_on(house: House, first: dict[str, ExportRun]) -> None:
    publish_world(house.settings, persons=600, seed=3)
    house.receiver.taken.clear()
    house.receiver.seconds = 0.15
    begun = house.receiver.requests
    house.start().kill_when(lambda chain: house.receiver.requests >= begun + 3)
    house.receiver.seconds = 0.0
    assert house.states()["mailer"].status == "sending"
    assert house.run() == "success"
    run = house.states()["mailer"]
    persons = [person for batch in house.receiver.taken.values() for person in batch]
    assert (run.status, run.attempts) == ("sent", 2)
    assert len(persons) == len(set(persons)) == run.rows
    assert set(persons) <= house.allowed()


def test_one_broken_definition_fails_the_run_and_keeps_nobody_back(house: House, first: dict[str, ExportRun]) -> None:
    publish_world(house.settings, persons=600, seed=4)
    with house.store.transaction() as session:
        library.save(session, BROKEN, "Old", by="ana")
    assert house.run() == "failed"
    assert {run.status for run in house.states().values()} == {"sent"}
    states = dict(
        airflow_rows(
            house.settings,
            "select task_id, state from task_instance where dag_id = 'run_audiences' order by start_date desc limit 2",
        )
    )
    assert states == {"members": "failed", "send": "success"}
    with book.open_book(house.settings.alert_book) as opened:
        (incident,) = book.open_incidents(opened)
    assert incident.scope == "task run_audiences.members"
