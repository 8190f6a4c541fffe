"""Alert mails as people read them: what is wrong, how badly, since when, why, what depends on it, who acts and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import jinja2

from tagloom.alerting.book import Finding, Incident
from tagloom.alerting.mail_server import POLICY, message_id
from tagloom.alerting.sparkline import chart, sparkline
from tagloom.lineage import BY_IDENTITY, Dependents

if TYPE_CHECKING:
    # Every task loads this module; the contracts behind it would cost each of them a quarter of its start.
    from tagloom.quality import CheckResult

TEMPLATES = Path(__file__).parents[1] / "templates" / "mail"

SHOWN_NAMES = 12
"""Of a long list of tags or audiences a mail names so many and counts the others."""

SHORTEST_TREND = 3
"""Fewer measurements than this show no trend."""

SEVERITY = {"failed": "FAILED", "warning": "WARNING", "well": "WELL AGAIN"}
"""How a mail says how bad it is."""

HEADINGS = {
    "task": "The task failed",
    "quarantine": "The delivery was refused",
    "deadline": "The run is late",
}
"""Kind of what is wrong, when it is not checks -> how the mail begins to tell of it."""

SECTIONS = {"quarantine": "quarantine", "deadline": "deadline-missed", "task": "task-failed"}
"""The same kinds -> section of the runbook."""

TaskKind = Literal["task", "quarantine", "deadline"]
Kind = Literal["failure", "reminder", "recovery", "digest", "change"]


@dataclass(frozen=True)
class Alarm:
    """A channel's metric that has left what is usual."""

    subject: str
    """The same in every run, such as `web_payment: web shop`."""
    title: str
    sentence: str
    """What is alarming, with its values."""
    owner: str
    what_to_do: str
    values: tuple[float | None, ...] = ()
    """The metric of the last days, oldest first; None where nothing was measured."""
    limit: float | None = None
    """Where it becomes alarming."""


@dataclass(frozen=True)
class Missing:
    """A source of which deliveries are missing."""

    subject: str
    """The same in every run, such as `late loyalty`."""
    title: str
    """What people call it, such as `deliveries of loyalty`."""
    sentence: str
    """What is missing, and what has come."""
    owner: str
    table: str
    """Its only table, else `raw_<source>.*`; a key of `Alert.impact`."""
    what_to_do: str

    def is_about(self, table: str) -> bool:
        """Whether what is wrong with a table may follow from it."""
        return fnmatchcase(table, self.table)


@dataclass(frozen=True)
class Alert:
    """What one look at a part of the data has found: checks that do not pass, a failed task, changed deliveries."""

    run_id: str
    as_of_date: date
    dag_id: str
    task_id: str
    title: str
    """The thing, as people call it, for example `checks of landing`."""
    results: tuple[CheckResult, ...] = ()
    """Every result of the checks, the passed ones too: they are counted."""
    consequence: str = ""
    """What does not happen because of it, for example `nothing new is published`."""
    alarms: tuple[Alarm, ...] = ()
    """Metrics of channels that are alarming."""
    missing: tuple[Missing, ...] = ()
    """Sources that are late."""
    exception: str = ""
    """What a task that failed says, or why a run is late; empty when checks are the reason."""
    exception_kind: TaskKind = "task"
    """Which of these it is: a task, a delivery with too many bad rows, a run that takes too long."""
    table: str = ""
    """<schema>.<table> that the exception is about, `raw_pos.*` for all of a source; a key of `impact`."""
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """<schema>.<table> -> sentences about what has changed in its deliveries, although they could be used."""
    owner: str = ""
    """Who acts when no check names an owner; empty for the default recipients."""
    what_to_do: str = ""
    """The cure when no check names one."""
    impact: dict[str, Dependents] = field(default_factory=dict)
    """<schema>.<table> -> what depends on it."""
    probable: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """<schema>.<table> -> sentences that may say why (`tagloom.alerting.causes`)."""
    trends: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Subject of a check -> what it measured on earlier days and now, oldest first."""
    in_use: str = ""
    """What people see meanwhile, for example `Version 2017-12-30-1 (tags of 2017-12-30) stays in use.`"""
    links: dict[str, str] = field(default_factory=dict)
    """Text -> address, such as the task log. Only http and https become links."""
    runbook: str = ""
    """Address of the runbook, to which the mail's section is added."""

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
    def size(self) -> str:
        """How much is wrong, for example `1 check of 14`; empty for a task that failed by itself."""
        if self.warnings:
            return counted(sum(len(sentences) for sentences in self.warnings.values()), "changes")
        if self.alarms:
            return counted(len(self.alarms), "metrics")
        if self.missing and not self.stopping:
            return counted(len(self.missing), "sources") if len(self.missing) > 1 else ""
        number = len(self.stopping) or len(self.found)
        return f"{counted(number, 'checks')} of {len(self.results)}" if number else ""

    def findings(self) -> list[Finding]:
        """What the alert book keeps of it."""
        found = [
            Finding(
                subject=subject_of(result),
                kind="check",
                severity="failed" if result.stops else "warning",
                sentence=result.name,
                owner=_address(result.owner),
                table=result.table,
            )
            for result in self.found
        ]
        found += [
            Finding(alarm.subject, "alarm", "failed", f"{alarm.title}: {alarm.sentence}", _address(alarm.owner))
            for alarm in self.alarms
        ]
        found += [
            Finding(missing.subject, "late", "failed", missing.title, _address(missing.owner), missing.table)
            for missing in self.missing
        ]
        if self.exception:
            found.append(Finding("task", self.exception_kind, "failed", self.title, _address(self.owner), self.table))
        return found


