"""Identity pages: what holds a person together, and decisions that become requests, are logged and carried out."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pytest
from fastapi import FastAPI
from sqlalchemy import select
from starlette.testclient import TestClient
from tagloom.identity.decisions import all_decisions
from tagloom.identity.policy import POLICY_FILE
from tagloom.portal.serving import Snapshot
from tagloom.portal.store.audit import AuditEntry
from tagloom.portal.store.decisions import SteeringNote, SteeringRequest
from tagloom.portal.who_is_who import cluster, layers, sizes
from tagloom.settings import Settings
from tagloom.steering.notes import CHANNELS, DECISIONS, REVIEWS, SUSPECTS
from tagloom.steering.requests import carry_out_decisions

from tests.plugins.identity.people import Edge, identifier, make_people

ClientAs = Callable[..., TestClient]

CARD, EMAIL, PHONE, OTHER_CARD = (
    identifier(key, kind) for key, kind in enumerate(("loyalty_card", "email", "phone", "loyalty_card"), start=1)
)


def value(one) -> str:
    return f"{one.type}:{one.hash}"


@pytest.fixture
def snapshot(app: FastAPI) -> Snapshot:
    return app.state.serving.snapshot()


@pytest.fixture
def warehouse(world: Settings):
    """A warehouse beside the published version, so that decisions can be carried out; gone afterwards."""
    with duckdb.connect(str(world.warehouse)) as connection:
        kinds = {one.key: one.type for one in (CARD, EMAIL, PHONE, OTHER_CARD)}
        make_people(connection, kinds, [Edge(1, 2), Edge(2, 3)])
    yield world.warehouse
    world.warehouse.unlink()


def requests(app: FastAPI) -> list[SteeringRequest]:
    with app.state.store.session() as session:
        return list(session.scalars(select(SteeringRequest).order_by(SteeringRequest.id)))


def audited(app: FastAPI, action: str) -> list[str]:
    with app.state.store.session() as session:
        return list(session.scalars(select(AuditEntry.detail).where(AuditEntry.action == action)))


def joined(snapshot: Snapshot) -> int:
    """A person with several identifiers."""
    return snapshot.value(
        "select person_id from serving.person_edges where rejected_because is null "
        "group by person_id having count(*) > 2 order by person_id limit 1"
    )


PATHS = ("/identity", "/identity/suspects", "/identity/review", "/identity/changes", "/identity/decisions")


def test_every_page_opens_for_a_steward_in_both_languages(client_as: ClientAs, snapshot: Snapshot) -> None:
    for language in ("en", "zh"):
        client = client_as("steward", language=language)
        for path in (*PATHS, "/identity/simulate", f"/identity/persons/{joined(snapshot)}"):
            assert client.get(path).status_code == 200, path


@pytest.mark.parametrize(
    ("path", "viewer", "marketer"),
    [
        ("/identity", 200, 200),
        ("/identity/persons/1", 403, 200),
        ("/identity/suspects", 403, 200),
        ("/identity/changes", 403, 200),
        ("/identity/decisions", 403, 200),
        ("/identity/review", 403, 403),
        ("/identity/simulate", 403, 403),
    ],
)
def test_pages_open_by_right(client_as: ClientAs, path: str, viewer: int, marketer: int) -> None:
    assert client_as("viewer").get(path).status_code == viewer
    assert client_as("marketer").get(path).status_code == marketer


@pytest.mark.parametrize("path", ["/identity/decisions", "/identity/simulate", "/identity/requests/1/cancel"])
def test_only_stewards_decide(client_as: ClientAs, app: FastAPI, path: str) -> None:
    form = {"kind": "block", "left": value(PHONE), "reason": "made up"}
    for role in ("viewer", "analyst", "marketer"):
        assert client_as(role).post(path, data=form).status_code == 403
    assert client_as("steward").post(path, data=form, headers={"origin": "https://evil.example"}).status_code == 403
    assert requests(app) == []


def test_a_person_shows_links_with_their_evidence(client_as: ClientAs, app: FastAPI, snapshot: Snapshot) -> None:
    person = joined(snapshot)
    text = client_as("marketer").get(f"/identity/persons/{person}").text
    assert "Why these are one person" in text
    assert "together in 3 records of crm, loyalty" in text
    assert "Never link" not in text
    assert "Never link" in client_as("steward").get(f"/identity/persons/{person}").text
    assert audited(app, "person looked up") == ["identity", "identity"]


def test_what_is_held_apart_says_why_and_leads_there(client_as: ClientAs) -> None:
    text = client_as("steward").get("/identity/persons/1").text
    assert "shared identifier" in text
    assert "One person after all" in text


def test_layers_go_from_the_anchor_outwards_over_the_strongest_links(snapshot: Snapshot) -> None:
    found = cluster(snapshot, joined(snapshot))
    anchor = found.members[0]["identifier_key"]
    steps, tree = layers(found, anchor)
    assert steps[anchor] == 0
    assert set(steps) == {row["identifier_key"] for row in found.members}
    assert len(tree) == len(found.members) - 1
    assert all(abs(steps[edge.left.key] - steps[edge.right.key]) == 1 for edge in tree)


def test_a_decision_is_written_at_once_when_nobody_has_the_warehouse(
    client_as: ClientAs, app: FastAPI, warehouse
) -> None:
    form = {"kind": "split", "person": "10", "identifiers": [value(EMAIL), value(PHONE)], "reason": "two people"}
    answer = client_as("steward", name="ann").post("/identity/decisions", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/identity/decisions")
    [request] = requests(app)
    assert (request.status, request.batch, request.asked_by) == ("done", 1, "ann")
    with duckdb.connect(str(warehouse)) as connection:
        assert [one.decided_by for one in all_decisions(connection)] == ["ann"] * 3
    [detail] = audited(app, "identity decided")
    assert detail.startswith("split person 10: email ")
    assert EMAIL.hash not in detail
    text = client_as("steward").get("/identity/decisions").text
    assert "at the next build" in text
    assert "two people" in text
    withdrawn = client_as("steward").post(
        "/identity/decisions", data={"kind": "withdraw", "batch": "1", "reason": "no"}
    )
    assert withdrawn.status_code == 303
    assert "withdrawn by ada" in client_as("steward").get("/identity/decisions").text


def test_without_the_warehouse_it_waits_and_can_be_cancelled(client_as: ClientAs, app: FastAPI) -> None:
    client = client_as("steward")
    for one in (PHONE, EMAIL):
        form = {"kind": "block", "left": value(one), "reason": "made up", "back": "/identity/suspects"}
        assert client.post("/identity/decisions", data=form).headers["location"] == "/identity/suspects"
    assert [request.status for request in requests(app)] == ["waiting", "waiting"]
    assert "Not carried out" in client.get("/identity/decisions").text
    assert client.post("/identity/requests/1/cancel").status_code == 303
    assert [request.status for request in requests(app)] == ["cancelled", "waiting"]
    assert client.post("/identity/requests/1/cancel").status_code == 409
    assert client.post("/identity/requests/77/cancel").status_code == 409


def test_what_contradicts_is_refused_with_the_reason(client_as: ClientAs, app: FastAPI, warehouse) -> None:
    client = client_as("steward")
    pair = {"left": value(CARD), "right": value(PHONE)}
    assert client.post("/identity/decisions", data={"kind": "never_link", "reason": "two", **pair}).status_code == 303
    answer = client.post("/identity/decisions", data={"kind": "link", "reason": "one", **pair})
    assert answer.status_code == 409
    assert "contradicts batch 1" in answer.text


@pytest.mark.parametrize(
    "form",
    [
        {"kind": "block", "left": value(PHONE)},
        {"kind": "block", "left": "phone:+16125550177", "reason": "x"},
        {"kind": "block", "left": f"shoe:{'0' * 64}", "reason": "x"},
        {"kind": "link", "left": value(PHONE), "right": value(PHONE), "reason": "x"},
        {"kind": "link", "left": value(PHONE), "other_person": "999999", "reason": "x"},
        {"kind": "split", "person": "10", "reason": "x"},
        {"kind": "split", "person": "10' or 1=1", "identifiers": value(PHONE), "reason": "x"},
        {"kind": "withdraw", "batch": "one", "reason": "x"},
        {"kind": "drop", "reason": "x"},
        {"kind": "block", "left": value(PHONE), "reason": "x" * 501},
    ],
)
def test_what_is_no_decision_is_refused(client_as: ClientAs, app: FastAPI, form: dict) -> None:
    assert client_as("steward").post("/identity/decisions", data=form).status_code == 400
    assert requests(app) == []


def test_persons_are_linked_by_their_strongest_identifiers(
    client_as: ClientAs, app: FastAPI, snapshot: Snapshot
) -> None:
    card = snapshot.row(
        "select * from serving.person_identifiers where person_id = 2 and identifier_type = 'loyalty_card'"
    )
    form = {"kind": "link", "left": value(PHONE), "other_person": "2", "reason": "same passport"}
    assert client_as("steward").post("/identity/decisions", data=form).status_code == 303
    [request] = requests(app)
    ends = {request.content[side]["hash"] for side in ("left", "right")}
    assert ends == {PHONE.hash, card["identifier_key"]}


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example/persons", "/persons//evil", "/tags"])
def test_nobody_is_sent_elsewhere(client_as: ClientAs, back: str) -> None:
    form = {"kind": "block", "left": value(PHONE), "reason": "made up", "back": back}
    assert client_as("steward").post("/identity/decisions", data=form).headers["location"] == "/identity/decisions"


def test_a_decision_can_be_simulated_first(client_as: ClientAs, app: FastAPI) -> None:
    form = {"kind": "block", "left": value(PHONE), "reason": "what if", "do": "simulate"}
    answer = client_as("steward").post("/identity/decisions", data=form)
    assert answer.headers["location"] == "/identity/simulate/1"
    [request] = requests(app)
    assert request.kind == "simulate"
    assert request.content["decisions"][0]["kind"] == "block"
    text = client_as("steward").get("/identity/simulate/1").text
    assert "Waiting for its turn" in text
    assert carry_out_decisions(app.state.settings, app.state.store.session()) == []


def test_a_simulation_shows_what_would_change(client_as: ClientAs, app: FastAPI) -> None:
    policy = POLICY_FILE.read_text(encoding="utf-8").replace("plus_tags: strip", "plus_tags: keep")
    answer = client_as("steward").post("/identity/simulate", data={"policy": policy, "only_identity": "yes"})
    assert answer.headers["location"] == "/identity/simulate/1"
    persons = {
        **{"before": 100, "after": 97, "merged": 6, "merged_into": 3, "split": 0, "split_into": 0},
        **{"gone": 0, "new": 0, "moved_identifiers": 9},
    }
    with app.state.store.transaction() as session:
        request = session.get(SteeringRequest, 1)
        request.status = "done"
        request.result = {
            "persons": persons,
            "examples": [["merge person 1 and 2", "phone key:4", "seen together"]],
            "metrics": [{"name": "over_merge_rate", "before": 0.0062, "after": 0.0184}],
            "tags": [["rfm_segment", 3]],
            "audiences": [{"name": "dormant", "before": 9, "after": 8, "entered": 0, "left": 1}],
        }
    text = client_as("steward").get("/identity/simulate/1").text
    for shown in ("merge person 1 and 2", "0.0184", "RFM segment", "dormant", "+plus_tags: keep", "-plus_tags: strip"):
        assert shown in text, shown
    assert client_as("steward").get("/identity/simulate/2").status_code == 404


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        (POLICY_FILE.read_text(encoding="utf-8"), "This is the policy that holds"),
        ("plus_tags: maybe", "plus_tags"),
        ("identifier_types: [", "not readable as YAML"),
        ("!!python/object/apply:os.system ['true']", "not readable as YAML"),
    ],
)
def test_a_policy_that_cannot_be_tried_says_why(client_as: ClientAs, app: FastAPI, policy: str, problem: str) -> None:
    answer = client_as("steward").post("/identity/simulate", data={"policy": policy})
    assert answer.status_code == 422
    assert problem in answer.text
    assert requests(app) == []


def test_reviews_and_suspects_leave_when_they_are_decided(client_as: ClientAs, app: FastAPI) -> None:
    ends = [{"type": one.type, "hash": one.hash, "number": one.key, "person": 10} for one in (CARD, OTHER_CARD)]
    pair = {
        "name": "3fa9c2d1",
        "probability": 0.71,
        "left": ends[0],
        "right": ends[1],
        "compared": [["surname", "P", "P", "the same", "for"]],
    }
    suspect = {
        "identifier": ends[0],
        "persons": 2,
        "records": 7,
        "because": "Two names",
        "command": "never-link",
        "proposal": {"kind": "never_link", "left": ends[0], "right": ends[1]},
    }
    with app.state.store.transaction() as session:
        from tagloom.portal.store.base import now

        for name, content in ((REVIEWS, [pair]), (SUSPECTS, [suspect]), (DECISIONS, []), (CHANNELS, [])):
            session.add(SteeringNote(name=name, content=content, taken_at=now()))
    client = client_as("steward")
    assert "71.0% likely one person" in client.get("/identity/review").text
    assert "Keep two apart" in client.get("/identity/suspects").text
    form = {"kind": "never_link", "left": value(CARD), "right": value(OTHER_CARD), "reason": "two people"}
    assert client.post("/identity/decisions", data=form).status_code == 303
    assert "likely one person" not in client.get("/identity/review").text
    assert "decided" in client.get("/identity/suspects").text
    assert 'data-open="suspect-1"' not in client.get("/identity/suspects").text


def test_small_groups_are_added_up_for_who_may_not_see_personal_data(snapshot: Snapshot) -> None:
    everybody = sizes(snapshot)
    # The world has no group of fewer than ten: its smallest one is taken for too small.
    fewest = min(number for _, number in everybody) + 1
    told = sizes(snapshot, fewest)
    assert min(number for _, number in told) >= fewest
    assert sum(number for _, number in told) == sum(number for _, number in everybody)
    assert {label for label, _ in told} - {label for label, _ in everybody}


def test_changes_are_filtered(client_as: ClientAs) -> None:
    client = client_as("marketer")
    assert "4 changes" in client.get("/identity/changes").text
    assert "2 changes" in client.get("/identity/changes?kind=merge").text
    assert "1 changes" in client.get("/identity/changes?person=4").text
    assert client.get("/identity/changes?person=x&page=-1&kind=drop").status_code == 200


def test_a_number_leads_to_its_person(client_as: ClientAs) -> None:
    client = client_as("marketer")
    assert client.get("/identity/go?person=7").headers["location"] == "/identity/persons/7"
    assert client.get("/identity/go?person=//evil").headers["location"] == "/identity"
    assert client.get("/identity/persons/999999").status_code == 404
