"""Alert mails: one per run and recipient, which say what failed, how badly, what depends on it, who acts and how."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from email.message import EmailMessage
from email.utils import formatdate
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from tagloom.lineage import BY_IDENTITY, Dependents
from tagloom.mail import POLICY, message_id

if TYPE_CHECKING:
    # Every task loads this module; the contracts behind it would cost each of them a quarter of its start.
    from tagloom.quality import CheckResult

TEMPLATES = Path(__file__).parent / "templates" / "mail"

SHOWN_NAMES = 12
"""Of a long list of tags or audiences a mail names so many and counts the others."""


@dataclass(frozen=True)
class Alert:
    """What is wrong in one run: checks that found something, a task that failed, or deliveries that have changed."""

    run_id: str
    as_of_date: date
    dag_id: str
    task_id: str
    title: str
    """The thing, as people call it, for example `staging of loyalty cards`."""
    results: tuple[CheckResult, ...] = ()
    """Every result of the checks, the passed ones too: they are counted."""
    consequence: str = ""
    """What does not happen because of it, for example `tags of 2017-12-31 not published`."""
    exception: str = ""
    """What a task that failed says; empty when checks are the reason."""
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """<schema>.<table> -> sentences about what has changed in its deliveries, although they could be used."""
    owner: str = ""
    """Who acts when no check names an owner; empty for the default recipients."""
    what_to_do: str = ""
    """The cure when no check names one."""
    impact: dict[str, Dependents] = field(default_factory=dict)
    """<schema>.<table> -> what depends on it."""
    in_use: str = ""
    """What people see meanwhile, for example `Version 2017-12-30-1 (tags of 2017-12-30) stays in use.`"""
    once: str = ""
    """The same mail is not sent again while this stays the same; empty: for each run."""
    links: dict[str, str] = field(default_factory=dict)
    """Text -> address, such as the task log. Only http and https become links."""

    @property
    def found(self) -> tuple[CheckResult, ...]:
        """What did not pass: failed first, then not evaluated, then warned."""
        order = ("failed", "not evaluated", "warned")
        worst = [result for result in self.results if result.outcome in order]
        return tuple(sorted(worst, key=lambda result: (order.index(result.outcome), result.table, result.name)))

    @property
    def stopping(self) -> tuple[CheckResult, ...]:
        """What keeps the layers above from being built."""
        return tuple(result for result in self.found if result.stops)

    @property
    def severity(self) -> str:
        """FAILED or WARNING."""
        return "FAILED" if self.exception or self.stopping else "WARNING"

    @property
    def size(self) -> str:
        """How much is wrong, for example `1 check of 14`; empty for a task that failed by itself."""
        if self.warnings:
            return _count(sum(len(sentences) for sentences in self.warnings.values()), "changes")
        counted = len(self.stopping) or len(self.found)
        total = len(self.results)
        return f"{_count(counted, 'checks')} of {total}" if counted else ""

    @property
    def subject(self) -> str:
        """Severity, thing, size, consequence."""
        thing = f"{self.title}, {self.size}" if self.size else self.title
        return f"[Tagloom] {self.severity}: {thing}" + (f" - {self.consequence}" if self.consequence else "")


@dataclass(frozen=True)
class Cause:
    """The checks of one table that did not pass, what has changed in it, and what stands on that table."""

    table: str
    results: tuple[CheckResult, ...]
    warnings: tuple[str, ...]
    lists: tuple[tuple[str, tuple[str, ...], int], ...]
    """How many of what (`20 tags`, `1 report`), the first names, how many are not named."""
    note: str


def alert_messages(alert: Alert, default_recipients: Iterable[str], sender: str) -> list[EmailMessage]:
    """Write one mail per recipient: default recipients get everything, owners of checks get what is theirs.

    Returns no mail when nothing is wrong. Message-IDs follow from run, recipient and subject, so that a retried task
    that fails in the same way makes the same mails (see `tagloom.mail.queue`).
    """
    if not alert.found and not alert.exception and not alert.warnings:
        return []
    everything = {_address(address) for address in (*default_recipients, alert.owner) if address}
    owners = {_address(result.owner) for result in alert.found if result.owner} - everything
    messages = [_message(alert, recipient, sender) for recipient in sorted(everything)]
    for recipient in sorted(owners):
        own = tuple(result for result in alert.results if not result.owner or _address(result.owner) == recipient)
        messages.append(_message(replace(alert, results=own), recipient, sender))
    return messages


def render(alert: Alert) -> tuple[str, str]:
    """Write the body of the mail as plain text and as HTML."""
    tone = alert.severity.lower()
    content = {"alert": alert, "causes": _causes(alert), "links": _web_links(alert.links), "tone": tone}
    text = _environment().get_template("alert.txt.jinja").render(content)
    html = _environment().get_template("alert.html.jinja").render(content)
    return text.strip() + "\n", html


def _message(alert: Alert, recipient: str, sender: str) -> EmailMessage:
    text, html = render(alert)
    subject = " ".join(alert.subject.split())
    message = EmailMessage(policy=POLICY)
    message["Message-ID"] = message_id(alert.dag_id, alert.once or alert.run_id, alert.task_id, recipient, subject)
    message["Date"] = formatdate(usegmt=True)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = subject
    message["Auto-Submitted"] = "auto-generated"
    if alert.severity == "FAILED":
        message["Importance"] = "high"
    # One encoding that every server passes on unchanged and that stays legible in the .eml file.
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    return message


def _causes(alert: Alert) -> list[Cause]:
    causes = []
    for table in dict.fromkeys([*(result.table for result in alert.found), *alert.warnings]):
        results = tuple(result for result in alert.found if result.table == table)
        known = alert.impact.get(table, Dependents())
        lists = tuple(
            (_count(len(members), name), members[:SHOWN_NAMES], max(len(members) - SHOWN_NAMES, 0))
            if name != BY_IDENTITY
            # Nearly all tags are among these: their number says it.
            else (_count(len(members), name), (), 0)
            for name, members in known.lists.items()
        )
        causes.append(Cause(table, results, alert.warnings.get(table, ()), lists, known.note))
    return causes


def _count(number: int, plural: str) -> str:
    noun, space, rest = plural.partition(" ")
    return f"{number:,} {noun if number != 1 else noun.removesuffix('s')}{space}{rest}"


def _web_links(links: dict[str, str]) -> dict[str, str]:
    return {text: address for text, address in links.items() if address.startswith(("http://", "https://"))}


def _address(text: str) -> str:
    return text.strip().lower()


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.jinja",), default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
