"""Holds: what an open incident keeps from being used, and how somebody releases it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tagloom.__main__ import main
from tagloom.alerting import holds
from tagloom.alerting.book import Finding, note_dependents, observe, open_book, read_book
from tagloom.alerting.holds import HoldError, holds_for, open_holds, override, overrides, stale_tags

NOON = datetime(2017, 12, 31, 12, tzinfo=UTC)
CARDS = Finding("cards", "check", "failed", "There are cards", "loyalty@example.com", "raw_loyalty.cards")
HELD = {
    "tag": ["age_band", "gender"],
    "audience": ["audience_birthday_next_month"],
    "table": ["raw_loyalty.cards", "staging.stg_loyalty__cards"],
}


def look(settings, *findings: Finding, run: str = "run-1", scope: str = "landing", at: datetime = NOON) -> None:
    """One look at a scope; what it finds holds HELD."""
    with open_book(settings.alert_book) as book:
        seen = observe(book, scope, findings, run, at, timedelta(days=1))
        for incident in seen.opened:
            note_dependents(book, incident.incident_id, HELD)


def test_nothing_is_held_without_a_book_and_none_is_made(settings):
    assert (open_holds(settings), stale_tags(settings), holds_for(settings, ["age_band"])) == ([], {}, [])
    assert overrides(settings) == []
    assert not settings.alert_book.exists()


def test_a_failed_check_holds_what_depends_on_its_table(settings):
    look(settings, CARDS)
    (hold,) = open_holds(settings)
    assert (hold.table, hold.since, hold.tags) == ("raw_loyalty.cards", NOON, {"age_band", "gender"})
    assert hold.reason == "A check failed: There are cards"
    assert {tag: [hold.incident_id for hold in found] for tag, found in stale_tags(settings).items()} == {
        "age_band": [1],
        "gender": [1],
    }


@pytest.mark.parametrize(
    ("tags", "tables", "subject", "is_held"),
    [
        (["age_band", "rfm_segment"], [], "audience:1", True),
        (["rfm_segment"], [], "audience:1", False),
        ([], ["staging.stg_loyalty__cards"], "export:1", True),
        ([], ["raw_loyalty.cards"], "", True),
        ([], ["serving.person_events"], "export:1", False),
        ([], [], "audience_birthday_next_month", True),
        ([], [], "audience_dormant_big_spenders", False),
        ([], [], "", False),
        ([], [""], "", False),
    ],
)
def test_what_is_hit(settings, tags, tables, subject, is_held):
    look(settings, CARDS)
    assert bool(holds_for(settings, tags, tables, subject)) == is_held


def test_a_table_is_no_subject(settings):
    look(settings, CARDS)
    assert holds_for(settings, [], [], "raw_loyalty.cards") == []


def test_a_warning_holds_nothing_and_what_becomes_worse_does(settings):
    look(settings, replace(CARDS, severity="warning"))
    assert open_holds(settings) == []
    look(settings, CARDS, run="run-2")
    assert len(open_holds(settings)) == 1


def test_the_end_of_the_incident_is_the_end_of_the_hold(settings):
    look(settings, CARDS)
    look(settings, run="run-2")
    assert open_holds(settings) == []


def test_one_subject_is_released_and_it_is_noted(settings):
    look(settings, CARDS)
    look(settings, Finding("task", "task", "failed", "landing of crm", table="raw_crm.*"), scope="task")
    assert override(settings, "audience:1", "the legal notice must go out", "ann") == 2
    assert holds_for(settings, ["age_band"], subject="audience:1") == []
    assert len(holds_for(settings, ["age_band"], subject="audience:2")) == 2
    assert [(one.subject, one.incident_id, one.because, one.by) for one in overrides(settings)] == [
        ("audience:1", number, "the legal notice must go out", "ann") for number in (2, 1)
    ]


def test_released_twice_is_noted_once(settings):
    look(settings, CARDS)
    assert [override(settings, "audience:1", "x", "ann") for _ in range(2)] == [1, 0]
    assert len(overrides(settings)) == 1


def test_a_later_incident_holds_it_again(settings):
    look(settings, CARDS)
    override(settings, "audience:1", "x", "ann")
    look(settings, run="run-2")
    look(settings, CARDS, run="run-3")
    assert [hold.incident_id for hold in holds_for(settings, ["age_band"], subject="audience:1")] == [2]


@pytest.mark.parametrize(("subject", "because", "by"), [(" ", "x", "ann"), ("audience:1", "", "ann"), ("a", "x", "")])
def test_a_release_says_who_what_and_why(settings, subject, because, by):
    with pytest.raises(HoldError, match="A release needs a"):
        override(settings, subject, because, by)


def test_readers_do_not_wait_for_a_writer(settings):
    look(settings, CARDS)
    with open_book(settings.alert_book) as book:
        book.execute("update incidents set resolved_at = opened_at")
        assert len(open_holds(settings)) == 1
    assert open_holds(settings) == []


def test_readers_cannot_write(settings):
    look(settings, CARDS)
    with read_book(settings.alert_book) as book, pytest.raises(Exception, match="readonly"):
        book.execute("delete from overrides")


def test_a_book_of_an_older_version_gets_the_new_tables(settings):
    look(settings, CARDS)
    with open_book(settings.alert_book) as book:
        book.execute("drop table overrides")
        book.execute("drop table incident_dependents")
    assert (open_holds(settings), overrides(settings)) == ([], [])


def test_users_of_tags_without_a_portal(settings):
    assert holds.users_of_tags(settings, []) == []
    assert holds.users_of_tags(settings, ["age_band"]) == []


def test_the_commands(settings, capsys):
    assert main(["alerts", "holds"]) == 0
    assert capsys.readouterr().out == "Nothing is held.\n"
    look(settings, CARDS)
    main(["alerts", "holds"])
    shown = capsys.readouterr().out
    for fact in ("Incident 1, since 2017-12-31 12:00 UTC", "There are cards", "age_band, gender", "birthday"):
        assert fact in shown
    assert "staging.stg_loyalty__cards" not in shown
    assert main(["alerts", "release", "audience:1", "--because", "legal notice", "--by", "ann"]) == 0
    assert "released from 1 incident" in capsys.readouterr().out
    main(["alerts", "holds", "--released"])
    assert "legal notice" in capsys.readouterr().out
    assert main(["alerts", "release", "audience:1", "--because", " ", "--by", "ann"]) == 1
    assert "A release needs a reason" in capsys.readouterr().err
