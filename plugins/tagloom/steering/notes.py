"""Copies what the portal shows of the warehouse, besides published versions, into the portal's own database.

Small and without a value in the clear: suspects, the review queue, the state of decisions, what channels achieve.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tagloom import layer_state
from tagloom.identity import decisions as deciding
from tagloom.identity import review_commands, suspects
from tagloom.identity.decisions import Decision
from tagloom.identity.identifiers import Identifier
from tagloom.operations import create_operations_tables
from tagloom.portal.store.base import now
from tagloom.portal.store.decisions import SteeringNote
from tagloom.steering.requests import warehouse_if_free
from tagloom.transform import LAYERS

if TYPE_CHECKING:
    import duckdb
    from sqlalchemy.orm import Session

    from tagloom.settings import Settings

SUSPECTS, REVIEWS, DECISIONS, CHANNELS = "suspects", "reviews", "decisions", "channels"

MOST = 200
"""Suspects and pairs that a note holds; who has worked these off gets the next with the next build."""

CHANNEL_DAYS = 90
"""Days of a channel that are kept for its chart."""

TABLES = {
    SUSPECTS: "identity_mapping.identity_suspects",
    REVIEWS: "identity_mapping.identity_registry",
    DECISIONS: "operations.identity_decisions",
    CHANNELS: "operations.channel_alarms",
}
"""What must be there for a note to be taken."""


def read_note(session: Session, name: str) -> tuple[list[dict[str, Any]], datetime | None]:
    """The rows of a note and when it was taken; no rows and None before the first time."""
    note = session.get(SteeringNote, name)
    return (note.content, note.taken_at) if note else ([], None)


def take_notes(settings: Settings, session: Session, *, always: bool = False) -> list[str]:
    """Renew the notes if the warehouse was written since; returns the names of those that were renewed.

    Leaves them as they are while another process has the warehouse.
    """
    if not settings.warehouse.exists() or not (always or _is_newer(settings, session)):
        return []
    with warehouse_if_free(settings) as connection:
        if connection is None:
            return []
        taken = note_down(connection, session)
    # After closing: opening a database may write to it.
    changed_at = settings.warehouse.stat().st_mtime
    for note in session.query(SteeringNote):
        note.warehouse_changed_at = changed_at
    session.commit()
    return taken


def note_down(connection: duckdb.DuckDBPyConnection, session: Session, names: tuple[str, ...] = tuple(TABLES)) -> list:
    """Take these notes from an open warehouse; one whose tables are not built yet is left out. Does not commit."""
    create_operations_tables(connection)
    present = {
        name
        for (name,) in connection.execute(
            "select concat(schema_name, '.', table_name) from duckdb_tables() where database_name = current_database()"
        ).fetchall()
    }
    day = layer_state.last_build(connection).get(LAYERS[1], ("", None))[1]
    taken = []
    for name in names:
        if TABLES[name] not in present:
            continue
        note = session.get(SteeringNote, name) or SteeringNote(name=name)
        note.content = _TAKERS[name](connection)
        note.as_of_date = day
        note.taken_at = now()
        session.add(note)
        taken.append(name)
    return taken


def _is_newer(settings: Settings, session: Session) -> bool:
    notes = session.query(SteeringNote).all()
    known = [note.warehouse_changed_at for note in notes if note.warehouse_changed_at]
    return not known or settings.warehouse.stat().st_mtime > max(known)


def _suspects(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    found, _ = suspects.suspects(connection, MOST)
    persons = _persons(connection, [one.identifier.key for one in found])
    return [
        {
            "identifier": _end(one.identifier, persons),
            "persons": one.persons,
            "records": one.records,
            "because": one.because,
            "command": one.command,
            "proposal": _proposal(connection, one),
        }
        for one in found
    ]


def _proposal(connection: duckdb.DuckDBPyConnection, one: suspects.Suspect) -> dict[str, Any] | None:
    """What the suspect's command says, as a request: kind and ends; None when it is a change of the policy."""
    words = one.command.split()
    keys = [int(word.removeprefix("key:")) for word in words if word.startswith("key:")]
    if words[:2] == ["identity", "block"]:
        return {"kind": "block", "left": _end(one.identifier, _persons(connection, [one.identifier.key]))}
    if words[:2] == ["identity", "never-link"] and len(keys) == 2:
        persons = _persons(connection, keys)
        ends = [_end(end, persons) for end in _identifiers(connection, keys)]
        return {"kind": "never_link", "left": ends[0], "right": ends[1]}
    return None