@dataclass(frozen=True)
class Cause:
    """What is missing of one table, its checks that did not pass, what has changed in it, and what stands on it."""

    table: str
    missing: tuple[Missing, ...]
    results: tuple[CheckResult, ...]
    warnings: tuple[str, ...]
    probable: tuple[str, ...]
    lists: tuple[tuple[str, tuple[str, ...], int], ...]
    """How many of what (`20 tags`, `1 report`), the first names, how many are not named."""
    note: str


@dataclass(frozen=True)
class Mail:
    """What one recipient is told."""

    kind: Kind
    alert: Alert
    """Cut down to what concerns the recipient."""
    recipient: str
    incidents: tuple[Incident, ...] = ()
    """Open incidents that it is about."""
    resolved: tuple[Incident, ...] = ()
    """Incidents that have ended."""
    held: tuple[str, ...] = ()
    """What the open incidents hold back, such as `23 tags`, `audience_lapsed`."""
    released: tuple[str, ...] = ()
    """What is held no more, now that incidents have ended."""

    @property
    def section(self) -> str:
        """The section of the runbook that says what to do: its anchor."""
        if self.kind in ("recovery", "digest", "change"):
            return {"recovery": "recovery", "digest": "warning-digest", "change": "drift"}[self.kind]
        if self.alert.alarms:
            return "channel-alarm"
        if self.alert.exception:
            is_publish = self.alert.exception_kind == "task" and self.alert.task_id == "publish"
            return "publish-failed" if is_publish else SECTIONS[self.alert.exception_kind]
        stopping = self.alert.stopping
        if self.alert.missing and all(
            any(missing.is_about(result.table) for missing in self.alert.missing) for result in stopping
        ):
            return "late-source"
        worst = next(iter(self.alert.found), None)
        if worst is None or worst.outcome == "warned":
            return "warning-digest"
        if worst.outcome == "not evaluated":
            return "not-evaluated"
        return "identity" if worst.table.startswith("identity_mapping.") else "check-failed"

    @property
    def tone(self) -> str:
        """failed, warning or well."""
        if self.alert.exception or self.alert.stopping or self.alert.alarms or self.alert.missing:
            return "failed"
        return "warning" if self.alert.found or self.alert.warnings or self.incidents else "well"

    @property
    def severity(self) -> str:
        """How the mail says it."""
        is_late = self.alert.missing and not self.alert.stopping
        if self.tone == "failed" and (is_late or self.alert.exception_kind == "deadline"):
            return "STILL LATE" if self.kind == "reminder" else "LATE"
        if self.kind == "reminder" and self.tone == "failed":
            return "STILL ALARMING" if self.alert.alarms else "STILL FAILED"
        return "ALARM" if self.alert.alarms else SEVERITY[self.tone]

    @property
    def size(self) -> str:
        """How much it is about."""
        if self.kind == "digest":
            return counted(len(self.incidents), "warnings")
        if self.kind != "recovery":
            return self.alert.size
        kinds = [incident.finding.kind for incident in self.resolved]
        if "alarm" in kinds:
            return counted(kinds.count("alarm"), "metrics")
        return counted(kinds.count("check"), "checks") if "check" in kinds else ""

    @property
    def subject(self) -> str:
        """Severity, thing, size, consequence."""
        thing = f"{self.alert.title}, {self.size}" if self.size else self.alert.title
        end = f" - {self.alert.consequence}" if self.alert.consequence and self.kind != "recovery" else ""
        return " ".join(f"[Tagloom] {self.severity}: {thing}{end}".split())

    def since(self, found: CheckResult | Alarm | Missing) -> Incident | None:
        """The incident behind a check's result, an alarm or a late source when an earlier run saw it already."""
        subject = found.subject if isinstance(found, Alarm | Missing) else subject_of(found)
        known = (incident for incident in self.incidents if incident.finding.subject == subject)
        return next((incident for incident in known if incident.runs_seen > 1), None)


