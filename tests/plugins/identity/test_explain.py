"""The way between two identifiers: the shortest, of those the strongest; if there is none, over refused edges."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest
from tagloom.identity import decisions
from tagloom.identity.explain import explain, portrait

from tests.plugins.identity.people import SEEN, Edge, identifier, make_people

KINDS = {
    **{1: "loyalty_card", 2: "email", 3: "phone", 4: "web_account", 5: "web_account"},
    **{11: "loyalty_card", 12: "email", 13: "phone", 14: "web_account"},
    **{21: "phone", 22: "phone", 31: "loyalty_card"},
}

EDGES = [
    Edge(1, 2, sources=("crm", "loyalty")),
    Edge(1, 3),
    Edge(2, 4),
    Edge(3, 4),
    Edge(4, 5),
    Edge(11, 12),
    Edge(11, 13),
    Edge(12, 14, kind="manual"),
    # A family's phone and a made-up one join the two, and the solver left one edge out.
    Edge(1, 21, "shared identifier"),
    Edge(11, 21, "shared identifier"),
    Edge(2, 22, "blocked value"),
    Edge(14, 22, "blocked value"),
    Edge(5, 13, "component guard", by_solver=True),
]


def one(key):
    return identifier(key, KINDS[key])


@pytest.fixture
def people():
    with duckdb.connect() as connection:
        make_people(connection, KINDS, EDGES, verdicts={21: "shared identifier", 22: "blocked value"})
        yield connection


def way(found):
    return [(step.left.key, step.right.key) for step in found.steps]


def test_the_shortest_way_over_the_strongest_links(people):
    found = explain(people, one(1), one(5))
    assert found.joined
    assert (found.left_person, found.right_person) == (10, 10)
    # 1-2-4-5 and 1-3-4-5 are as long; e-mail is stronger than phone.
    assert way(found) == [(1, 2), (2, 4), (4, 5)]
    first = found.steps[0]
    assert (first.kind, first.strength, first.observations, first.rejected_because) == ("exact", 3, 2, None)
    assert first.sources == ("crm", "loyalty")
    assert (first.first_seen_at, first.last_seen_at) == SEEN
    assert first.why == "seen together in 2 records"


def test_the_way_back_is_the_same_way(people):
    assert way(explain(people, one(5), one(1))) == [(5, 4), (4, 2), (2, 1)]


def test_a_decided_link_says_who_decided_it(people):
    batch = decisions.write(people, decisions.link(one(12), one(14)), "same signature", "ann")
    [step] = explain(people, one(12), one(14)).steps
    assert (step.kind, step.strength, step.sources) == ("manual", 9, ())
    assert step.why == f"batch {batch} by ann: same signature"


def test_what_parts_two_people_is_the_way_with_the_fewest_refused_links(people):
    found = explain(people, one(1), one(11))
    assert not found.joined
    assert (found.left_person, found.right_person) == (10, 110)
    # Over the family's phone there are two refused links, over the one that the guard refused only one.
    assert [(step.left.key, step.right.key, step.rejected_because) for step in found.steps] == [
        (1, 2, None),
        (2, 4, None),
        (4, 5, None),
        (5, 13, "component guard"),
        (13, 11, None),
    ]
    assert "at most 1 loyalty card, 1 web account; stronger links came first" in found.steps[3].why


@pytest.mark.parametrize(
    ("left", "right", "why"),
    [
        (1, 21, "is seen with 4 different loyalty cards, allowed are 1"),
        (2, 22, "is a made-up value by the policy"),
    ],
)
def test_a_refused_link_names_the_guard(people, left, right, why):
    [step] = explain(people, one(left), one(right)).steps
    assert why in step.why


def test_a_blocked_value_names_the_decision(people):
    batch = decisions.write(people, decisions.block(one(22)), "the shop's own number", "ann")
    assert explain(people, one(2), one(22)).steps[0].why.endswith(f"is blocked by batch {batch}: the shop's own number")


def test_a_link_that_must_never_be_names_the_decision(people):
    people.execute(
        "update identity_mapping.identity_rejected_edges set rejected_because = 'never linked' where left_key = 5"
    )
    assert "see `identity decisions`" in explain(people, one(5), one(13)).steps[0].why
    batch = decisions.write(people, decisions.never_link(one(13), one(5)), "father and son", "ann")
    assert explain(people, one(5), one(13)).steps[0].why == f"batch {batch} by ann: father and son"


def test_without_any_way_there_are_no_steps(people):
    found = explain(people, one(1), one(31))
    assert (found.joined, found.steps, found.right_person) == (False, (), 310)


def test_an_identifier_and_itself_are_joined(people):
    found = explain(people, one(1), one(1))
    assert (found.joined, found.steps) == (True, ())


def test_a_person_hangs_on_its_strongest_links(people):
    found = portrait(people, 10)
    assert found.anchor == one(1)
    held = {member.identifier.key: member.by.left.key if member.by else None for member in found.members}
    # The e-mail address leads to the account; the phone is weaker, so nothing hangs on it.
    assert held == {1: None, 2: 1, 3: 1, 4: 2, 5: 4}
    assert [member.identifier.key for member in found.members] == [1, 2, 3, 4, 5]
    assert found.members[0].records == 3


def test_a_persons_changes_are_told_the_newest_first(people):
    people.execute(
        "insert into identity_mapping.identity_changes values "
        "(1, date '2017-01-02', 'create', 10, null, 3, null, null, 'new'), "
        "(2, date '2017-01-03', 'merge', 7, 10, 2, 1, 2, 'linked')"
    )
    assert portrait(people, 10).changes == (
        (date(2017, 1, 3), "merge", "linked"),
        (date(2017, 1, 2), "create", "new"),
    )


def test_a_retired_person_names_its_survivor(people):
    people.execute("insert into identity_mapping.person_registry values (7, 1)")
    people.execute("insert into identity_mapping.person_redirects values (7, 10)")
    found = portrait(people, 7)
    assert (found.members, found.anchor, found.survivor) == ((), None, 10)
