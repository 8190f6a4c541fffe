"""Carries out what stewards asked for in the portal: decisions about identifiers, withdrawals, simulations.

The portal cannot write while a build has the warehouse, so it keeps requests in its own database. Whoever gets the
warehouse next, the portal itself, the command or the DAG, writes them as decisions, which the next build follows.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import duckdb
from sqlalchemy import select

from tagloom.identity import decisions as deciding
from tagloom.identity.decisions import DecisionError, Draft
from tagloom.identity.identifiers import Identifier, IdentifierError
from tagloom.operations import create_operations_tables
from tagloom.portal.store.base import now
from tagloom.portal.store.decisions import DONE, FAILED, OPEN, REFUSED, RUNNING, WAITING, SteeringRequest
from tagloom.settings import Settings
from tagloom.warehouse import WarehouseBusyError, open_warehouse, prepare_connection

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

SIMULATE = "simulate"

DECISIONS = ("link", "never_link", "block", "split", "withdraw")

LOCK = ".steering.lock"
"""File in the home that the one process holds which carries requests out."""


class RequestError(ValueError):
    """A request that cannot be made; the message says why and what to do instead."""


def ask(
    session: Session, kind: str, content: dict[str, Any], reason: str, asked_by: str, at: datetime | None = None
) -> SteeringRequest:
    """Write a request down and return it; it is carried out by `carry_out_decisions` or `carry_out_simulation`.

    at: now when not given. Raises RequestError without a reason, for a kind that there is not, or when the same is
    still to be done.
    """
    if kind not in (*DECISIONS, SIMULATE):
        raise RequestError(f"There is no {kind!r}; there are {', '.join((*DECISIONS, SIMULATE))}.")
    if kind in DECISIONS and not reason.strip():
        raise RequestError("Say why: whoever looks at it in a year was not there.")
    for other in session.scalars(
        select(SteeringRequest).where(SteeringRequest.kind == kind, SteeringRequest.status.in_(OPEN))
    ):
        if other.content == content:
            raise RequestError(f"Request {other.id} by {other.asked_by} asks for the same and is still to be done.")
    request = SteeringRequest(
        kind=kind,
        content=content,
        reason=reason.strip(),
        asked_by=asked_by,
        asked_at=at or now(),
        status=WAITING,
        answer="",
    )
    session.add(request)
    session.commit()
    return request


def waiting(session: Session, *kinds: str) -> list[SteeringRequest]:
    """Requests of these kinds that are still to be done, in the order in which they were made."""
    return list(
        session.scalars(
            select(SteeringRequest)
            .where(SteeringRequest.kind.in_(kinds), SteeringRequest.status.in_(OPEN))
            .order_by(SteeringRequest.id)
        )
    )


@contextmanager
def one_at_a_time(settings: Settings) -> Iterator[bool]:
    """Whether this process is the one that carries requests out; another one that does is not waited for."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


@contextmanager
def warehouse_if_free(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection | None]:
    """The warehouse, or None when it is not built, may not be written here, or another process has it open."""
    if not settings.warehouse.exists():
        yield None
        return
    try:
        connection = duckdb.connect(
            str(settings.warehouse), config={"memory_limit": settings.memory_limit, "threads": settings.threads}
        )
    except (duckdb.IOException, duckdb.ConnectionException):
        yield None
        return
    try:
        prepare_connection(connection)
        yield connection
    finally:
        connection.close()


def carry_out_decisions(
    settings: Settings,
    session: Session,
    *,
    patiently: bool = False,
    then: Callable[[duckdb.DuckDBPyConnection], object] = lambda _connection: None,
) -> list[SteeringRequest]:
    """Write what was decided in the portal into the warehouse; returns the requests that are done or refused now.

    patiently: wait for a warehouse that is in use, and raise WarehouseBusyError when it stays so; else leave them.
    then: is called with the open warehouse when everything is written.
    May be killed at any moment: a decision that was written and not noted is recognised by who made it and when.
    """
    with one_at_a_time(settings) as it_is_us:
        todo = waiting(session, *DECISIONS) if it_is_us else []
        if not todo:
            return []
        opened = open_warehouse(settings) if patiently and settings.warehouse.exists() else warehouse_if_free(settings)
        with opened as connection:
            if connection is None:
                return []
            create_operations_tables(connection)
            for request in todo:
                _decide(connection, request)
                request.finished_at = now()
                session.commit()
            then(connection)
            session.commit()
        return todo


def carry_out_simulation(
    settings: Settings, session: Session, say: Callable[[str], None] = lambda _text: None
) -> SteeringRequest | None:
    """Run the simulation that waits longest and keep what it found; None when none waits or another process does it.

    Takes minutes and twice the warehouse's space in the home for a while; see tagloom.identity.simulate.
    """
    with one_at_a_time(settings) as it_is_us:
        # One that is said to be running was left by a process that is gone: only who has the lock runs one.
        todo = waiting(session, SIMULATE) if it_is_us else []
        if not todo:
            return None
        request = todo[0]
        request.status = RUNNING
        session.commit()
        try:
            found = _simulate(settings, request.content, say)
        except WarehouseBusyError as error:
            request.status, request.answer = WAITING, str(error)
            session.commit()
            raise
        except KeyboardInterrupt:
            request.status = WAITING
            session.commit()
            raise
        except _simulation_errors() as error:
            request.status, request.answer = FAILED, str(error)
        else:
            request.status, request.result = DONE, found
            request.answer = f"{found['persons']['before']:,} persons would be {found['persons']['after']:,}."
        request.finished_at = now()
        session.commit()
        return request


