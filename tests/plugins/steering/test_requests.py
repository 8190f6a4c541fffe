"""What stewards ask for is written once, whoever gets the warehouse, and says what became of it."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest
from sqlalchemy.orm import Session
from tagloom.identity import decisions
from tagloom.identity.decisions import all_decisions
from tagloom.identity.differences import Change, Persons, Simulation
from tagloom.identity.identifiers import Identifier
from tagloom.portal.store.base import open_store
from tagloom.portal.store.decisions import DONE, FAILED, REFUSED, RUNNING, WAITING, SteeringRequest
from tagloom.settings import Settings
from tagloom.steering import requests
from tagloom.steering.requests import RequestError, ask, carry_out_decisions, carry_out_simulation
from tagloom.warehouse import WarehouseBusyError

from tests.plugins.identity.people import Edge, identifier, make_people

CARD, EMAIL, PHONE, OTHER_CARD = (
    identifier(key, kind) for key, kind in enumerate(("loyalty_card", "email", "phone", "loyalty_card"), start=1)
)


@pytest.fixture
def session(settings: Settings):
    """The portal's store beside a warehouse in which person 10 has a card, an e-mail address and a phone."""
    with duckdb.connect(str(settings.warehouse)) as connection:
        kinds = {one.key: one.type for one in (CARD, EMAIL, PHONE, OTHER_CARD)}
        make_people(connection, kinds, [Edge(1, 2), Edge(2, 3)])
    with open_store(settings).session() as session:
        yield session


def end(one: Identifier) -> dict[str, str]:
    return {"type": one.type, "hash": one.hash}


def pair(left: Identifier, right: Identifier) -> dict:
    return {"left": end(left), "right": end(right)}


def written(settings: Settings) -> list[tuple[str, str, str, bool]]:
    with duckdb.connect(str(settings.warehouse)) as connection:
        return [
            (one.kind, one.reason, one.decided_by, one.withdrawn_at is not None) for one in all_decisions(connection)
        ]


def test_a_decision_becomes_one_batch(settings: Settings, session: Session) -> None:
    request = ask(session, "never_link", pair(CARD, PHONE), "two people", "ann")
    assert carry_out_decisions(settings, session) == [request]
    assert (request.status, request.batch) == (DONE, 1)
    assert written(settings) == [("never_link", "two people", "ann", False)]
    assert carry_out_decisions(settings, session) == []


@pytest.mark.parametrize(
    ("kind", "content", "rows"),
    [
        ("link", pair(CARD, OTHER_CARD), ["link"]),
        ("block", {"left": end(PHONE)}, ["block"]),
        ("split", {"person": 10, "identifiers": [end(EMAIL), end(PHONE)]}, ["never_link", "never_link", "link"]),
    ],
)
def test_every_kind_is_written(settings: Settings, session: Session, kind: str, content: dict, rows: list) -> None:
    ask(session, kind, content, "the form says so", "ann")
    carry_out_decisions(settings, session)
    assert [row[0] for row in written(settings)] == rows


def test_a_batch_is_withdrawn_once(settings: Settings, session: Session) -> None:
    ask(session, "block", {"left": end(PHONE)}, "made up", "ann")
    carry_out_decisions(settings, session)
    first = ask(session, "withdraw", {"batch": 1}, "it was real", "bob")
    carry_out_decisions(settings, session)
    assert first.status == DONE
    assert written(settings)[0][3]
    second = ask(session, "withdraw", {"batch": 1}, "once more", "bob")
    carry_out_decisions(settings, session)
    assert second.status == REFUSED
    assert "withdrawn" in second.answer


def test_a_kill_between_writing_and_noting_writes_nothing_twice(settings: Settings, session: Session) -> None:
    request = ask(session, "block", {"left": end(PHONE)}, "made up", "ann")
    for _ in range(2):
        carry_out_decisions(settings, session)
        request.status, request.batch = WAITING, None
        session.commit()
    carry_out_decisions(settings, session)
    assert (request.status, request.batch, len(written(settings))) == (DONE, 1, 1)
    withdrawal = ask(session, "withdraw", {"batch": 1}, "it was real", "ann")
    carry_out_decisions(settings, session)
    withdrawal.status = WAITING
    session.commit()
    carry_out_decisions(settings, session)
    assert withdrawal.status == DONE


