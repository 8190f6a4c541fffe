"""Holds: what must not be used or sent, because a table that it is made of is wrong or was not built.

Every open incident of severity `failed` holds the tags, audiences, reports and exports that depend on its table. They
were found by lineage when it was noted, and stand in the alert book beside it, so nobody needs dbt's manifest to ask.
A hold ends with its incident, or, for one audience or export alone, when somebody releases it and says why.

Tags of persons are called by their names, those of other objects `<object>.<tag>`, such as `store.sales_365d`.
A subject is `audience:<id>` or `export:<id>` of the portal, or the name of a dbt audience, report or export.
All times are UTC.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from tagloom.alerting.book import open_book, read_book
from tagloom.alerting.wording import in_words

if TYPE_CHECKING:
    from tagloom.settings import Settings


class HoldError(ValueError):
    """A release cannot be noted; the message says why."""


@dataclass(frozen=True)
class Hold:
    """One open incident that holds something."""

    incident_id: int
    table: str
    """<schema>.<table>; empty when it is about no table, such as a build that is late."""
    reason: str
    """A sentence for people."""
    since: datetime
    """UTC."""
    tags: frozenset[str]
    """Tags that are stale."""
    others: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    """What else depends on it: audience, report, export, exposure, table ... -> names."""

    def hits(self, tags: Iterable[str] = (), tables: Iterable[str] = (), subject: str = "") -> bool:
        """Whether something that uses these tags and tables, or that has this name, is held."""
        if not self.tags.isdisjoint(tags):
            return True
        stale = self.others.get("table", frozenset()) | {self.table}
        named = {name for kind, names in self.others.items() if kind != "table" for name in names}
        return not stale.isdisjoint(set(tables) - {""}) or subject in named


@dataclass(frozen=True)
class Override:
    """Somebody has released a subject from one incident."""

    subject: str
    incident_id: int
    because: str
    by: str
    at: datetime
    """UTC."""


def open_holds(settings: Settings) -> list[Hold]:
    """Every hold that is in force, oldest first."""
    with read_book(settings.alert_book) as book:
        return _holds(book)


def stale_tags(settings: Settings) -> dict[str, list[Hold]]:
    """Stale tag -> what makes it so."""
    stale: dict[str, list[Hold]] = defaultdict(list)
    for hold in open_holds(settings):
        for tag in sorted(hold.tags):
            stale[tag].append(hold)
    return dict(stale)


def holds_for(settings: Settings, tags: Iterable[str], tables: Iterable[str] = (), subject: str = "") -> list[Hold]:
    """The holds that hit something made of these tags and tables, but those that the subject was released from.

    Empty: it may be used and sent. `tables` are <schema>.<table> that it reads besides tags, such as
    serving.person_events.
    """
    tags, tables = {*tags}, {*tables}
    with read_book(settings.alert_book) as book:
        released = {row[0] for row in book.execute("select incident_id from overrides where subject = ?", [subject])}
        return [hold for hold in _holds(book) if hold.incident_id not in released and hold.hits(tags, tables, subject)]


def override(settings: Settings, subject: str, because: str, by: str) -> int:
    """Release a subject from every hold that is in force now, and note who did it and why; returns from how many.

    A later incident holds it again. Raises HoldError without a subject, a reason or a name.
    """
    for name, text in (("subject", subject), ("reason", because), ("name of who releases it", by)):
        if not text.strip():
            raise HoldError(f"A release needs a {name}.")
    with open_book(settings.alert_book) as book:
        released = {row[0] for row in book.execute("select incident_id from overrides where subject = ?", [subject])}
        new = [hold.incident_id for hold in _holds(book) if hold.incident_id not in released]
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        book.executemany(
            "insert into overrides (subject, incident_id, because, by, at) values (?, ?, ?, ?, ?)",
            [(subject, incident_id, because.strip(), by.strip(), now) for incident_id in new],
        )
    return len(new)


def overrides(settings: Settings) -> list[Override]:
    """Every release that was ever noted, newest first."""
    with read_book(settings.alert_book) as book:
        rows = book.execute(
            "select subject, incident_id, because, by, at from overrides order by override_id desc"
        ).fetchall()
    return [Override(*row[:4], datetime.fromisoformat(row[4])) for row in rows]


def users_of_tags(settings: Settings, tags: Iterable[str]) -> list[str]:
    """Audiences and exports of the portal that use any of the tags, as people call them; none without a portal."""
    tags = sorted(tags)
    if not tags:
        return []
    # A mail about a failure must go out whatever the portal's database says.
    with suppress(Exception):
        from tagloom.audiences.library import users_of_tags as users

        return users(settings, tags)
    return []


def _holds(book: sqlite3.Connection) -> list[Hold]:
    cursor = book.execute(
        """
        select incident_id, incidents.table_name, incidents.kind, sentence, opened_at, dependents.kind, name
        from incidents join incident_dependents as dependents using (incident_id)
        where resolved_at is null and severity = 'failed'
        order by incident_id
        """
    )
    found: dict[int, tuple] = {}
    names: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for incident_id, table, kind, sentence, opened_at, dependent_kind, name in cursor:
        reason = f"a check failed: {sentence}" if kind == "check" else in_words(kind, sentence)
        found[incident_id] = (table, reason, opened_at)
        names[incident_id][dependent_kind].add(name)
    return [
        Hold(
            incident_id,
            table,
            reason[:1].upper() + reason[1:],
            datetime.fromisoformat(opened_at),
            frozenset(names[incident_id].pop("tag", ())),
            MappingProxyType({kind: frozenset(members) for kind, members in names[incident_id].items()}),
        )
        for incident_id, (table, reason, opened_at) in found.items()
    ]