def _decide(connection: duckdb.DuckDBPyConnection, request: SteeringRequest) -> None:
    try:
        if request.kind == "withdraw":
            batch = int(request.content["batch"])
            _withdraw(connection, batch, request)
            request.answer = f"Batch {batch} is withdrawn."
        else:
            batch = _written_before(connection, request)
            if batch is None:
                drafts = _drafts(connection, request)
                batch = deciding.write(connection, drafts, request.reason, request.asked_by, request.asked_at)
            request.answer = f"Batch {batch}; the next build follows it."
        request.status, request.batch = DONE, batch
    except (DecisionError, IdentifierError) as error:
        request.status, request.answer = REFUSED, str(error)


def _withdraw(connection: duckdb.DuckDBPyConnection, batch: int, request: SteeringRequest) -> None:
    done = connection.execute(
        "select 1 from operations.identity_decisions where batch_id = ? and withdrawn_by = ? and withdrawn_at = ?",
        [batch, request.asked_by, _in_warehouse(request.asked_at)],
    ).fetchall()
    if not done:
        deciding.withdraw(connection, batch, request.asked_by, _in_warehouse(request.asked_at))


def _written_before(connection: duckdb.DuckDBPyConnection, request: SteeringRequest) -> int | None:
    rows = connection.execute(
        "select min(batch_id) from operations.identity_decisions where decided_by = ? and decided_at = ?",
        [request.asked_by, _in_warehouse(request.asked_at)],
    ).fetchall()
    return rows[0][0]


def _in_warehouse(moment: datetime) -> datetime:
    """As decisions are dated there: UTC, without a time zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _drafts(connection: duckdb.DuckDBPyConnection, request: SteeringRequest) -> list[Draft]:
    content = request.content
    if request.kind == "split":
        leaving = [_identifier(connection, end) for end in content["identifiers"]]
        return deciding.split(connection, int(content["person"]), leaving)
    left = _identifier(connection, content["left"])
    if request.kind == "block":
        return deciding.block(left)
    make = deciding.link if request.kind == "link" else deciding.never_link
    return make(left, _identifier(connection, content["right"]))


def _identifier(connection: duckdb.DuckDBPyConnection, end: dict[str, str]) -> Identifier:
    rows = connection.execute(
        "select identifier_key, identifier_type, identifier_hash from identity_mapping.identity_registry "
        "where identifier_type = ? and identifier_hash = ?",
        [end["type"], end["hash"]],
    ).fetchall()
    if not rows:
        raise IdentifierError(
            f"No {end['type']} with the hash {end['hash'][:8]}… is known any more; look the person up again."
        )
    return Identifier(*rows[0])


def _simulate(settings: Settings, content: dict[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
    # Brings dbt, which who only decides does without.
    from tagloom.identity.policy import POLICY_FILE, load_policy
    from tagloom.identity.simulate import simulate

    with TemporaryDirectory(dir=settings.home, prefix=".steering-") as folder:
        policy_file = POLICY_FILE
        if content.get("policy"):
            policy_file = Path(folder) / "policy.yml"
            policy_file.write_text(content["policy"], encoding="utf-8")
        tried = None
        if content.get("decisions"):
            tried = Path(folder) / "decisions.txt"
            tried.write_text("\n".join(_lines(settings, content["decisions"])) + "\n", encoding="utf-8")
        found = simulate(
            settings,
            load_policy(policy_file),
            tried,
            only_identity=bool(content.get("only_identity")),
            say=say,
        )
    return _as_json(asdict(found))


def _lines(settings: Settings, decisions: list[dict[str, Any]]) -> list[str]:
    """Decisions as lines of a file for `simulate`, identifiers by their numbers."""
    with open_warehouse(settings) as connection:

        def number(end: dict[str, str]) -> str:
            return f"key:{_identifier(connection, end).key}"

        lines = []
        for decision in decisions:
            kind, content = decision["kind"], decision["content"]
            if kind == "withdraw":
                lines.append(f"withdraw {int(content['batch'])}")
            elif kind == "split":
                leaving = " ".join(number(end) for end in content["identifiers"])
                lines.append(f"split person:{int(content['person'])} {leaving}")
            elif kind == "block":
                lines.append(f"block {number(content['left'])}")
            else:
                verb = kind.replace("_", "-")
                lines.append(f"{verb} {number(content['left'])} {number(content['right'])}")
        return lines


def _simulation_errors() -> tuple[type[Exception], ...]:
    from tagloom.identity.policy import PolicyError
    from tagloom.identity.simulate import SimulationError
    from tagloom.transform import TransformError

    return (PolicyError, SimulationError, TransformError, DecisionError, IdentifierError)


def _as_json(value: Any) -> Any:
    match value:
        case dict():
            return {key: _as_json(one) for key, one in value.items()}
        case list() | tuple():
            return [_as_json(one) for one in value]
        case date():
            return value.isoformat()
    return value
