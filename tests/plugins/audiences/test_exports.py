"""Exports: what is sent to files, webhooks and tables, who is left out, what is held, and that it is sent once."""

from __future__ import annotations

import csv
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType

import duckdb
import pytest
import sqlalchemy
from sqlalchemy.orm import Session
from tagloom.alerting import book, holds
from tagloom.audiences import export_book, exports, library, runs
from tagloom.audiences.export_book import ExportError
from tagloom.audiences.library import SavedAudience
from tagloom.audiences.locks import only_one
from tagloom.portal.serving import Serving, Snapshot
from tagloom.portal.store.audiences import Export, ExportRun
from tagloom.portal.store.base import now, open_store
from tagloom.settings import Settings

from tests.plugins.audiences.conftest import a_definition, has
from tests.portal.test_store import postgres as postgres


@dataclass
class Receiver:
    """A real server that takes batches."""

    address: str = ""
    requests: list[tuple[str, dict]] = field(default_factory=list)
    """(Idempotency-Key, content) of every request, refused ones too."""
    answers: list[int] = field(default_factory=list)
    """Status of the next requests; 200 when there is none left."""

    @property
    def taken(self) -> dict[str, dict]:
        """Key -> content, as a receiver that knows keys would keep them."""
        return dict(self.requests)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["content-length"])))
            found.requests.append((self.headers["idempotency-key"], content))
            self.send_response(found.answers.pop(0) if found.answers else 200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.address = f"http://127.0.0.1:{server.server_port}/hook?token=secret"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("TAGLOOM_EXPORT_WEBHOOK_MAILER", found.address)
    monkeypatch.setattr("tagloom.audiences.webhook.FIRST_WAIT_SECONDS", 0.01)
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def apps(store: Session) -> SavedAudience:
    saved = library.save(store, a_definition(has("has_app")), "Apps", by="ana", folder="spring")
    store.commit()
    return saved


def an_export(store: Session, snapshot: Snapshot, audience: SavedAudience, **more: object) -> Export:
    given = {"name": "Weekly file", "target": "csv", "columns": ["rfm_segment"], "schedule": "each_publish"}
    export = export_book.save_export(
        store, audience.id, **({"config": {}, "owner": "mia", "tags": snapshot.tags} | given | more)
    )
    store.commit()
    return export


def persons_with(snapshot: Snapshot, condition: str) -> set[int]:
    rows = snapshot.rows(f"select person_id from tag_integration.person_tags where {condition}")
    return {row["person_id"] for row in rows}


def lines(settings: Settings, run: ExportRun) -> list[dict]:
    with exports.export_file(settings, run).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def an_incident(settings: Settings, tags: list[str], tables: list[str] = ()) -> None:
    """Open an incident that makes tags and tables stale, as a failed check does."""
    finding = book.Finding(
        "a check", "check", "failed", "There are orders of the day", "a@example.com", "intermediate.x"
    )
    with book.open_book(settings.alert_book) as opened:
        observed = book.observe(opened, "scope", [finding], "run", datetime.now(UTC), timedelta(days=1))
        for incident in observed.opened:
            opened.executemany(
                "insert into incident_dependents (incident_id, kind, name) values (?, ?, ?)",
                [(incident.incident_id, "tag", tag) for tag in tags]
                + [(incident.incident_id, "table", table) for table in tables],
            )


def the_incident_ends(settings: Settings) -> None:
    with book.open_book(settings.alert_book) as opened:
        book.observe(opened, "scope", [], "run 2", datetime.now(UTC), timedelta(days=1))


def test_a_csv_has_the_members_and_a_manifest(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience
) -> None:
    export = an_export(store, snapshot, apps, columns=["rfm_segment", "spend_365d"])
    run = exports.run_export(home, snapshot, export.id)
    sent = lines(home, run)
    expected = persons_with(snapshot, "has_app and not coalesce(do_not_promote, false)")
    assert run.status == "sent", run.reason
    assert list(sent[0]) == ["person_id", "rfm_segment", "spend_365d"]
    assert {int(line["person_id"]) for line in sent} == expected
    assert run.rows == len(expected)
    assert run.withheld == len(persons_with(snapshot, "has_app")) - len(expected)
    folder = exports.export_file(home, run).parent
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["rows"] == run.rows
    assert manifest["audience"] == "spring/Apps"
    assert manifest["published_version"] == snapshot.name
    assert set(manifest["files"]) == {f"weekly-file-{snapshot.as_of_date}.csv"}


def test_it_is_sent_once_per_version(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience, publish_second
) -> None:
    export = an_export(store, snapshot, apps)
    first = exports.run_due_exports(home, snapshot)
    written = exports.export_file(home, first[0]).stat().st_mtime_ns
    assert exports.run_due_exports(home, snapshot) == []
    again = exports.run_export(home, snapshot, export.id)
    assert (again.id, again.attempts) == (first[0].id, 1)
    assert exports.export_file(home, again).stat().st_mtime_ns == written
    newer = exports.run_due_exports(home, publish_second())
    assert [run.status for run in newer] == ["sent"]
    assert newer[0].published_version != first[0].published_version


@pytest.mark.parametrize(
    ("schedule", "days", "expected"),
    [
        ("each_publish", 0, True),
        ("daily", 0, False),
        ("daily", 1, True),
        ("weekly", 6, False),
        ("weekly", 7, True),
        ("once", 30, False),
    ],
)
def test_when_an_export_is_due(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience, schedule: str, days: int, expected: bool
) -> None:
    export = an_export(store, snapshot, apps, schedule=schedule)
    assert export_book.is_due(store, export, snapshot.name, snapshot.as_of_date)
    exports.run_export(home, snapshot, export.id)
    later = snapshot.as_of_date + timedelta(days=days)
    assert export_book.is_due(store, export, "20180131-0000000a", later) is expected
    export.active = False
    assert not export_book.is_due(store, export, "20180131-0000000a", later)


def test_parquet_keeps_types(home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience) -> None:
    export = an_export(store, snapshot, apps, target="parquet", columns=["spend_365d", "last_order_date", "has_app"])
    run = exports.run_export(home, snapshot, export.id)
    file = str(exports.export_file(home, run))
    types = [row[1] for row in duckdb.execute("describe from read_parquet(?)", [file]).fetchall()]
    assert types == ["BIGINT", "DECIMAL(14,2)", "DATE", "BOOLEAN"]
    assert duckdb.execute("select count(*) from read_parquet(?)", [file]).fetchall() == [(run.rows,)]


def test_those_held_out_are_kept_and_parts_are_a_column(home: Settings, snapshot: Snapshot, store: Session) -> None:
    parts = [{"name": "=A", "percent": 50}, {"name": "B", "percent": 50}]
    audience = library.save(store, a_definition(holdout_percent=20, split={"parts": parts}), "Test", by="ana")
    export = an_export(store, snapshot, audience, columns=[], config={"purpose": "service"})
    run = exports.run_export(home, snapshot, export.id)
    sent = lines(home, run)
    kept = str(exports.export_file(home, run).parent / "holdout.parquet")
    held_out = {row[0] for row in duckdb.execute("select person_id from read_parquet(?)", [kept]).fetchall()}
    assert {line["part"] for line in sent} == {"'=A", "B"}
    assert len(held_out) == run.held_out > 0
    assert held_out.isdisjoint(int(line["person_id"]) for line in sent)
    assert run.rows + run.held_out == snapshot.persons
    assert run.withheld == 0


def test_consent_and_objections_rule_whatever_the_audience_says(
    home: Settings, snapshot: Snapshot, store: Session
) -> None:
    everybody = library.save(store, a_definition(), "Everybody", by="ana")
    export = an_export(store, snapshot, everybody, config={"channel": "email"})
    run = exports.run_export(home, snapshot, export.id)
    sent = {int(line["person_id"]) for line in lines(home, run)}
    assert sent == persons_with(snapshot, "is_email_reachable and not do_not_promote")
    assert run.withheld == snapshot.persons - len(sent)
    service = an_export(store, snapshot, everybody, name="Recall", config={"channel": "sms", "purpose": "service"})
    run = exports.run_export(home, snapshot, service.id)
    assert {int(line["person_id"]) for line in lines(home, run)} == persons_with(snapshot, "is_phone_reachable")


def test_nothing_is_sent_when_consent_cannot_be_known(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience
) -> None:
    export = an_export(store, snapshot, apps)
    without = {name: tag for name, tag in snapshot.tags.items() if name != "do_not_promote"}
    run = exports.run_export(home, replace(snapshot, objects={"person": without}), export.id)
    assert run.status == "failed"
    assert run.reason.startswith("The published version has no tag do_not_promote")
    assert run.file == ""
    # It is due again, and goes out when the tag is back.
    assert [again.status for again in exports.run_due_exports(home, snapshot)] == ["sent"]


def test_an_audience_of_nobody_is_suppressed(home: Settings, snapshot: Snapshot, store: Session) -> None:
    nobody = library.save(store, a_definition(has("do_not_promote")), "Objected", by="ana")
    export = an_export(store, snapshot, nobody)
    run = exports.run_export(home, snapshot, export.id)
    assert (run.status, run.rows, run.file) == ("suppressed", 0, "")
    assert run.withheld == len(persons_with(snapshot, "do_not_promote"))
    assert "have objected" in run.reason


def test_personal_data_only_for_owners_who_may_read_it(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience
) -> None:
    direct = replace(snapshot.tags["state"], personal_data="direct")
    changed = replace(snapshot, objects=MappingProxyType({"person": {**snapshot.tags, "state": direct}}))
    with pytest.raises(ExportError, match="state is personal data that you may not read"):
        an_export(store, changed, apps, columns=["state"])
    # The tag became personal data after the export was made.
    export = an_export(store, snapshot, apps, columns=["state", "rfm_segment"])
    masked = lines(home, exports.run_export(home, changed, export.id))
    assert {line["state"] for line in masked} == {""}
    assert {line["rfm_segment"] for line in masked} != {""}
    allowed = an_export(store, changed, apps, name="Steward", columns=["state"], config={"sees_personal": True})
    assert {line["state"] for line in lines(home, exports.run_export(home, changed, allowed.id))} != {""}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+41 44", "'+41 44"),
        ("-2", "'-2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("＝1", "'＝1"),
        ("plain", "plain"),
        ("it's = fine", "it's = fine"),
        ("", ""),
        (None, None),
    ],
)
def test_no_cell_is_a_formula(text: str | None, shown: str | None) -> None:
    assert duckdb.execute(f"select {exports.guarded('cell')} from (select ?::varchar as cell)", [text]).fetchall() == [
        (shown,)
    ]


