"""`tagloom alerts`: what is wrong, who was told, and that somebody works on it."""

from datetime import UTC, datetime, timedelta

import pytest
from tagloom.__main__ import main
from tagloom.alerting.book import Finding, add_alert, add_delivery, observe, open_book

NOON = datetime(2017, 12, 31, 12, tzinfo=UTC)
CARDS = Finding("cards", "check", "failed", "There are cards", "loyalty@example.com", "raw_loyalty.cards")


@pytest.fixture
def told(settings):
    with open_book(settings.alert_book) as book:
        incidents = observe(book, "checks of landing", [CARDS], "run-1", NOON, timedelta(days=1)).opened
        alert = add_alert(book, "failure", "failed", "[Tagloom]", ("build_tags", "landing", "run-1"), incidents, NOON)
        add_delivery(book, alert, "mail", "loyalty@example.com", "<1@tagloom>", b"mail", NOON)
    return settings


def test_nothing_is_wrong_in_a_new_home(capsys):
    assert main(["alerts", "list"]) == 0
    assert capsys.readouterr().out == "Nothing is wrong.\n"


def test_what_is_wrong_is_listed_with_what_waits(told, capsys):
    main(["alerts", "list"])
    shown = capsys.readouterr().out
    for fact in ("There are cards", "raw_loyalty.cards", "2017-12-31 12:00", "1 mail or message waits"):
        assert fact in shown


def test_one_incident_says_who_was_told(told, capsys):
    main(["alerts", "show", "1"])
    shown = capsys.readouterr().out
    for fact in ("checks of landing", "run-1", "failure", "loyalty@example.com"):
        assert fact in shown


def test_somebody_works_on_it(told, capsys):
    assert main(["alerts", "acknowledge", "1", "--because", "asked the team", "--by", "ann"]) == 0
    main(["alerts", "show", "1"])
    shown = capsys.readouterr().out
    assert "asked the team" in shown
    assert "ann" in shown


def test_what_has_ended_is_shown_on_demand(told, capsys):
    with open_book(told.alert_book) as book:
        observe(book, "checks of landing", [], "run-2", NOON + timedelta(hours=3), timedelta(days=1))
    main(["alerts", "list"])
    assert "Nothing is wrong." in capsys.readouterr().out
    main(["alerts", "list", "--all"])
    assert "2017-12-31T15:00" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["show", "7"], ["acknowledge", "7", "--because", "x"]])
def test_an_incident_that_is_none(arguments, capsys):
    assert main(["alerts", *arguments]) == 1
    assert "incident 7" in capsys.readouterr().err


def test_the_rules_are_explained(capsys):
    assert main(["alerts", "check"]) == 0
    assert "Everything goes to data-team@example.com, and to owners what is theirs." in capsys.readouterr().out
