"""Decisions are kept with who and when, never contradict each other, and can be taken back."""

from __future__ import annotations

from datetime import date, datetime

import duckdb
import pytest
from tagloom import layer_state
from tagloom.identity import decisions
from tagloom.identity.decisions import DecisionError, all_decisions, decisions_with_state, live_decisions
from tagloom.transform import LAYERS

from tests.plugins.identity.people import Edge, identifier, make_people

CARD, EMAIL, PHONE, OTHER_CARD, OTHER_EMAIL = (
    identifier(key, kind)
    for key, kind in enumerate(("loyalty_card", "email", "phone", "loyalty_card", "email"), start=1)
)
MOMENT = datetime(2017, 7, 1, 12, 30)


@pytest.fixture
def connection():
    """Person 10 has a card, an e-mail address and a phone, person 40 a card and an e-mail address."""
    with duckdb.connect() as connection:
        kinds = {one.key: one.type for one in (CARD, EMAIL, PHONE, OTHER_CARD, OTHER_EMAIL)}
        make_people(connection, kinds, [Edge(1, 2), Edge(2, 3), Edge(4, 5)])
        yield connection


def decide(connection, drafts, reason="the form says so", by="ann"):
    return decisions.write(connection, drafts, reason, by, MOMENT)


def test_a_decision_is_kept_with_who_when_and_why(connection):
    assert decide(connection, decisions.link(OTHER_CARD, CARD)) == 1
    [kept] = all_decisions(connection)
    assert (kept.decision_id, kept.batch_id, kept.kind) == (1, 1, "link")
    assert (kept.left, kept.right) == ((CARD.type, CARD.hash), (OTHER_CARD.type, OTHER_CARD.hash))
    assert (kept.reason, kept.decided_by, kept.decided_at) == ("the form says so", "ann", MOMENT)
    assert (kept.withdrawn_at, kept.withdrawn_by) == (None, None)
    assert kept.sentence == f"link loyalty_card {CARD.hash[:8]}… and loyalty_card {OTHER_CARD.hash[:8]}…"


def test_a_decision_needs_a_reason(connection):
    with pytest.raises(DecisionError, match="--because"):
        decide(connection, decisions.block(PHONE), reason="  ")
    assert all_decisions(connection) == []


def test_numbers_go_on_from_batch_to_batch(connection):
    assert decide(connection, decisions.split(connection, 10, [EMAIL, PHONE])) == 1
    assert decide(connection, decisions.block(OTHER_EMAIL)) == 2
    assert [(one.decision_id, one.batch_id) for one in all_decisions(connection)] == [(1, 1), (2, 1), (3, 1), (4, 2)]


def test_a_split_parts_from_the_anchor_and_keeps_what_leaves_together(connection):
    drafts = decisions.split(connection, 10, [PHONE, EMAIL, PHONE])
    assert [(draft.kind, draft.left.key, draft.right.key) for draft in drafts] == [
        ("never_link", 1, 2),
        ("never_link", 1, 3),
        ("link", 2, 3),
    ]


@pytest.mark.parametrize(
    ("leaving", "sentence"),
    [
        ([CARD], "is the anchor of person 10, which the number 10 stays with"),
        ([OTHER_EMAIL], "is of person 40, not of person 10"),
        ([identifier(99, "email")], "is of nobody, not of person 10"),
    ],
)
def test_only_what_is_the_persons_can_leave_it(connection, leaving, sentence):
    with pytest.raises(DecisionError) as refusal:
        decisions.split(connection, 10, leaving)
    assert sentence in str(refusal.value)


def test_nothing_is_linked_with_itself():
    with pytest.raises(DecisionError, match="name two identifiers"):
        decisions.link(CARD, CARD)


@pytest.mark.parametrize(
    ("before", "now", "sentence"),
    [
        ([decisions.link(CARD, OTHER_CARD)], decisions.link(OTHER_CARD, CARD), "Batch 1 says so already"),
        ([decisions.block(PHONE)], decisions.block(PHONE), "Batch 1 says so already"),
        ([decisions.never_link(CARD, OTHER_CARD)], decisions.link(OTHER_CARD, CARD), "`identity withdraw 1`"),
        ([decisions.link(CARD, OTHER_CARD)], decisions.never_link(CARD, OTHER_CARD), "`identity withdraw 1`"),
        (
            [decisions.link(CARD, EMAIL), decisions.link(EMAIL, OTHER_EMAIL), decisions.block(PHONE)],
            decisions.never_link(CARD, OTHER_EMAIL),
            "batch 1 and batch 2",
        ),
        (
            [decisions.never_link(CARD, OTHER_EMAIL), decisions.link(CARD, EMAIL)],
            decisions.link(EMAIL, OTHER_EMAIL),
            "contradicts batch 1 and batch 2",
        ),
        ([decisions.block(PHONE)], decisions.link(CARD, PHONE), "a blocked identifier would be linked"),
        ([decisions.link(CARD, PHONE)], decisions.block(PHONE), "a blocked identifier would be linked"),
    ],
)
def test_a_contradiction_is_refused_and_names_what_to_withdraw(connection, before, now, sentence):
    for drafts in before:
        decide(connection, drafts)
    with pytest.raises(DecisionError) as refusal:
        decide(connection, now)
    assert sentence in str(refusal.value)
    assert len(all_decisions(connection)) == len(before), "half of a refused batch was written"