def test_an_export_is_held_and_goes_out_when_all_is_well(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience
) -> None:
    export = an_export(store, snapshot, apps, columns=["rfm_segment"])
    other = an_export(store, snapshot, apps, name="Other", columns=[])
    an_incident(home, ["rfm_segment"])
    held, sent = exports.run_due_exports(home, snapshot), None
    held, sent = sorted(held, key=lambda run: run.status)
    assert (held.export_id, held.status, held.file) == (export.id, "held", "")
    assert "There are orders of the day" in held.reason
    assert (sent.export_id, sent.status) == (other.id, "sent")
    the_incident_ends(home)
    assert [run.status for run in exports.run_due_exports(home, snapshot)] == ["sent"]
    assert export_book.run_of(open_store(home).session(), export.id, snapshot.name).reason == ""


@pytest.mark.parametrize("subject", ["export", "audience"])
def test_a_release_lets_it_go(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience, subject: str
) -> None:
    export = an_export(store, snapshot, apps)
    an_incident(home, ["has_app"])
    assert exports.run_export(home, snapshot, export.id).status == "held"
    holds.override(home, f"{subject}:{export.id if subject == 'export' else apps.id}", "Looked at by hand", "sam")
    assert exports.run_export(home, snapshot, export.id).status == "sent"


