"""The alert book: what is wrong now, who was told of it, and which mails and messages still wait to be sent.

One SQLite file in the home. It is not the warehouse, which one process at a time may open: a task that fails while
another one builds must be able to report at once. An incident and the mails about it are written in one transaction,
so neither is there without the other. All times are UTC, written as ISO 8601.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

Severity = Literal["failed", "warning"]

TABLES = """
create table if not exists incidents (
    incident_id integer primary key,
    scope text not null,
    subject text not null,
    kind text not null,
    severity text not null check (severity in ('failed', 'warning')),
    sentence text not null,
    owner text not null,
    table_name text not null,
    opened_at text not null,
    opened_run text not null,
    last_seen_at text not null,
    last_seen_run text not null,
    runs_seen integer not null,
    told_at text,
    acknowledged_at text,
    acknowledged_by text,
    acknowledgement text,
    resolved_at text,
    resolved_run text
);
create unique index if not exists one_open_incident on incidents (scope, subject) where resolved_at is null;
create table if not exists incident_recipients (
    incident_id integer not null references incidents,
    channel text not null,
    recipient text not null,
    primary key (incident_id, channel, recipient)
);
create table if not exists alerts (
    alert_id integer primary key,
    kind text not null check (kind in ('failure', 'reminder', 'recovery', 'digest', 'change')),
    severity text not null,
    subject text not null,
    dag_id text not null,
    task_id text not null,
    run_id text not null,
    created_at text not null
);
create table if not exists alert_incidents (
    alert_id integer not null references alerts,
    incident_id integer not null references incidents,
    primary key (alert_id, incident_id)
);
create table if not exists deliveries (
    delivery_id integer primary key,
    alert_id integer not null references alerts,
    channel text not null,
    recipient text not null,
    message_id text not null unique,
    content blob not null,
    due_at text not null,
    sent_at text,
    attempts integer not null default 0,
    problem text not null default ''
);
create index if not exists waiting_deliveries on deliveries (due_at) where sent_at is null;
create table if not exists incident_dependents (
    incident_id integer not null references incidents,
    kind text not null,
    name text not null,
    primary key (incident_id, kind, name)
) without rowid;
create table if not exists overrides (
    override_id integer primary key,
    subject text not null,
    incident_id integer not null references incidents,
    because text not null,
    by text not null,
    at text not null
);
create index if not exists overrides_of_subject on overrides (subject);
"""

WAIT_SECONDS = 30
"""How long a writer waits for another one; each holds the book for milliseconds."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, as one run has seen it."""

    subject: str
    """What it is within its scope, the same in every run, such as `landing/pos/basket_lines.yml: There are lines`."""
    kind: str
    """check, task, quarantine (too many bad rows), late (a source), deadline (a run), drift, alarm."""
    severity: Severity
    sentence: str
    owner: str = ""
    """E-mail address of who acts; empty when nobody is named."""
    table: str = ""
    """<schema>.<table>; empty when it is about no table."""


@dataclass(frozen=True)
class Incident:
    """A finding from the run that saw it first to the one that sees it no more."""

    incident_id: int
    finding: Finding
    opened_at: datetime
    opened_run: str
    runs_seen: int
    acknowledged_by: str = ""
    scope: str = ""
    """The place that was looked at."""
    last_seen_run: str = ""


@dataclass(frozen=True)
class Observed:
    """What an observation has changed."""

    opened: tuple[Incident, ...] = ()
    """New, or worse than when it was told last."""
    due_again: tuple[Incident, ...] = ()
    """Still open, and nobody was told for a while."""
    known: tuple[Incident, ...] = ()
    """Still open, and told of not long ago or acknowledged."""
    resolved: tuple[Incident, ...] = ()
    """No longer there."""


@dataclass(frozen=True)
class Delivery:
    """One mail or message that waits."""

    delivery_id: int
    channel: str
    """`mail`, or the name of a webhook."""
    recipient: str
    content: bytes
    attempts: int


@contextmanager
def open_book(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the alert book for one transaction, which is committed at the end and rolled back on any error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)) as book:
        book.execute("pragma journal_mode = wal")
        book.execute("pragma synchronous = full")
        book.execute("pragma foreign_keys = on")
        book.executescript(TABLES)
        # Immediate: two that read first and write then would both be refused.
        book.execute("begin immediate")
        try:
            yield book
        except BaseException:
            book.execute("rollback")
            raise
        book.execute("commit")


