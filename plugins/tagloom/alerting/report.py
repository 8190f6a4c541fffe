"""Turns what a run has found into incidents, mails and messages: told once, again after a while, and at its end."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from tagloom.alerting import webhooks
from tagloom.alerting.book import (
    Finding,
    Incident,
    Observed,
    add_alert,
    add_delivery,
    dependents_of,
    last_digest,
    note_dependents,
    observe,
    open_book,
    open_incidents,
    recipients_told,
    untold_warnings,
)
from tagloom.alerting.mail_server import message_id
from tagloom.alerting.messages import Alert, Kind, Mail, counted, message, subject_of
from tagloom.alerting.routing import MAIL, Routing

Target = tuple[str, str]
"""Channel and recipient."""


@dataclass(frozen=True)
class Desk:
    """Where alerts are written down, and the rules for it."""

    book: Path
    routing: Routing
    default_recipients: tuple[str, ...]
    time_zone: ZoneInfo
    """The business time zone: quiet hours and digests are meant in it."""
    sender: str = "tagloom@localhost"
    runbook: str = ""
    """Address of the runbook, for the digest; other alerts bring it along."""
    users: Callable[[Iterable[str]], list[str]] = lambda tags: []
    """Audiences and exports of the portal that use any of these tags, as people call them."""


def report(desk: Desk, scope: str, alert: Alert, now: datetime) -> int:
    """Note what one look at a scope has found, and queue what people are told; returns how many mails and messages.

    An alert without findings says that all is well: open incidents of the scope end. Everything happens in one
    transaction, and reporting the same run again queues nothing new.
    """
    findings = alert.findings()
    with open_book(desk.book) as book:
        seen = observe(book, scope, findings, alert.run_id, now, desk.routing.remind_after)
        for incident in (*seen.opened, *seen.due_again, *seen.known):
            if incident.finding.severity == "failed" and incident.finding.table in alert.impact:
                note_dependents(book, incident.incident_id, alert.impact[incident.finding.table].held)
        mark = _marked(desk, book)
        told = recipients_told(book, seen.resolved)
        news = [incident for incident in (*seen.opened, *seen.due_again) if _is_told_at_once(incident, desk.routing)]
        resolved_for = {target: _of(seen.resolved, numbers) for target, numbers in told.items()}
        queued, mails = 0, {}
        if news:
            kind: Kind = "failure" if set(news) & set(seen.opened) else "reminder"
            mails = mark(_bad_news(desk, alert, kind, seen, news, resolved_for))
            queued += _queue(book, desk, alert, kind, mails, now)
        good_news = {
            target: Mail("recovery", _well(alert, resolved), target[1], resolved=resolved)
            for target, resolved in resolved_for.items()
            if target not in mails
        }
        queued += _queue(book, desk, alert, "recovery", mark(good_news), now)
    return queued


def report_changes(desk: Desk, alert: Alert, now: datetime) -> int:
    """Tell what has changed in deliveries that could be used all the same; there is nothing that could end."""
    sentences = {f"{table}: {sentence}" for table, found in alert.warnings.items() for sentence in found}
    if not sentences:
        return 0
    targets: set[Target] = set()
    for table in alert.warnings:
        finding = Finding(table, "drift", "warning", table, alert.owner, table)
        targets |= desk.routing.targets(finding, alert.dag_id, desk.default_recipients)
    with open_book(desk.book) as book:
        mails = {target: Mail("change", alert, target[1]) for target in targets}
        return _queue(book, desk, alert, "change", mails, now)


def write_digest(desk: Desk, now: datetime) -> int:
    """Queue the mail that gathers warnings nobody was told of, when its time has come."""
    with open_book(desk.book) as book:
        if not desk.routing.digest_is_due(now, last_digest(book), desk.time_zone):
            return 0
        warnings = untold_warnings(book)
        if not warnings:
            return 0
        local = now.astimezone(desk.time_zone)
        alert = Alert(
            run_id=f"{local:%Y-%m-%d}",
            as_of_date=local.date(),
            dag_id="send_alerts",
            task_id="digest",
            title="warnings of the day",
            runbook=desk.runbook,
        )
        concerned: dict[Target, list[Incident]] = defaultdict(list)
        for incident in warnings:
            for target in desk.routing.targets(incident.finding, "", desk.default_recipients):
                concerned[target].append(incident)
        mails = {
            target: Mail("digest", alert, target[1], incidents=tuple(incidents))
            for target, incidents in concerned.items()
        }
        return _queue(book, desk, alert, "digest", mails, now)


def _bad_news(
    desk: Desk,
    alert: Alert,
    kind: Kind,
    seen: Observed,
    news: list[Incident],
    resolved_for: dict[Target, tuple[Incident, ...]],
) -> dict[Target, Mail]:
    """A mail for everybody whom some of the news concerns, with all that is wrong and theirs now."""
    current = (*seen.opened, *seen.due_again, *seen.known)
    concerned = {
        incident.incident_id: desk.routing.targets(incident.finding, alert.dag_id, desk.default_recipients)
        for incident in current
    }
    mails = {}
    for target in set().union(*(concerned[incident.incident_id] for incident in news)):
        own = tuple(incident for incident in current if target in concerned[incident.incident_id])
        subjects = {incident.finding.subject for incident in own}
        results = tuple(
            result for result in alert.results if result.outcome == "passed" or subject_of(result) in subjects
        )
        alarms = tuple(alarm for alarm in alert.alarms if alarm.subject in subjects)
        missing = tuple(one for one in alert.missing if one.subject in subjects)
        own_alert = replace(alert, results=results, alarms=alarms, missing=missing)
        mails[target] = Mail(kind, own_alert, target[1], own, resolved_for.get(target, ()))
    return mails


def _marked(desk: Desk, book: sqlite3.Connection) -> Callable[[dict[Target, Mail]], dict[Target, Mail]]:
    """What adds to mails the things that their incidents hold, and those that are free again."""

    def names(held: dict[str, set[str]]) -> tuple[str, ...]:
        tags = held.pop("tag", set())
        counts = (counted(len(tags), "tags"),) if tags else ()
        models = sorted({name for kind, members in held.items() if kind != "table" for name in members})
        return (*counts, *models, *desk.users(sorted(tags)))

    @cache
    def held(incidents: tuple[int, ...]) -> tuple[str, ...]:
        return names(dependents_of(book, incidents))

    @cache
    def released(incidents: tuple[int, ...]) -> tuple[str, ...]:
        others = dependents_of(book, [incident.incident_id for incident in open_incidents(book)], only_failed=True)
        free = dependents_of(book, incidents, only_failed=True)
        return names({kind: members - others.get(kind, set()) for kind, members in free.items()})

    def mark(mails: dict[Target, Mail]) -> dict[Target, Mail]:
        return {
            target: replace(
                mail,
                held=held(tuple(one.incident_id for one in mail.incidents if one.finding.severity == "failed")),
                released=released(tuple(one.incident_id for one in mail.resolved)),
            )
            for target, mail in mails.items()
        }

    return mark


def _queue(book, desk: Desk, alert: Alert, kind: Kind, mails: dict[Target, Mail], now: datetime) -> int:
    if not mails:
        return 0
    worst = min((mail.tone for mail in mails.values()), key=("failed", "warning", "well").index)
    incidents = {incident.incident_id: incident for mail in mails.values() for incident in mail.incidents}
    resolved = {incident.incident_id: incident for mail in mails.values() for incident in mail.resolved}
    subject = min(mail.subject for mail in mails.values())
    origin = (alert.dag_id, alert.task_id, alert.run_id)
    number = add_alert(book, kind, worst, subject, origin, [*incidents.values(), *resolved.values()], now)
    queued = 0
    for (channel, recipient), mail in sorted(mails.items()):
        due = desk.routing.due("failed" if mail.tone == "failed" else "warning", now, desk.time_zone)
        if channel == MAIL:
            made = message(mail, desk.sender, now)
            identity, content = str(made["Message-ID"]), made.as_bytes()
        else:
            identity = message_id(channel, kind, alert.dag_id, alert.run_id, alert.task_id, mail.subject)
            content = webhooks.content(mail)
        queued += add_delivery(
            book, number, channel, recipient, identity, content, due, [*mail.incidents, *mail.resolved]
        )
    return queued


def _is_told_at_once(incident: Incident, routing: Routing) -> bool:
    return incident.finding.severity == "failed" or routing.warnings == "at once"


def _well(alert: Alert, resolved: tuple[Incident, ...]) -> Alert:
    """The alert without what did not pass: who hears that something ended is not told of warnings meanwhile.

    It is called as it was when it was told.
    """
    late = {incident.finding.sentence for incident in resolved if incident.finding.kind == "late"}
    if len(late) == len(resolved):
        alert = replace(alert, title=late.pop() if len(late) == 1 else "late deliveries")
    if len(resolved) == 1 and resolved[0].finding.kind == "alarm":
        alert = replace(alert, title=resolved[0].finding.sentence.partition(": ")[0])
    passed = tuple(result for result in alert.results if result.outcome == "passed")
    return replace(alert, results=passed, alarms=(), missing=())


def _of(incidents: Iterable[Incident], numbers: list[int]) -> tuple[Incident, ...]:
    return tuple(incident for incident in incidents if incident.incident_id in numbers)
