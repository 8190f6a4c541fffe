"""Notes hold what the portal shows of the warehouse, without a value in the clear, and are renewed when it changes."""

from __future__ import annotations

import json
from datetime import date

import duckdb
import pytest
from sqlalchemy.orm import Session
from tagloom.identity import review_commands
from tagloom.monitoring.watch import TABLE
from tagloom.portal.store.base import open_store
from tagloom.settings import Settings
from tagloom.steering.notes import CHANNELS, DECISIONS, REVIEWS, SUSPECTS, read_note, take_notes
from tagloom.steering.requests import ask, carry_out_decisions

from tests.plugins.identity.people import Edge, identifier, make_people, value_of

CARD, EMAIL, PHONE, OTHER_CARD = (
    identifier(key, kind) for key, kind in enumerate(("loyalty_card", "email", "phone", "loyalty_card"), start=1)
)


@pytest.fixture
def session(settings: Settings):
    """The portal's store beside a warehouse with two persons, one suspect, one pair to review, one alarming channel."""
    with duckdb.connect(str(settings.warehouse)) as connection:
        kinds = {one.key: one.type for one in (CARD, EMAIL, PHONE, OTHER_CARD)}
        make_people(connection, kinds, [Edge(1, 2), Edge(2, 3)])
        connection.execute(
            "insert into identity_mapping.identity_suspects values "
            "(3, 'phone', ?, 2, 9, 'never-link', 'Phone of one person with two names', 1, 1, 2), "
            "(2, 'email', ?, 4, 5, 'block the value', 'E-mail of four persons', 3, null, null)",
            [PHONE.hash, EMAIL.hash],
        )
        connection.execute(
            "insert into operations.identity_matches values ('loyalty_card', ?, 'loyalty_card', ?, 0.71, 'review', "
            "'m', date '2017-12-31', '{\"surname\": 8.5}')",
            [CARD.hash, OTHER_CARD.hash],
        )
        connection.execute(TABLE)
        connection.execute("create schema intermediate")
        connection.execute(
            "create table intermediate.int_orders as "
            "select date '2017-12-01' + n::integer as order_date, n % 2 = 0 as has_coupon, 10.0 as sales_amount, "
            "1 as store_id from range(31) days (n)"
        )
        connection.execute(
            "insert into operations.channel_alarms values "
            "(date '2017-12-31', 'coupon_redemption', 'all stores', 1, 2, 0.5, 0.6, 0.48, null, true, 'It is low.')"
        )
    with open_store(settings).session() as session:
        yield session


@pytest.fixture(autouse=True)
def compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values side by side come from the records, which these tables do not have."""
    rows = [("surname", "Pe••••on", "Pe••••en", "different", "strongly for")]
    monkeypatch.setattr(
        review_commands, "compared", lambda _connection, _policy, shown: {pair.name: rows for pair in shown}
    )


def test_notes_say_what_is_suspect_with_the_decision_that_cures_it(settings: Settings, session: Session) -> None:
    assert take_notes(settings, session) == [SUSPECTS, REVIEWS, DECISIONS, CHANNELS]
    rows, taken_at = read_note(session, SUSPECTS)
    assert taken_at is not None
    apart, block = rows
    assert apart["proposal"]["kind"] == "never_link"
    assert {apart["proposal"][side]["hash"] for side in ("left", "right")} == {CARD.hash, EMAIL.hash}
    assert apart["identifier"] == {"type": "phone", "hash": PHONE.hash, "number": 3, "person": 10}
    assert (block["proposal"]["kind"], block["proposal"]["left"]["hash"]) == ("block", EMAIL.hash)


def test_notes_hold_open_pairs_until_they_are_decided(settings: Settings, session: Session) -> None:
    take_notes(settings, session)
    [pair] = read_note(session, REVIEWS)[0]
    assert (pair["probability"], pair["left"]["hash"], pair["right"]["hash"]) == (0.71, CARD.hash, OTHER_CARD.hash)
    assert pair["compared"] == [["surname", "Pe••••on", "Pe••••en", "different", "strongly for"]]
    content = {side: {"type": pair[side]["type"], "hash": pair[side]["hash"]} for side in ("left", "right")}
    ask(session, "link", content, "same passport", "ann")
    carry_out_decisions(settings, session)
    assert take_notes(settings, session, always=True)
    assert read_note(session, REVIEWS)[0] == []
    [decision] = read_note(session, DECISIONS)[0]
    assert (decision["batch"], decision["kind"], decision["state"]) == (1, "link", "at the next build")


def test_notes_draw_channels(settings: Settings, session: Session) -> None:
    take_notes(settings, session)
    [channel] = read_note(session, CHANNELS)[0]
    assert (channel["monitor"], channel["part"]) == ("coupon_redemption", "all stores")
    assert len(channel["days"]) == 90
    assert channel["days"][-1] == ["2017-12-31", 1.0]
    assert channel["days"][0] == ["2017-10-03", None]
    assert channel["verdicts"]["2017-12-31"]["is_alarming"] is True


def test_notes_are_renewed_only_when_the_warehouse_was_written(settings: Settings, session: Session) -> None:
    assert take_notes(settings, session)
    assert take_notes(settings, session) == []
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("delete from identity_mapping.identity_suspects")
        connection.execute("checkpoint")
    assert take_notes(settings, session)
    assert read_note(session, SUSPECTS)[0] == []


def test_notes_hold_nothing_in_the_clear(settings: Settings, session: Session) -> None:
    take_notes(settings, session)
    content = json.dumps([read_note(session, name)[0] for name in (SUSPECTS, REVIEWS, DECISIONS, CHANNELS)])
    for one in (EMAIL, PHONE):
        assert value_of(one.key, one.type) not in content


def test_what_is_not_built_yet_is_left_out(settings: Settings) -> None:
    with open_store(settings).session() as session:
        assert take_notes(settings, session) == []
        with duckdb.connect(str(settings.warehouse)) as connection:
            connection.execute("create table x (a date)")
            connection.execute("insert into x values (?)", [date(2017, 1, 1)])
        assert take_notes(settings, session) == [DECISIONS]
        assert read_note(session, SUSPECTS) == ([], None)