def test_what_contradicts_others_is_refused_and_the_rest_is_done(settings: Settings, session: Session) -> None:
    ask(session, "never_link", pair(CARD, PHONE), "two people", "ann")
    contradicting = ask(session, "link", pair(CARD, PHONE), "one person", "bob")
    last = ask(session, "block", {"left": end(EMAIL)}, "made up", "ann")
    unknown = ask(session, "block", {"left": {"type": "phone", "hash": "0" * 64}}, "gone", "ann")
    carry_out_decisions(settings, session)
    assert contradicting.status == REFUSED
    assert "contradicts batch 1" in contradicting.answer
    assert last.status == DONE
    assert unknown.status == REFUSED
    assert "00000000…" in unknown.answer


def test_the_same_is_not_asked_twice_and_needs_a_reason(settings: Settings, session: Session) -> None:
    ask(session, "block", {"left": end(PHONE)}, "made up", "ann")
    with pytest.raises(RequestError, match="Request 1 by ann asks for the same"):
        ask(session, "block", {"left": end(PHONE)}, "made up!", "bob")
    with pytest.raises(RequestError, match="Say why"):
        ask(session, "block", {"left": end(EMAIL)}, " ", "bob")
    with pytest.raises(RequestError, match="There is no 'forget'"):
        ask(session, "forget", {}, "x", "bob")


HOLD = """
import sys, time, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_a_warehouse_in_use_is_not_waited_for(
    settings: Settings, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask(session, "block", {"left": end(PHONE)}, "made up", "ann")
    builder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(settings.warehouse)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert builder.stdout.readline() == "open\n"
        assert carry_out_decisions(settings, session) == []
        assert request.status == WAITING
        monkeypatch.setattr("tagloom.warehouse.LOCK_WAIT_SECONDS", 0)
        with pytest.raises(WarehouseBusyError):
            carry_out_decisions(settings, session, patiently=True)
    finally:
        builder.communicate("")
    assert carry_out_decisions(settings, session) == [request]


def test_without_a_warehouse_requests_wait(settings: Settings, tmp_path: Path) -> None:
    with open_store(settings).session() as session:
        ask(session, "block", {"left": end(PHONE)}, "made up", "ann")
        assert carry_out_decisions(settings, session) == []


FOUND = Simulation(
    date(2017, 12, 31),
    "before",
    "after",
    Persons(10, 9, 2, 1, 0, 0, 0, 0, 3),
    (("merge person 1 and 2", "phone", "seen together"),),
    None,
    None,
    (Change("persons", 10, 9),),
)


def test_a_simulation_is_kept_with_what_it_found(
    settings: Settings, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def simulate(settings, policy, decisions_file, *, only_identity, say):
        tried.append((policy.plus_tags, decisions_file and decisions_file.read_text(), only_identity))
        return FOUND

    monkeypatch.setattr("tagloom.identity.simulate.simulate", simulate)
    decided = [{"kind": "never_link", "content": pair(CARD, PHONE)}, {"kind": "withdraw", "content": {"batch": 4}}]
    ask(session, "simulate", {"policy": None, "decisions": decided, "only_identity": True}, "", "ann")
    request = carry_out_simulation(settings, session)
    assert tried == [("strip", "never-link key:1 key:3\nwithdraw 4\n", True)]
    assert request.status == DONE
    assert request.result["persons"]["after"] == 9
    assert request.result["as_of_date"] == "2017-12-31"
    assert carry_out_simulation(settings, session) is None
    assert not list(settings.home.glob(".steering-*"))


def test_a_policy_that_cannot_be_read_fails_with_its_sentence(settings: Settings, session: Session) -> None:
    ask(session, "simulate", {"policy": "plus_tags: maybe", "decisions": [], "only_identity": True}, "", "ann")
    request = carry_out_simulation(settings, session)
    assert request.status == FAILED
    assert "plus_tags" in request.answer


def test_a_killed_simulation_is_begun_again(
    settings: Settings, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask(session, "simulate", {"policy": None, "decisions": [], "only_identity": True}, "", "ann")
    request.status = RUNNING
    session.commit()
    monkeypatch.setattr("tagloom.identity.simulate.simulate", lambda *_arguments, **_options: FOUND)
    with requests.one_at_a_time(settings) as it_is_us:
        assert it_is_us
        # Another process is at it: not touched.
        assert carry_out_simulation(settings, session) is None
    assert carry_out_simulation(settings, session).status == DONE


def test_interrupted_it_waits_again(settings: Settings, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(session, "simulate", {"policy": None, "decisions": [], "only_identity": True}, "", "ann")

    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("tagloom.identity.simulate.simulate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        carry_out_simulation(settings, session)
    assert session.get(SteeringRequest, 1).status == WAITING


def test_decisions_module_knows_the_kinds() -> None:
    assert {decisions.LINK, decisions.NEVER_LINK, decisions.BLOCK} <= set(requests.DECISIONS)