@contextmanager
def read_book(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the alert book for reading: readers wait for nobody, and a book that is not there is an empty one."""
    with closing(sqlite3.connect(path if path.exists() else ":memory:", timeout=WAIT_SECONDS)) as book:
        book.executescript(TABLES)
        book.execute("pragma query_only = on")
        yield book


def observe(
    book: sqlite3.Connection,
    scope: str,
    findings: Iterable[Finding],
    run_id: str,
    now: datetime,
    remind_after: timedelta,
) -> Observed:
    """Note what one look at a scope has found; what was open there and is not found any more is resolved.

    Seeing the same run again counts it once. A finding that was a warning and has become a failure is new.
    """
    found = {finding.subject: finding for finding in findings}
    opened, due_again, known, resolved = [], [], [], []
    for row in _open_rows(book, scope):
        finding = found.pop(row["subject"], None)
        if finding is None:
            book.execute(
                "update incidents set resolved_at = ?, resolved_run = ? where incident_id = ?",
                [_text(now), run_id, row["incident_id"]],
            )
            resolved.append(_incident(row))
            continue
        worse = finding.severity == "failed" and row["severity"] == "warning"
        again = row["last_seen_run"] != run_id
        book.execute(
            "update incidents set severity = ?, sentence = ?, owner = ?, last_seen_at = ?, last_seen_run = ?, "
            "runs_seen = runs_seen + ? where incident_id = ?",
            [
                *(finding.severity, finding.sentence, finding.owner, _text(now), run_id),
                *(int(again), row["incident_id"]),
            ],
        )
        incident = _incident(_row(book, row["incident_id"]))
        told_at = row["told_at"] and datetime.fromisoformat(row["told_at"])
        if worse or told_at is None:
            opened.append(incident)
        elif now - told_at >= remind_after and not row["acknowledged_by"]:
            due_again.append(incident)
        else:
            known.append(incident)
    for finding in found.values():
        cursor = book.execute(
            "insert into incidents (scope, subject, kind, severity, sentence, owner, table_name, opened_at, "
            "opened_run, last_seen_at, last_seen_run, runs_seen) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
            [
                *(scope, finding.subject, finding.kind, finding.severity, finding.sentence, finding.owner),
                *(finding.table, _text(now), run_id, _text(now), run_id),
            ],
        )
        opened.append(_incident(_row(book, cursor.lastrowid)))
    return Observed(tuple(opened), tuple(due_again), tuple(known), tuple(resolved))


def note_dependents(book: sqlite3.Connection, incident_id: int, dependents: Mapping[str, Iterable[str]]) -> None:
    """Keep what depends on the table of an incident, kind -> names; what was noted before is replaced."""
    book.execute("delete from incident_dependents where incident_id = ?", [incident_id])
    book.executemany(
        "insert or ignore into incident_dependents values (?, ?, ?)",
        [(incident_id, kind, name) for kind, names in dependents.items() for name in names],
    )


def dependents_of(
    book: sqlite3.Connection, incidents: Iterable[int], *, only_failed: bool = False
) -> dict[str, set[str]]:
    """Kind -> names of all that was noted to depend on any of these incidents."""
    found: dict[str, set[str]] = {}
    for incident_id in incidents:
        rows = book.execute(
            "select dependents.kind, name from incident_dependents as dependents join incidents using (incident_id) "
            "where incident_id = ? and (severity = 'failed' or not ?)",
            [incident_id, only_failed],
        )
        for kind, name in rows:
            found.setdefault(kind, set()).add(name)
    return found


def open_incidents(book: sqlite3.Connection, scope: str | None = None) -> list[Incident]:
    """What is wrong now, everywhere or in one scope, oldest first."""
    return [_incident(row) for row in _open_rows(book, scope)]


def history(book: sqlite3.Connection, incident_id: int) -> dict[str, list[dict]]:
    """Everything about one incident: `incident` (one row), `told` (alerts, with recipient and when each was sent).

    Raises KeyError when there is no such incident.
    """
    rows = _query(book, "select * from incidents where incident_id = ?", [incident_id])
    if not rows:
        raise KeyError(f"There is no incident {incident_id}; `tagloom alerts list --all` shows all of them.")
    told = _query(
        book,
        "select alerts.kind, alerts.created_at, deliveries.channel, deliveries.recipient, deliveries.due_at, "
        "deliveries.sent_at, deliveries.attempts, deliveries.problem "
        "from alert_incidents join alerts using (alert_id) join deliveries using (alert_id) "
        "join incident_recipients using (incident_id, channel, recipient) "
        "where alert_incidents.incident_id = ? order by deliveries.delivery_id",
        [incident_id],
    )
    return {"incident": [dict(rows[0])], "told": [dict(row) for row in told]}


def resolved_incidents(book: sqlite3.Connection, limit: int) -> list[dict]:
    """The last incidents that have ended, newest end first."""
    return [
        dict(row)
        for row in _query(
            book,
            "select * from incidents where resolved_at is not null order by resolved_at desc, incident_id limit ?",
            [limit],
        )
    ]


def untold_warnings(book: sqlite3.Connection) -> list[Incident]:
    """Open warnings that nobody was told of yet: the content of the next digest."""
    rows = _query(
        book,
        "select * from incidents where resolved_at is null and severity = 'warning' and told_at is null "
        "order by incident_id",
    )
    return [_incident(row) for row in rows]


def acknowledge(book: sqlite3.Connection, incident_id: int, by: str, note: str, now: datetime) -> None:
    """Note that somebody works on an incident: there are no reminders any more, its end is still told.

    Raises KeyError when there is no such open incident.
    """
    changed = book.execute(
        "update incidents set acknowledged_at = ?, acknowledged_by = ?, acknowledgement = ? "
        "where incident_id = ? and resolved_at is null",
        [_text(now), by, note, incident_id],
    )
    if not changed.rowcount:
        raise KeyError(f"There is no open incident {incident_id}; `tagloom alerts list` shows the open ones.")


def add_alert(
    book: sqlite3.Connection,
    kind: str,
    severity: str,
    subject: str,
    origin: tuple[str, str, str],
    incidents: Iterable[Incident],
    now: datetime,
) -> int:
    """Write down that people are told of these incidents, and return the alert's number. `origin`: DAG, task, run."""
    cursor = book.execute(
        "insert into alerts (kind, severity, subject, dag_id, task_id, run_id, created_at) "
        "values (?, ?, ?, ?, ?, ?, ?)",
        [kind, severity, subject, *origin, _text(now)],
    )
    for incident in incidents:
        book.execute("insert into alert_incidents values (?, ?)", [cursor.lastrowid, incident.incident_id])
        book.execute("update incidents set told_at = ? where incident_id = ?", [_text(now), incident.incident_id])
    return cursor.lastrowid


def add_delivery(
    book: sqlite3.Connection,
    alert_id: int,
    channel: str,
    recipient: str,
    message_id: str,
    content: bytes,
    due_at: datetime,
    incidents: Iterable[Incident] | None = None,
) -> bool:
    """Queue a mail or message; False when the same one (by its Message-ID) waits or was sent already.

    `incidents`: those of the alert that it tells this recipient of; without them, all.
    """
    cursor = book.execute(
        "insert or ignore into deliveries (alert_id, channel, recipient, message_id, content, due_at) "
        "values (?, ?, ?, ?, ?, ?)",
        [alert_id, channel, recipient, message_id, content, _text(due_at)],
    )
    if cursor.rowcount:
        rows = book.execute("select incident_id from alert_incidents where alert_id = ?", [alert_id]).fetchall()
        own = {number for (number,) in rows}
        if incidents is not None:
            own &= {incident.incident_id for incident in incidents}
        book.executemany(
            "insert or ignore into incident_recipients values (?, ?, ?)",
            [(number, channel, recipient) for number in sorted(own)],
        )
    return bool(cursor.rowcount)


def recipients_told(book: sqlite3.Connection, incidents: Iterable[Incident]) -> dict[tuple[str, str], list[int]]:
    """(Channel, recipient) -> those of the incidents that they were told of."""
    told: dict[tuple[str, str], list[int]] = {}
    for incident in incidents:
        for row in _query(
            book,
            "select channel, recipient from incident_recipients where incident_id = ? order by channel, recipient",
            [incident.incident_id],
        ):
            told.setdefault((row["channel"], row["recipient"]), []).append(incident.incident_id)
    return told


def waiting(book: sqlite3.Connection, now: datetime) -> list[Delivery]:
    """Deliveries that are due and not sent, oldest first."""
    rows = _query(
        book,
        "select * from deliveries where sent_at is null and due_at <= ? order by due_at, delivery_id",
        [_text(now)],
    )
    return [
        Delivery(row["delivery_id"], row["channel"], row["recipient"], row["content"], row["attempts"]) for row in rows
    ]


def note_attempt(book: sqlite3.Connection, delivery_id: int, now: datetime, problem: str = "") -> None:
    """Note that a delivery was taken by its server (no problem), or why it was not."""
    book.execute(
        "update deliveries set attempts = attempts + 1, problem = ?, sent_at = ? where delivery_id = ?",
        [problem, None if problem else _text(now), delivery_id],
    )


def last_digest(book: sqlite3.Connection) -> datetime | None:
    """When the last digest was written, None when there was none."""
    row = _query(book, "select max(created_at) as newest from alerts where kind = 'digest'")[0]
    return datetime.fromisoformat(row["newest"]) if row["newest"] else None


def _open_rows(book: sqlite3.Connection, scope: str | None) -> list[sqlite3.Row]:
    condition, values = ("and scope = ?", [scope]) if scope is not None else ("", [])
    return _query(book, f"select * from incidents where resolved_at is null {condition} order by incident_id", values)


def _row(book: sqlite3.Connection, incident_id: int) -> sqlite3.Row:
    return _query(book, "select * from incidents where incident_id = ?", [incident_id])[0]


def _query(book: sqlite3.Connection, query: str, values: Iterable = ()) -> list[sqlite3.Row]:
    cursor = book.execute(query, list(values))
    cursor.row_factory = sqlite3.Row
    return cursor.fetchall()


def _incident(row: sqlite3.Row) -> Incident:
    finding = Finding(row["subject"], row["kind"], row["severity"], row["sentence"], row["owner"], row["table_name"])
    return Incident(
        incident_id=row["incident_id"],
        finding=finding,
        opened_at=datetime.fromisoformat(row["opened_at"]),
        opened_run=row["opened_run"],
        runs_seen=row["runs_seen"],
        acknowledged_by=row["acknowledged_by"] or "",
        scope=row["scope"],
        last_seen_run=row["last_seen_run"],
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