def test_events_hold_too(home: Settings, snapshot: Snapshot, store: Session) -> None:
    bought = {"field": "event:purchase", "operator": "did", "value": {"at_least": 1}}
    audience = library.save(store, a_definition(bought), "Bought", by="ana")
    export = an_export(store, snapshot, audience)
    an_incident(home, [], ["serving.person_events"])
    assert exports.run_export(home, snapshot, export.id).status == "held"


def test_a_webhook_gets_every_person_once(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience, receiver: Receiver
) -> None:
    config = {"destination": "mailer", "batch_rows": 100}
    export = an_export(
        store, snapshot, apps, target="webhook", columns=["spend_365d", "last_order_date"], config=config
    )
    run = exports.run_export(home, snapshot, export.id)
    batches = [content for _, content in receiver.requests]
    persons = [person for batch in batches for person in batch["persons"]]
    assert run.status == "sent", run.reason
    assert [batch["batch"] for batch in batches] == list(range(1, -(-run.rows // 100) + 1))
    assert {person["person_id"] for person in persons} == persons_with(snapshot, "has_app and not do_not_promote")
    assert len(persons) == run.rows
    assert set(persons[0]) == {"person_id", "spend_365d", "last_order_date"}
    assert batches[0]["audience"] == "spring/Apps"
    exports.run_export(home, snapshot, export.id)
    assert len(receiver.requests) == len(batches)


def test_a_webhook_that_is_busy_is_tried_again_with_the_same_key(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience, receiver: Receiver
) -> None:
    receiver.answers = [503, 200, 429, 200]
    config = {"destination": "mailer", "batch_rows": 200}
    export = an_export(store, snapshot, apps, target="webhook", config=config)
    run = exports.run_export(home, snapshot, export.id)
    keys = [key for key, _ in receiver.requests]
    assert run.status == "sent"
    assert keys[0] == keys[1] != keys[2] == keys[3]
    assert sum(len(content["persons"]) for content in receiver.taken.values()) == run.rows


def test_a_run_goes_on_where_the_webhook_gave_up(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience, receiver: Receiver
) -> None:
    receiver.answers = [200, 500, 500, 500, 500]
    config = {"destination": "mailer", "batch_rows": 150}
    export = an_export(store, snapshot, apps, target="webhook", config=config)
    failed = exports.run_export(home, snapshot, export.id)
    assert failed.status == "failed"
    assert failed.reason == "The webhook answered 500 4 times; the next run goes on with batch 2."
    (sent,) = exports.run_due_exports(home, snapshot)
    assert (sent.status, sent.attempts) == ("sent", 2)
    first = next(iter(receiver.taken))
    assert [key for key, _ in receiver.requests].count(first) == 1
    assert sum(len(content["persons"]) for content in receiver.taken.values()) == sent.rows


def test_a_changed_export_does_not_go_on_but_begins_again(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience, receiver: Receiver
) -> None:
    receiver.answers = [200, 400]
    config = {"destination": "mailer", "batch_rows": 150}
    export = an_export(store, snapshot, apps, target="webhook", config=config)
    assert "answered 400 to batch 2" in exports.run_export(home, snapshot, export.id).reason
    an_export(store, snapshot, apps, target="webhook", config=config, columns=["state"], export_id=export.id)
    before = len(receiver.requests)
    run = exports.run_export(home, snapshot, export.id)
    after = [content for _, content in receiver.requests[before:]]
    assert sum(len(content["persons"]) for content in after) == run.rows
    assert "state" in after[0]["persons"][0]


def test_a_webhook_that_is_gone_does_not_show_its_address(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience, receiver: Receiver, monkeypatch
) -> None:
    export = an_export(store, snapshot, apps, target="webhook", config={"destination": "mailer"})
    monkeypatch.setenv("TAGLOOM_EXPORT_WEBHOOK_MAILER", "http://127.0.0.1:9/hook?token=secret")
    run = exports.run_export(home, snapshot, export.id)
    assert run.reason == "The webhook could not be reached (ConnectError) 4 times; the next run goes on with batch 1."
    monkeypatch.delenv("TAGLOOM_EXPORT_WEBHOOK_MAILER")
    assert exports.run_export(home, snapshot, export.id).reason.startswith("TAGLOOM_EXPORT_WEBHOOK_MAILER is not set")


def _send_forever(settings: Settings, export_id: int) -> None:
    exports.run_export(settings, Serving(settings).snapshot(), export_id)


def test_a_killed_webhook_run_leaves_no_gap_and_no_double(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience, receiver: Receiver
) -> None:
    config = {"destination": "mailer", "batch_rows": 5}
    export = an_export(store, snapshot, apps, target="webhook", config=config)
    process = get_context("fork").Process(target=_send_forever, args=(home, export.id))
    process.start()
    while len(receiver.requests) < 3:
        assert process.is_alive()
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert export_book.run_of(store, export.id, snapshot.name).status == "sending"
    (run,) = exports.run_due_exports(home, snapshot)
    persons = [person["person_id"] for content in receiver.taken.values() for person in content["persons"]]
    assert run.status == "sent"
    assert sorted(persons) == sorted(persons_with(snapshot, "has_app and not do_not_promote"))
    assert len(receiver.requests) <= len(receiver.taken) + 1


def test_two_never_send_the_same_export_at_once(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience
) -> None:
    export = an_export(store, snapshot, apps)
    lock = home.home / "exports" / str(export.id) / ".lock"
    with only_one(lock), pytest.raises(ExportError, match="being sent at this moment"):
        exports.run_export(home, snapshot, export.id, wait=False)
    assert exports.run_export(home, snapshot, export.id, wait=False).status == "sent"


def test_a_table_is_replaced_in_one_go(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience, publish_second, monkeypatch, tmp_path: Path
) -> None:
    address = f"sqlite:///{tmp_path / 'crm.sqlite'}"
    monkeypatch.setenv("TAGLOOM_EXPORT_DATABASE_CRM", address)
    config = {"destination": "crm", "table": "spring_apps"}
    columns = ["spend_365d", "last_order_date", "rfm_segment", "has_app"]
    export = an_export(store, snapshot, apps, target="table", columns=columns, config=config)
    assert exports.run_export(home, snapshot, export.id).status == "sent"
    newer = publish_second()
    run = exports.run_export(home, newer, export.id)
    engine = sqlalchemy.create_engine(address)
    with engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text("select * from spring_apps order by person_id")).mappings().all()
    assert [row["person_id"] for row in rows] == sorted(persons_with(newer, "has_app and not do_not_promote"))
    assert run.rows == len(rows)
    assert {row["published_version"] for row in rows} == {newer.name}
    assert date.fromisoformat(rows[0]["as_of_date"]) == newer.as_of_date
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table customers (person_id integer)"))
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("insert into customers values (1)"))
    config = {"destination": "crm", "table": "customers"}
    other = an_export(store, newer, apps, name="Other", target="table", columns=[], config=config)
    assert exports.run_export(home, newer, other.id).reason.startswith("The table customers was made by somebody else")
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("select count(*) from customers")).scalar_one() == 1
    engine.dispose()