def _reviews(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    from tagloom.identity.policy import load_policy

    policy = load_policy()
    open_pairs = [pair for pair in review_commands.pairs(connection) if pair.status == "review" and not pair.is_decided]
    shown = open_pairs[:MOST]
    if not shown:
        return []
    compared = review_commands.compared(connection, policy, shown)
    persons = _persons(connection, [end.key for pair in shown for end in (pair.left, pair.right)])
    return [
        {
            "name": pair.name,
            "probability": pair.probability,
            "left": _end(pair.left, persons),
            "right": _end(pair.right, persons),
            "compared": [list(row) for row in compared[pair.name]],
        }
        for pair in shown
    ]


def _decisions(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    return [_as_row(one) for one in reversed(deciding.decisions_with_state(connection, with_withdrawn=True))]


def _as_row(one: Decision) -> dict[str, Any]:
    return {
        "batch": one.batch_id,
        "kind": one.kind,
        "left": {"type": one.left[0], "hash": one.left[1]},
        "right": {"type": one.right[0], "hash": one.right[1]} if one.right else None,
        "reason": one.reason,
        "decided_by": one.decided_by,
        "decided_at": one.decided_at.isoformat(timespec="minutes"),
        "withdrawn_at": one.withdrawn_at.isoformat(timespec="minutes") if one.withdrawn_at else None,
        "withdrawn_by": one.withdrawn_by,
        "state": one.state,
    }


def _channels(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """One row per monitor and part: the days with their values, and the verdicts that were given."""
    from tagloom.monitoring.declarations import load_monitors

    rows = []
    for monitor in load_monitors():
        verdicts: dict[str, dict[str, dict[str, Any]]] = {}
        for part, day, measured, lowest, highest, expected, is_alarming, sentence in connection.execute(
            "select part, as_of_date, measured, lowest, highest, expected, is_alarming, sentence "
            "from operations.channel_alarms where monitor = ? order by as_of_date",
            [monitor.name],
        ).fetchall():
            verdicts.setdefault(part, {})[day.isoformat()] = {
                "measured": measured,
                "lowest": lowest,
                "highest": highest,
                "expected": expected,
                "is_alarming": is_alarming,
                "sentence": sentence,
            }
        if not verdicts:
            continue
        newest = date.fromisoformat(max(day for days in verdicts.values() for day in days))
        series = _series(connection, monitor.sql, newest)
        rows += [
            {
                "monitor": monitor.name,
                "title": monitor.title,
                "title_zh": monitor.title_zh,
                "owner": monitor.owner,
                "what_to_do": monitor.what_to_do,
                "unit": monitor.unit,
                "part": part,
                "rule": monitor.rule.model_dump(mode="json"),
                "days": series.get(part, []),
                "verdicts": judged,
            }
            for part, judged in sorted(verdicts.items())
        ]
    return rows


def _series(connection: duckdb.DuckDBPyConnection, query: str, newest: date) -> dict[str, list[list[Any]]]:
    """Part -> [day, value or None] of the last CHANNEL_DAYS days; a day without a denominator has no value."""
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description]
    first = newest - timedelta(days=CHANNEL_DAYS - 1)
    values: dict[str, dict[date, float | None]] = {}
    for row in cursor.fetchall():
        one = dict(zip(names, row, strict=True))
        if one["day"] is None or one["part"] is None or not first <= one["day"] <= newest:
            continue
        whole = float(one["denominator"] or 0)
        values.setdefault(str(one["part"]), {})[one["day"]] = float(one["numerator"] or 0) / whole if whole else None
    days = [first + timedelta(days=number) for number in range(CHANNEL_DAYS)]
    return {part: [[day.isoformat(), known.get(day)] for day in days] for part, known in values.items()}


_TAKERS: dict[str, Callable[[duckdb.DuckDBPyConnection], list[dict[str, Any]]]] = {
    SUSPECTS: _suspects,
    REVIEWS: _reviews,
    DECISIONS: _decisions,
    CHANNELS: _channels,
}


def _identifiers(connection: duckdb.DuckDBPyConnection, keys: list[int]) -> list[Identifier]:
    """Identifiers by number, in the order of `keys`."""
    rows = connection.execute(
        "select identifier_key, identifier_type, identifier_hash from identity_mapping.identity_registry "
        "where list_contains($keys, identifier_key)",
        {"keys": keys},
    ).fetchall()
    found = {row[0]: Identifier(*row) for row in rows}
    return [found[key] for key in keys]


def _persons(connection: duckdb.DuckDBPyConnection, keys: list[int]) -> dict[int, int]:
    rows = connection.execute(
        "select identifier_key, person_id from identity_mapping.identity_map "
        "where list_contains($keys, identifier_key)",
        {"keys": keys},
    ).fetchall()
    return dict(rows)


def _end(identifier: Identifier, persons: dict[int, int]) -> dict[str, Any]:
    return {
        "type": identifier.type,
        "hash": identifier.hash,
        "number": identifier.key,
        "person": persons.get(identifier.key),
    }
