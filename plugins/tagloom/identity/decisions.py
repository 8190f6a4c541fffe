"""What people decide about identifiers: these belong together, never together, this one is nobody's.

Decisions are rows of operations.identity_decisions, by hash and so without a value in the clear. They are never
deleted: one that is taken back gets withdrawn_at. One command writes one batch, and batches never contradict others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tagloom import layer_state
from tagloom.identity.identifiers import Identifier, masked
from tagloom.operations import create_operations_tables

if TYPE_CHECKING:
    import duckdb

LINK, NEVER_LINK, BLOCK = "link", "never_link", "block"

Value = tuple[str, str]
"""Type and hash of an identifier."""


class DecisionError(ValueError):
    """A decision that cannot be taken, or not taken back; the message says why and what to do first."""


@dataclass(frozen=True)
class Draft:
    """A decision that is not written yet."""

    kind: str
    left: Identifier
    right: Identifier | None = None
    """None for block."""


@dataclass(frozen=True)
class Decision:
    """A row of operations.identity_decisions, and what became of it."""

    decision_id: int
    batch_id: int
    kind: str
    left: Value
    right: Value | None
    reason: str
    decided_by: str
    decided_at: datetime
    """UTC, without a time zone."""
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    state: str = ""
    """`in effect`, `at the next build` or `withdrawn`."""

    @property
    def sentence(self) -> str:
        """`never_link phone 3f9a1c2b… and email 81bc02d7…`."""
        left = f"{self.left[0]} {masked(self.left[1])}"
        return f"{self.kind} {left}" + (f" and {self.right[0]} {masked(self.right[1])}" if self.right else "")


def write(
    connection: duckdb.DuckDBPyConnection,
    drafts: Sequence[Draft],
    reason: str,
    decided_by: str,
    decided_at: datetime | None = None,
) -> int:
    """Write decisions as one batch and return its number. The next build follows them.

    decided_at: UTC; now when not given.

    Raises DecisionError when there is no reason, or when a decision is already live or contradicts live ones.
    """
    if not reason.strip():
        raise DecisionError("Say why with --because: whoever looks at it in a year was not there.")
    create_operations_tables(connection)
    moment = (decided_at or datetime.now(UTC)).replace(tzinfo=None)
    with changing(connection):
        refuse_contradictions(live_decisions(connection), drafts)
        return add_batch(connection, drafts, reason, decided_by, moment)


@contextmanager
def changing(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Decisions change in this block, all or none of them; the next build does not skip identity mapping then."""
    connection.begin()
    try:
        yield
        _tell_builds(connection)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def add_batch(
    connection: duckdb.DuckDBPyConnection, drafts: Sequence[Draft], reason: str, decided_by: str, decided_at: datetime
) -> int:
    """Add rows inside `changing` and return the number of the batch; they contradict nothing.

    decided_at: UTC, without a time zone.
    """
    [(batch, last)] = connection.execute(
        "select coalesce(max(batch_id), 0) + 1, coalesce(max(decision_id), 0) from operations.identity_decisions"
    ).fetchall()
    for number, draft in enumerate(drafts, last + 1):
        connection.execute(
            """
            insert into operations.identity_decisions
                (decision_id, kind, left_type, left_hash, right_type, right_hash, reason, decided_by, decided_at,
                 batch_id)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                *(number, draft.kind, draft.left.type, draft.left.hash),
                *((draft.right.type, draft.right.hash) if draft.right else (None, None)),
                *(reason.strip(), decided_by, decided_at, batch),
            ],
        )
    return batch


def withdraw(
    connection: duckdb.DuckDBPyConnection, batch: int, withdrawn_by: str, withdrawn_at: datetime | None = None
) -> list[Decision]:
    """Take a batch back and return what was in it; the next build is as if it had never been.

    Raises DecisionError when there is no such batch or it was withdrawn before.
    """
    create_operations_tables(connection)
    found = [decision for decision in all_decisions(connection) if decision.batch_id == batch]
    if not found:
        raise DecisionError(f"There is no batch {batch}; `identity decisions` lists those that can be withdrawn.")
    if all(decision.withdrawn_at for decision in found):
        raise DecisionError(
            f"Batch {batch} was withdrawn on {found[0].withdrawn_at:%Y-%m-%d} by {found[0].withdrawn_by} already."
        )
    with changing(connection):
        connection.execute(
            "update operations.identity_decisions set withdrawn_at = ?, withdrawn_by = ? "
            "where batch_id = ? and withdrawn_at is null",
            [(withdrawn_at or datetime.now(UTC)).replace(tzinfo=None), withdrawn_by, batch],
        )
    return found


def link(left: Identifier, right: Identifier) -> list[Draft]:
    """The two are one person's."""
    return [_pair(LINK, left, right)]


def never_link(left: Identifier, right: Identifier) -> list[Draft]:
    """The two are never one person's, whatever else joins them."""
    return [_pair(NEVER_LINK, left, right)]


def block(identifier: Identifier) -> list[Draft]:
    """The identifier says nothing about anybody."""
    return [Draft(BLOCK, identifier)]


def split(connection: duckdb.DuckDBPyConnection, person: int, leaving: Sequence[Identifier]) -> list[Draft]:
    """These identifiers leave the person, together: never with its anchor again, and linked with each other.

    Raises DecisionError when one of them is not the person's, or is the anchor, which its person_id stays with.
    """
    leaving = sorted(set(leaving))
    anchor = _anchor(connection, person)
    owners = dict(
        connection.execute(
            "select identifier_key, person_id from identity_mapping.identity_map "
            "where list_contains($keys, identifier_key)",
            {"keys": [identifier.key for identifier in leaving]},
        ).fetchall()
    )
    for identifier in leaving:
        if owners.get(identifier.key) != person:
            owner = owners.get(identifier.key)
            raise DecisionError(
                f"{identifier} is {'of nobody' if owner is None else f'of person {owner}'}, not of person {person}. "
                f"`identity explain person:{person}` lists what is."
            )
        if identifier == anchor:
            raise DecisionError(
                f"{identifier} is the anchor of person {person}, which the number {person} stays with. Name the "
                "identifiers of the other one instead."
            )
    first, *others = leaving
    return [
        *(_pair(NEVER_LINK, anchor, identifier) for identifier in leaving),
        *(_pair(LINK, first, identifier) for identifier in others),
    ]


def all_decisions(connection: duckdb.DuckDBPyConnection) -> list[Decision]:
    """Every decision ever taken, in that order; without `state`."""
    rows = connection.execute(
        """
        select decision_id, batch_id, kind, left_type, left_hash, right_type, right_hash, reason, decided_by,
            decided_at, withdrawn_at, withdrawn_by
        from operations.identity_decisions
        order by decision_id
        """
    ).fetchall()
    return [
        Decision(number, batch, kind, (left_type, left), (right_type, right) if right else None, *others)
        for number, batch, kind, left_type, left, right_type, right, *others in rows
    ]


def live_decisions(connection: duckdb.DuckDBPyConnection) -> list[Decision]:
    """The decisions that nobody has withdrawn."""
    return [decision for decision in all_decisions(connection) if decision.withdrawn_at is None]


def decisions_with_state(connection: duckdb.DuckDBPyConnection, *, with_withdrawn: bool) -> list[Decision]:
    """Decisions, each with whether the identity map that is built now follows it."""
    from dataclasses import replace

    create_operations_tables(connection)
    decisions = all_decisions(connection) if with_withdrawn else live_decisions(connection)
    followed = _followed(connection)
    return [
        replace(
            decision,
            state="withdrawn"
            if decision.withdrawn_at
            else "in effect"
            if decision.decision_id in followed
            else "at the next build",
        )
        for decision in decisions
    ]


def _followed(connection: duckdb.DuckDBPyConnection) -> set[int]:
    built = connection.execute(
        "select count(*) from duckdb_tables() where schema_name = 'identity_mapping' "
        "and table_name in ('identity_identifiers', 'identity_components')"
    ).fetchall()
    if built != [(2,)]:
        return set()
    rows = connection.execute(
        """
        with judged as (
            select identifier_type, identifier_hash, component_key, rejected_because
            from identity_mapping.identity_identifiers
            inner join identity_mapping.identity_components using (identifier_key)
        )
        select decision_id
        from operations.identity_decisions as decisions
        inner join judged as one
            on decisions.left_type = one.identifier_type and decisions.left_hash = one.identifier_hash
        left join judged as other
            on decisions.right_type = other.identifier_type and decisions.right_hash = other.identifier_hash
        where case kind
            when 'link' then one.component_key = other.component_key
            when 'never_link' then one.component_key <> other.component_key
            else one.rejected_because = 'blocked value'
        end
        """
    ).fetchall()
    return {number for (number,) in rows}


def _pair(kind: str, left: Identifier, right: Identifier) -> Draft:
    if left == right:
        raise DecisionError(f"Both are {left}; name two identifiers.")
    return Draft(kind, *sorted((left, right)))


def _anchor(connection: duckdb.DuckDBPyConnection, person: int) -> Identifier:
    found = connection.execute(
        "select identifier_key, identifier_type, identifier_hash from identity_mapping.person_registry "
        "inner join identity_mapping.identity_registry on anchor_key = identifier_key where person_id = ?",
        [person],
    ).fetchall()
    if not found:
        raise DecisionError(f"There is no person {person}.")
    return Identifier(*found[0])


def refuse_contradictions(live: list[Decision], drafts: Sequence[Draft]) -> None:
    """Raise DecisionError when drafts are live already, or contradict live decisions or each other.

    Links join in chains, so a pair contradicts when live links lead from one end to the other in any way.
    """
    known = {(decision.kind, decision.left, decision.right): decision.batch_id for decision in live}
    for draft in drafts:
        left, right = _ends(draft)
        batch = known.get((draft.kind, left, right)) or known.get((draft.kind, right, left))
        if batch:
            raise DecisionError(f"Batch {batch} says so already.")

    links = [(decision.left, decision.right, decision.batch_id) for decision in live if decision.kind == LINK]
    links += [(*_ends(draft), 0) for draft in drafts if draft.kind == LINK]
    apart = [(decision.left, decision.right, decision.batch_id) for decision in live if decision.kind == NEVER_LINK]
    apart += [(*_ends(draft), 0) for draft in drafts if draft.kind == NEVER_LINK]
    for left, right, batch in apart:
        chain = _chain(links, left, right)
        if chain is not None:
            _refuse({batch, *chain}, "what must never be one person would be linked")

    blocked = {decision.left: decision.batch_id for decision in live if decision.kind == BLOCK}
    blocked |= {_ends(draft)[0]: 0 for draft in drafts if draft.kind == BLOCK}
    for left, right, batch in links:
        for end in (left, right):
            if end in blocked:
                _refuse({batch, blocked[end]}, "a blocked identifier would be linked")


def _ends(draft: Draft) -> tuple[Value, Value | None]:
    left = (draft.left.type, draft.left.hash)
    return left, (draft.right.type, draft.right.hash) if draft.right else None


def _refuse(batches: Iterable[int], problem: str) -> None:
    known = sorted(set(batches) - {0})
    if not known:
        raise DecisionError(f"These decisions contradict each other: {problem}.")
    named = " and ".join(f"batch {batch}" for batch in known)
    commands = " or ".join(f"`identity withdraw {batch}`" for batch in known)
    raise DecisionError(f"This contradicts {named}: {problem}. If that was wrong, run {commands} first.")


def _chain(links: list[tuple[Value, Value, int]], start: Value, end: Value) -> list[int] | None:
    """Batches of the links that lead from one identifier to another, None when none do."""
    neighbours: dict[Value, list[tuple[Value, int]]] = {}
    for left, right, batch in links:
        neighbours.setdefault(left, []).append((right, batch))
        neighbours.setdefault(right, []).append((left, batch))
    batches: dict[Value, list[int]] = {start: []}
    waiting = deque([start])
    while waiting:
        here = waiting.popleft()
        if here == end:
            return batches[here]
        for there, batch in neighbours.get(here, ()):
            if there not in batches:
                batches[there] = [*batches[here], batch]
                waiting.append(there)
    return None


def _tell_builds(connection: duckdb.DuckDBPyConnection) -> None:
    """No layer is any more what a build would make now, so the next one does not skip identity mapping."""
    layer_state.last_build(connection)
    layer_state.note_update(connection)