def test_a_table_in_postgresql_keeps_its_types_and_is_never_half_there(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience, publish_second, postgres: str, monkeypatch
) -> None:
    monkeypatch.setenv("TAGLOOM_EXPORT_DATABASE_CRM", postgres)
    engine = sqlalchemy.create_engine(postgres.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create schema crm"))
    config = {"destination": "crm", "table": "crm.spring_apps"}
    columns = ["spend_365d", "last_order_date", "rfm_segment", "has_app", "orders_365d"]
    export = an_export(store, snapshot, apps, target="table", columns=columns, config=config)
    first = exports.run_export(home, snapshot, export.id)
    assert first.status == "sent", first.reason
    newer = publish_second()

    with engine.begin() as connection:
        only_old = f"alter table crm.spring_apps add constraint only_old check (published_version = '{snapshot.name}')"
        connection.execute(sqlalchemy.text(only_old))
    failed = exports.run_export(home, newer, export.id)
    assert failed.status == "failed"
    assert failed.reason.endswith('new row for relation "spring_apps" violates check constraint "only_old"')
    with engine.connect() as connection:
        counted = sqlalchemy.text("select count(*), min(published_version) from crm.spring_apps")
        assert connection.execute(counted).one() == (first.rows, snapshot.name), "what was there stays until all is new"
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("alter table crm.spring_apps drop constraint only_old"))
    run = exports.run_export(home, newer, export.id)
    with engine.connect() as connection:
        assert connection.execute(counted).one() == (run.rows, newer.name)
        types = sqlalchemy.text(
            "select data_type from information_schema.columns "
            "where table_name = 'spring_apps' order by ordinal_position"
        )
        assert connection.execute(types).scalars().all()[:6] == [
            *("bigint", "numeric", "date", "character varying", "boolean", "bigint")
        ]
    engine.dispose()


