"""The alert book: an incident from its first run to its last, and mails that wait until they are sent."""

import multiprocessing
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from tagloom.alerting.book import (
    Finding,
    acknowledge,
    add_alert,
    add_delivery,
    last_digest,
    note_attempt,
    observe,
    open_book,
    open_incidents,
    recipients_told,
    untold_warnings,
    waiting,
)

NOON = datetime(2017, 12, 31, 12, tzinfo=UTC)
DAY = timedelta(hours=24)
FAILED = Finding("cards.yml: There are cards", "check", "failed", "There are cards", "loyalty@example.com", "raw.cards")
WARNED = Finding("lines.yml: As many lines as usual", "check", "warning", "As many lines as usual")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "alerts.sqlite"


def look(path, *findings: Finding, run: str = "run-1", at: datetime = NOON, scope: str = "landing"):
    with open_book(path) as book:
        return observe(book, scope, findings, run, at, DAY)


def tell(path, incidents, at: datetime = NOON, recipient: str = "data@example.com", kind: str = "failure") -> int:
    with open_book(path) as book:
        alert = add_alert(book, kind, "failed", "[Tagloom]", ("build_tags", "landing", "run-1"), incidents, at)
        add_delivery(book, alert, "mail", recipient, f"<{alert}@tagloom>", b"mail", at)
        return alert


def test_what_is_found_first_is_opened_and_then_known_until_it_is_gone(path):
    first = look(path, FAILED)
    assert [incident.finding for incident in first.opened] == [FAILED]
    tell(path, first.opened)
    second = look(path, FAILED, run="run-2", at=NOON + timedelta(hours=1))
    assert ([*second.opened, *second.due_again, *second.resolved], second.known[0].runs_seen) == ([], 2)
    third = look(path, run="run-3")
    assert [incident.incident_id for incident in third.resolved] == [first.opened[0].incident_id]
    assert look(path, run="run-4").resolved == ()


def test_what_comes_back_is_a_new_incident(path):
    tell(path, look(path, FAILED).opened)
    look(path, run="run-2")
    again = look(path, FAILED, run="run-3")
    assert [incident.incident_id for incident in again.opened] == [2]


def test_the_same_run_counts_once_however_often_it_looks(path):
    look(path, FAILED)
    look(path, FAILED)
    with open_book(path) as book:
        assert open_incidents(book)[0].runs_seen == 1


def test_a_scope_knows_nothing_of_another(path):
    look(path, FAILED)
    assert look(path, scope="staging").resolved == ()
    with open_book(path) as book:
        assert len(open_incidents(book, "landing")) == 1


@pytest.mark.parametrize(("hours", "is_due"), [(23.9, False), (24, True)])
def test_it_is_told_again_when_nobody_was_told_for_so_long(path, hours, is_due):
    tell(path, look(path, FAILED).opened)
    again = look(path, FAILED, run="run-2", at=NOON + timedelta(hours=hours))
    assert bool(again.due_again) == is_due


def test_what_somebody_works_on_is_not_told_again_but_its_end_is(path):
    tell(path, look(path, FAILED).opened)
    with open_book(path) as book:
        acknowledge(book, 1, "ann@example.com", "asked the team", NOON)
    assert look(path, FAILED, run="run-2", at=NOON + 3 * DAY).due_again == ()
    assert look(path, run="run-3").resolved[0].acknowledged_by == "ann@example.com"
    with pytest.raises(KeyError, match="no open incident 1"), open_book(path) as book:
        acknowledge(book, 1, "ann@example.com", "", NOON)


def test_a_warning_that_becomes_a_failure_is_told_at_once(path):
    tell(path, look(path, WARNED).opened)
    worse = Finding(WARNED.subject, "check", "failed", WARNED.sentence)
    assert [incident.finding.severity for incident in look(path, worse, run="run-2").opened] == ["failed"]


def test_what_was_never_told_is_told_with_the_next_look(path):
    look(path, FAILED)
    assert len(look(path, FAILED, run="run-2").opened) == 1


def test_warnings_wait_for_the_digest(path):
    warned = look(path, WARNED, FAILED).opened
    with open_book(path) as book:
        assert [incident.finding for incident in untold_warnings(book)] == [WARNED]
        assert last_digest(book) is None
    tell(path, [incident for incident in warned if incident.finding == WARNED], kind="digest")
    with open_book(path) as book:
        assert untold_warnings(book) == []
        assert last_digest(book) == NOON


def test_the_book_knows_who_was_told_of_what(path):
    incidents = look(path, FAILED, WARNED).opened
    tell(path, incidents)
    tell(path, incidents[:1], recipient="loyalty@example.com")
    with open_book(path) as book:
        assert recipients_told(book, incidents) == {
            ("mail", "data@example.com"): [1, 2],
            ("mail", "loyalty@example.com"): [1],
        }


def test_a_delivery_waits_until_it_is_due_and_until_it_is_taken(path):
    tell(path, look(path, FAILED).opened, at=NOON)
    with open_book(path) as book:
        assert waiting(book, NOON - timedelta(seconds=1)) == []
        delivery = waiting(book, NOON)[0]
        note_attempt(book, delivery.delivery_id, NOON, "the mail server is down")
        assert [waits.attempts for waits in waiting(book, NOON)] == [1]
        note_attempt(book, delivery.delivery_id, NOON)
        assert waiting(book, NOON) == []


def test_the_same_mail_is_queued_once(path):
    alert = tell(path, look(path, FAILED).opened)
    with open_book(path) as book:
        assert not add_delivery(book, alert, "mail", "data@example.com", f"<{alert}@tagloom>", b"again", NOON)
        assert [delivery.content for delivery in waiting(book, NOON)] == [b"mail"]


def test_an_error_leaves_neither_incident_nor_mail(path):
    def fail():
        with open_book(path) as book:
            incidents = observe(book, "landing", [FAILED], "run-1", NOON, DAY).opened
            add_alert(book, "failure", "failed", "[Tagloom]", ("d", "t", "r"), incidents, NOON)
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fail()
    with open_book(path) as book:
        assert open_incidents(book) == []
        assert book.execute("select count(*) from alerts").fetchall() == [(0,)]


def _look_many_times(path, number: int) -> None:
    for run in range(10):
        look(path, FAILED, scope=f"scope {number}", run=f"run-{run}")


def test_several_processes_write_at_the_same_time(path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_look_many_times, args=(path, number)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    with open_book(path) as book:
        assert [incident.runs_seen for incident in open_incidents(book)] == [10, 10, 10]


def test_a_scope_has_one_open_incident_of_a_subject(path):
    look(path, FAILED)
    with pytest.raises(sqlite3.IntegrityError), open_book(path) as book:
        book.execute(
            "insert into incidents select 99, scope, subject, kind, severity, sentence, owner, table_name, "
            "opened_at, opened_run, last_seen_at, last_seen_run, runs_seen, null, null, null, null, null, null "
            "from incidents"
        )