def test_what_is_not_a_contradiction_goes_through(connection):
    decide(connection, decisions.link(CARD, EMAIL))
    decide(connection, decisions.never_link(CARD, OTHER_CARD))
    decide(connection, decisions.link(OTHER_CARD, OTHER_EMAIL))
    decide(connection, decisions.block(PHONE))
    assert len(live_decisions(connection)) == 4


def test_a_withdrawn_batch_is_kept_and_holds_no_longer(connection):
    decide(connection, decisions.split(connection, 10, [EMAIL, PHONE]))
    decide(connection, decisions.block(OTHER_EMAIL))
    taken_back = decisions.withdraw(connection, 1, "bob", MOMENT)
    assert [one.kind for one in taken_back] == ["never_link", "never_link", "link"]
    assert [one.batch_id for one in live_decisions(connection)] == [2]
    kept = all_decisions(connection)
    assert {(one.withdrawn_by, one.withdrawn_at) for one in kept if one.batch_id == 1} == {("bob", MOMENT)}
    decide(connection, decisions.link(CARD, EMAIL))
    assert live_decisions(connection)[-1].batch_id == 3, "what was withdrawn still contradicts"


def test_only_a_batch_that_holds_can_be_withdrawn(connection):
    with pytest.raises(DecisionError, match="There is no batch 7"):
        decisions.withdraw(connection, 7, "bob")
    decide(connection, decisions.block(PHONE))
    decisions.withdraw(connection, 1, "bob", MOMENT)
    with pytest.raises(DecisionError, match="Batch 1 was withdrawn on 2017-07-01 by bob already"):
        decisions.withdraw(connection, 1, "bob")


def test_a_decision_is_in_effect_when_the_tables_follow_it(connection):
    decide(connection, decisions.link(CARD, PHONE))
    decide(connection, decisions.link(CARD, OTHER_CARD))
    decide(connection, decisions.never_link(CARD, OTHER_EMAIL))
    decide(connection, decisions.never_link(EMAIL, PHONE))
    decide(connection, decisions.block(OTHER_EMAIL))
    decisions.withdraw(connection, 2, "bob", MOMENT)

    def states(**options):
        return {one.batch_id: one.state for one in decisions_with_state(connection, **options)}

    later = "at the next build"
    assert states(with_withdrawn=False) == {1: "in effect", 3: "in effect", 4: later, 5: later}
    assert states(with_withdrawn=True)[2] == "withdrawn"
    connection.execute(
        "update identity_mapping.identity_identifiers set rejected_because = 'blocked value' where identifier_key = 5"
    )
    assert states(with_withdrawn=False)[5] == "in effect"


@pytest.fixture
def built(connection, settings):
    """The fingerprint of a finished build."""
    fingerprint = layer_state.inputs_fingerprint(connection, settings, date(2017, 1, 1))
    for layer in LAYERS:
        layer_state.begin(connection, layer)
        layer_state.finish(connection, layer, fingerprint, date(2017, 1, 1))
    assert layer_state.is_current(connection, LAYERS[1], fingerprint)
    return fingerprint


def test_a_decision_makes_the_next_build_look_again(connection, built):
    decide(connection, decisions.block(PHONE))
    assert not any(layer_state.is_current(connection, layer, built) for layer in LAYERS)


def test_a_withdrawal_makes_the_next_build_look_again(connection, settings):
    decide(connection, decisions.block(PHONE))
    fingerprint = layer_state.inputs_fingerprint(connection, settings, date(2017, 1, 1))
    for layer in LAYERS:
        layer_state.finish(connection, layer, fingerprint, date(2017, 1, 1))
    decisions.withdraw(connection, 1, "bob")
    assert not any(layer_state.is_current(connection, layer, fingerprint) for layer in LAYERS)


def test_a_refused_decision_leaves_the_build_as_it_is(connection, built):
    with pytest.raises(DecisionError):
        decide(connection, decisions.block(PHONE) + decisions.link(CARD, PHONE))
    assert layer_state.is_current(connection, LAYERS[1], built)