def test_a_database_that_is_gone_fails_without_telling_its_password(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience, monkeypatch
) -> None:
    address = "postgresql://crm:very-secret@127.0.0.1:9/crm?connect_timeout=2"
    monkeypatch.setenv("TAGLOOM_EXPORT_DATABASE_CRM", address)
    config = {"destination": "crm", "table": "spring_apps"}
    export = an_export(store, snapshot, apps, target="table", config=config)
    run = exports.run_export(home, snapshot, export.id)
    assert run.status == "failed"
    assert run.reason.startswith("The database crm did not take the rows: ")
    assert "very-secret" not in run.reason


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"target": "ftp"}, "'ftp' is no target"),
        ({"schedule": "hourly"}, "'hourly' is no schedule"),
        ({"columns": ["nothing"]}, "'nothing' is no published tag"),
        ({"columns": ["person_id"]}, "'person_id' is no published tag"),
        ({"columns": ['x" from sent; drop table members; --']}, "is no published tag"),
        ({"target": "webhook"}, "'nothing' is no destination of a webhook"),
        ({"target": "webhook", "config": {"destination": "http://10.0.0.1/"}}, "is no destination of a webhook"),
        ({"target": "table", "config": {"destination": "crm", "table": "x; drop table y"}}, "is no name of a table"),
        ({"config": {"path": "/etc/passwd"}}, "path: Extra inputs"),
        ({"name": "../../etc/cron.d/x"}, "has a slash"),
        ({"config": {"batch_rows": 0}}, "batch_rows: "),
    ],
)
def test_what_cannot_be_sent_is_refused_when_it_is_saved(
    snapshot: Snapshot, store: Session, apps: SavedAudience, monkeypatch, given: dict, sentence: str
) -> None:
    monkeypatch.setenv("TAGLOOM_EXPORT_DATABASE_CRM", "sqlite://")
    with pytest.raises(library.AudienceError, match=sentence.replace("(", r"\(")):
        an_export(store, snapshot, apps, **given)
    assert export_book.exports_of(store) == []


def test_files_outside_the_folder_are_never_given_out(home: Settings) -> None:
    run = ExportRun(export_id=1, published_version="x", file="../portal.sqlite", started_at=now())
    (home.home / "portal.sqlite").touch()
    assert exports.export_file(home, run) is None
    run.file = ""
    assert exports.export_file(home, run) is None


def test_the_same_name_twice_is_refused_and_free_after_deletion(
    snapshot: Snapshot, store: Session, apps: SavedAudience
) -> None:
    export = an_export(store, snapshot, apps)
    with pytest.raises(ExportError, match="already has an export Weekly file"):
        an_export(store, snapshot, apps)
    export_book.delete_export(store, export.id)
    assert an_export(store, snapshot, apps).id != export.id


def test_what_is_exported_is_what_was_materialised(
    home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience
) -> None:
    export = an_export(store, snapshot, apps, config={"purpose": "service"})
    run = exports.run_export(home, snapshot, export.id)
    (materialised,) = library.runs(store, apps.id)
    assert run.rows == materialised.size
    assert runs.members_file(home, materialised).exists()
