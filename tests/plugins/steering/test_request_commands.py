"""`identity carry-out` does what was asked for in the portal and says so."""

from __future__ import annotations

import argparse

import duckdb
import pytest
from tagloom.identity import request_commands
from tagloom.portal.store.base import open_store
from tagloom.settings import Settings
from tagloom.steering.requests import ask

from tests.plugins.identity.people import Edge, identifier, make_people

CARD, EMAIL = identifier(1, "loyalty_card"), identifier(2, "email")


def carry_out(settings: Settings, *arguments: str) -> None:
    parser = argparse.ArgumentParser()
    request_commands.add(parser.add_subparsers(required=True))
    options = parser.parse_args(["carry-out", *arguments])
    options.function(settings, options)


def test_it_says_what_became_of_each_request(settings: Settings, capsys: pytest.CaptureFixture) -> None:
    with duckdb.connect(str(settings.warehouse)) as connection:
        make_people(connection, {CARD.key: CARD.type, EMAIL.key: EMAIL.type}, [Edge(1, 2)])
    with open_store(settings).session() as session:
        ask(session, "block", {"left": {"type": EMAIL.type, "hash": EMAIL.hash}}, "made up", "ann")
        ask(session, "simulate", {"policy": "nonsense: 1", "decisions": [], "only_identity": True}, "", "ann")
    carry_out(settings, "--no-simulations")
    told = capsys.readouterr().out
    assert "request 1, block: done. Batch 1; the next build follows it." in told
    assert "renewed for the portal: suspects, reviews, decisions" in told
    carry_out(settings)
    assert "request 2, simulate: failed. policy.yml: " in capsys.readouterr().out
    carry_out(settings)
    assert "nothing was asked for" in capsys.readouterr().out