def subject_of(result: CheckResult) -> str:
    """What a check is called in the alert book: its contract and its sentence."""
    return f"{result.contract}: {result.name}"


def render(mail: Mail) -> tuple[str, str, dict[str, bytes]]:
    """Write the body as plain text and as HTML, with the pictures that the HTML shows by their Content-ID."""
    pictures = {
        f"trend-{number}": sparkline(trend)
        for number, result in enumerate(mail.alert.found)
        if len(trend := mail.alert.trends.get(subject_of(result), ())) >= SHORTEST_TREND
    }
    pictures |= {f"alarm-{number}": chart(alarm.values, alarm.limit) for number, alarm in enumerate(mail.alert.alarms)}
    numbers = {subject_of(result): f"trend-{number}" for number, result in enumerate(mail.alert.found)}
    content = {
        "mail": mail,
        "alert": mail.alert,
        "causes": _causes(mail.alert),
        "links": _web_links({**mail.alert.links, **_runbook(mail)}),
        "heading": HEADINGS[mail.alert.exception_kind],
        "tone": mail.tone,
        "picture_of": lambda result: name if (name := numbers[subject_of(result)]) in pictures else "",
        "trend_of": lambda result: [number_text(value) for value in mail.alert.trends.get(subject_of(result), ())],
    }
    text = _environment().get_template("alert.txt.jinja").render(content)
    html = _environment().get_template("alert.html.jinja").render(content)
    return text.strip() + "\n", html, pictures


def message(mail: Mail, sender: str, now: datetime) -> EmailMessage:
    """Write the mail. Its Message-ID follows from run, recipient and subject: told again, it is the same mail."""
    text, html, pictures = render(mail)
    alert = mail.alert
    made = EmailMessage(policy=POLICY)
    made["Message-ID"] = message_id(mail.kind, alert.dag_id, alert.run_id, alert.task_id, mail.recipient, mail.subject)
    made["Date"] = format_datetime(now)
    made["From"] = sender
    made["To"] = mail.recipient
    made["Subject"] = mail.subject
    made["Auto-Submitted"] = "auto-generated"
    # For filters in mail programs: the section of the runbook says what kind of mail it is.
    made["X-Tagloom-Kind"] = mail.section
    if mail.tone == "failed":
        made["Importance"] = "high"
    # One encoding that every server passes on unchanged and that stays legible in the .eml file.
    made.set_content(text, cte="quoted-printable")
    made.add_alternative(html, subtype="html", cte="quoted-printable")
    for name, picture in pictures.items():
        made.get_payload()[1].add_related(picture, "image", "png", cid=f"<{name}>", disposition="inline")
    return made


def _runbook(mail: Mail) -> dict[str, str]:
    return {"What to do, step by step": f"{mail.alert.runbook}#{mail.section}"} if mail.alert.runbook else {}


def counted(number: int, plural: str) -> str:
    """`1 check`, `2 checks`, `1 report of today`."""
    noun, space, rest = plural.partition(" ")
    return f"{number:,} {noun if number != 1 else noun.removesuffix('s')}{space}{rest}"


def number_text(value: float) -> str:
    """A measured number as people read it."""
    return f"{value:,.0f}" if value % 1 == 0 else f"{value:,.4g}"


def _causes(alert: Alert) -> list[Cause]:
    causes = []
    own = [alert.table] if alert.exception and alert.table in alert.impact else []
    late = [missing.table for missing in alert.missing]
    for table in dict.fromkeys([*own, *late, *(result.table for result in alert.found), *alert.warnings]):
        results = tuple(result for result in alert.found if result.table == table)
        known = alert.impact.get(table, Dependents())
        lists = tuple(
            (counted(len(members), name), members[:SHOWN_NAMES], max(len(members) - SHOWN_NAMES, 0))
            if name != BY_IDENTITY
            # Nearly all tags are among these: their number says it.
            else (counted(len(members), name), (), 0)
            for name, members in known.lists.items()
        )
        warnings, probable = alert.warnings.get(table, ()), alert.probable.get(table, ())
        missing = tuple(one for one in alert.missing if one.table == table)
        causes.append(Cause(table, missing, results, warnings, probable, lists, known.note))
    return causes


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
