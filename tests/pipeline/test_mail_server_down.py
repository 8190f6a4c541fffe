"""A mail server that is down for whole runs, in which things break and are repaired: later each mail comes once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from email.message import EmailMessage

import pytest
from tagloom.alerting.book import open_book
from tagloom.settings import PROJECT
from tagloom.sources import load_sources

from sample_data.landing import last_local_day
from tests.pipeline.broken_world import MINUTES, busy_world, copy_project, mail_server
from tests.pipeline.conftest import SENDER, free_port, settings_of
from tests.pipeline.dag_runs import Server
from tests.pipeline.ways_to_break import DAYS, Stage, land_everything, nulls_in_a_key, unit_change

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

EXPECTED = [
    "FAILED: landing of support",
    "WELL AGAIN: landing of support",
    "FAILED: checks of landing",
    "WELL AGAIN: checks of landing",
]
"""What is told, in this order: the team of the system and those who hear of everything each get all of theirs."""


@dataclass(frozen=True)
class Silence:
    """What came of the runs."""

    down: list[dict]
    """Steps while the mail server was down."""
    up: list[dict]
    """Steps after that: send_alerts twice."""
    mails: list[EmailMessage]
    stage: Stage


@pytest.fixture(scope="module")
def silence(tmp_path_factory: pytest.TempPathFactory) -> Silence:
    """Two things break and are repaired while nobody answers; then the server is there, and send_alerts runs twice."""
    folder = tmp_path_factory.mktemp("silence")
    project, world, sources = copy_project(folder / "project"), busy_world(DAYS), load_sources(PROJECT / "sources")
    stage = Stage(folder / "home", project, world, last_local_day(world), sources)
    server = Server(folder, project)
    nobody = f"smtp://127.0.0.1:{free_port()}/?from={SENDER}"
    send = {"dag": "send_alerts", "conf": {}, "part": "up"}
    try:
        with mail_server() as (box, url):
            steps = [
                *land_everything(stage),
                *({**step, "part": "down"} for step in (*nulls_in_a_key(stage), *unit_change(stage))),
                {"variables": {"TAGLOOM_SMTP_URL": url}},
                send,
                send,
            ]
            results = server.start(stage.home, "silence", steps, TAGLOOM_SMTP_URL=nobody).wait(MINUTES * 60)
    finally:
        server.close()
    parts = [[step for step in results if step.get("part") == part and "dag" in step] for part in ("down", "up")]
    return Silence(*parts, box.mails, stage)


def test_mails_wait_while_the_server_is_down(silence: Silence) -> None:
    waiting = [step["waiting_mails"] for step in silence.down]
    assert waiting == sorted(waiting)
    assert waiting[-1] == 2 * len(EXPECTED)
    assert {step["state"] for step in silence.down} == {"success", "failed"}, "a dead mail server fails nothing itself"


def test_each_mail_comes_once_and_in_order(silence: Silence) -> None:
    told = [(mail["To"], " ".join(mail["Subject"].split())) for mail in silence.mails]
    for recipient, titles in (
        ("data-team@example.com", EXPECTED),
        ("service@example.com", EXPECTED[:2]),
        ("stores@example.com", EXPECTED[2:]),
    ):
        subjects = [subject for to, subject in told if to == recipient]
        assert [title for subject, title in zip(subjects, titles, strict=True) if title in subject] == titles
    assert Counter(mail["Message-ID"] for mail in silence.mails).most_common(1)[0][1] == 1


def test_nothing_waits_any_more(silence: Silence) -> None:
    assert [(step["state"], step["waiting_mails"]) for step in silence.up] == [("success", 0)] * 2
    with open_book(settings_of(silence.stage.home).alert_book) as book:
        assert book.execute("select count(*), count(sent_at) from deliveries").fetchall() == [(8, 8)]
