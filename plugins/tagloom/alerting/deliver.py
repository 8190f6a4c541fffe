"""Sends what waits in the alert book. A server that is down loses nothing: what it did not take goes on waiting."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tagloom.alerting.book import Delivery, note_attempt, open_book, waiting
from tagloom.alerting.mail_server import MailServer, NotTakenError, conversation
from tagloom.alerting.routing import MAIL, Routing
from tagloom.alerting.webhooks import post


@dataclass(frozen=True)
class Delivered:
    """What became of what waited."""

    sent: int = 0
    kept: int = 0
    """Not taken; they wait for the next time."""
    problems: tuple[str, ...] = ()
    """Why, one sentence each."""


def deliver(path: Path, server: MailServer | None, routing: Routing, now: datetime) -> Delivered:
    """Hand over everything that is due, oldest first.

    One at a time: a second one waits. A delivery is noted as sent as soon as its server has taken it;
    only a crash between these two moments sends one again, with the same Message-ID. Never raises for a server that
    fails. Without a mail server mails wait.
    """
    with _one_at_a_time(path.with_suffix(".lock")), ExitStack() as stack:
        with open_book(path) as book:
            due = waiting(book, now)
        hand_in = stack.enter_context(conversation(server)).hand_in if server else None
        sent, problems, down = 0, [], set()
        for delivery in due:
            if delivery.channel in down:
                continue
            problem = ""
            try:
                _hand_over(delivery, hand_in, routing)
            except NotTakenError as error:
                problem = f"{delivery.recipient}: {error}"
                if error.is_down:
                    down.add(delivery.channel)
            with open_book(path) as book:
                note_attempt(book, delivery.delivery_id, now, problem)
            if problem:
                problems.append(problem)
            else:
                sent += 1
    return Delivered(sent, len(due) - sent, tuple(problems))


def _hand_over(delivery: Delivery, hand_in: Callable[[bytes], None] | None, routing: Routing) -> None:
    if delivery.channel == MAIL:
        if hand_in is None:
            raise NotTakenError("there is no mail server; set TAGLOOM_SMTP_URL", is_down=True)
        hand_in(delivery.content)
        return
    webhook = routing.webhooks.get(delivery.channel)
    if webhook is None:
        raise NotTakenError("alerts/routing.yml has no such webhook any more", is_down=True)
    post(webhook, delivery.content)


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """Wait for who sends now: what it has read must not be sent twice. The lock goes with the process that holds it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
