"""A delivery that is wrong stops what stands on it, leaves the published version in use and reaches people by mail."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from tagloom.alerting.book import open_book, open_incidents, waiting
from tagloom.publish import current_version

from tests.pipeline.conftest import INGESTS, SENDER, History, MailBox, airflow_rows, rows_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PAST, HALF_LANDED, HALF_BUILT, DOUBLED, REPAIRED, BUILT = range(len(INGESTS) + 1, len(INGESTS) + 7)
"""Places of the runs of `again` in its results."""


@pytest.fixture
def results(again: History) -> list[dict]:
    return [result for result in again.results if "dag" in result]


@pytest.fixture
def mails(again: History, mail_box: tuple[MailBox, str]) -> list[EmailMessage]:
    return mail_box[0].mails


def test_a_failed_check_stops_the_layers_above(again: History, results: list[dict]) -> None:
    assert results[HALF_LANDED]["state"] == "success", "half a card file is well-formed: only a check can find it"
    assert results[HALF_BUILT]["state"] == "failed"
    states = airflow_rows(
        again.settings,
        """
        select task_id, state from task_instance
        where dag_id = 'build_tags' and run_id = (
            select run_id from dag_run where dag_id = 'build_tags' and state = 'failed'
        )
        """,
    )
    assert dict(states).pop("landing") == "failed"
    assert {state for task, state in states if task != "landing"} <= {"upstream_failed", None}


def test_the_published_version_stays_in_use(results: list[dict]) -> None:
    assert results[HALF_BUILT]["version"] == results[DOUBLED]["version"] == results[PAST]["version"]


def test_each_recipient_gets_one_mail(again: History, mails: list[EmailMessage]) -> None:
    owners = rows_of(
        again.settings,
        "select distinct owner from operations.check_results where run_id = (select any_value(run_id) "
        "from operations.check_results where outcome = 'failed') and outcome in ('failed', 'not evaluated')",
    )
    expected = {"data-team@example.com", *(owner for (owner,) in owners)}
    assert {"loyalty@example.com", "research@example.com"} <= expected
    received = Counter(mail["To"] for mail in mails if "FAILED: checks of landing" in mail["Subject"])
    assert received == Counter(expected)


def test_the_mail_says_what_failed_and_what_to_do(mails: list[EmailMessage], results: list[dict]) -> None:
    (mail,) = (
        mail for mail in mails if "FAILED: checks of landing" in mail["Subject"] and mail["To"] == "loyalty@example.com"
    )
    assert mail["From"] == SENDER
    assert mail["Subject"].strip().startswith("[Tagloom] FAILED: checks of landing")
    assert "nothing new is published" in mail["Subject"]
    for text in (mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()):
        assert "The loyalty file knows the cards that are shown at the tills" in text
        assert "Ask the loyalty team whether their card file is complete" in text
        assert "loyalty@example.com" in text
        assert results[PAST]["version"] in text
    text = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert text.rstrip().endswith("as of 2017-01-11"), "the day that is built, although the run did not come far"
    measured = float(re.search(r"shown at the tills\n +Measured: +([\d.]+) %", text).group(1))
    assert 30 < measured < 70
    assert "Allowed:    at most 1 %" in text
    assert re.search(r"For example \d\d•+\d\d;", text)


def test_a_delivery_with_too_many_bad_rows_does_not_land(again: History, results: list[dict]) -> None:
    assert results[DOUBLED]["state"] == "failed"
    ((read, landed, quarantined, duplicates),) = rows_of(
        again.settings,
        "select rows_read, rows_landed, rows_quarantined, duplicates from operations.landing_log "
        "where source = 'loyalty' and status = 'stopped'",
    )
    cards = len(again.world["loyalty.cards"])
    assert (read, quarantined) == (cards + cards // 2, cards // 2)
    assert read == landed + quarantined + duplicates


def test_mails_wait_for_the_mail_server_and_arrive_once(
    again: History, results: list[dict], mails: list[EmailMessage]
) -> None:
    assert results[HALF_BUILT]["waiting_mails"] == 0
    assert results[DOUBLED]["waiting_mails"] == 2
    assert results[BUILT]["waiting_mails"] == 0
    late = [mail for mail in mails if "FAILED: landing of loyalty" in mail["Subject"]]
    assert Counter(mail["To"] for mail in late) == {"data-team@example.com": 1, "loyalty@example.com": 1}
    for mail in late:
        assert mail["Subject"].strip().startswith("[Tagloom] FAILED")
        text = mail.get_body(("plain",)).get_content()
        assert "36 of 108 rows are bad (33.3%), more than the tolerated" in text
        assert "repeats the primary key of another row with other content" in text
        assert "cards_2017-01-11.csv" in text
        assert "line 74" in text


def test_a_repaired_delivery_is_built_and_published(again: History, results: list[dict]) -> None:
    assert (results[REPAIRED]["state"], results[BUILT]["state"]) == ("success", "success")
    assert results[BUILT]["version"] == current_version(again.settings).name != results[PAST]["version"]


def test_who_heard_of_a_failure_hears_once_that_it_is_over(again: History, mails: list[EmailMessage]) -> None:
    with open_book(again.settings.alert_book) as book:
        # In the quiet hours of the night good news waits until the morning.
        waits = waiting(book, datetime.now(UTC) + timedelta(days=1))
        told = mails + [message_from_bytes(delivery.content, policy=policy.default) for delivery in waits]
        for thing in ("checks of landing", "landing of loyalty"):
            failed = Counter(mail["To"] for mail in mails if f"FAILED: {thing}" in mail["Subject"])
            well = Counter(mail["To"] for mail in told if f"WELL AGAIN: {thing}" in mail["Subject"])
            assert failed == well != Counter()
        assert [incident for incident in open_incidents(book) if incident.finding.severity == "failed"] == []


def test_no_mail_holds_personal_data(again: History, mails: list[EmailMessage]) -> None:
    assert mails
    secrets = {
        str(value)
        for column in ("card_number", "email", "phone", "surname", "street")
        for value in again.world["loyalty.cards"][column].dropna()
        if len(str(value)) >= 5
    }
    for mail in mails:
        text = mail["Subject"] + "".join(mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
        assert [secret for secret in secrets if re.search(rf"\b{re.escape(secret)}\b", text)] == []
