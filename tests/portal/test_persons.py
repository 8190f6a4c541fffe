"""Customer 360: found by hashed identifiers, masked by role, each look written down, nothing personal in an address."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from fastapi import FastAPI
from sqlalchemy import select
from starlette.testclient import TestClient
from tagloom.audiences import library
from tagloom.identity.identifiers import identifier_hash
from tagloom.portal.serving import Snapshot
from tagloom.portal.store.audit import AuditEntry
from tagloom.publish import current_version
from tagloom.settings import Settings

from tests.plugins.identity.people import KEY
from tests.portal.world import make_world

ClientAs = Callable[..., TestClient]

PHONE = "+16125550177"
"""Of person 7."""

PERSONAL = "postcode_area"
"""A tag that is made personal data itself, which none of the project's is."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A world in which person 7 has a known phone, 12 was merged into 7, and one tag is personal data itself."""
    settings = make_world(tmp_path_factory.mktemp("persons"), persons=300)
    with duckdb.connect(str(settings.published / current_version(settings).file)) as connection:
        connection.execute("update tag_integration.tag_catalog set personal_data = 'direct' where tag = ?", [PERSONAL])
        connection.execute(f"update tag_integration.person_tags set {PERSONAL} = '55' where person_id = 7")
        connection.execute(
            "insert into serving.person_identifiers values (?, 'phone', 7, null, null, 'Phone number')",
            [identifier_hash("phone", PHONE, KEY)],
        )
        connection.execute("delete from tag_integration.person_tags where person_id in (12, 13)")
        connection.execute("delete from serving.person_changes")
        connection.execute(
            "insert into serving.person_changes (run_number, as_of_date, kind, person_id, other_person_id, because) "
            "values (1, date '2017-05-01', 'merge', 12, 13, 'x'), (2, date '2017-06-01', 'merge', 7, 12, 'x')"
        )
    return settings


def look_up(client: TestClient, kind: str, value: str):
    return client.post("/persons", data={"kind": kind, "value": value})


def entries(app: FastAPI) -> list[tuple[str, str, str]]:
    with app.state.store.session() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(row.action, row.subject, row.detail) for row in rows]


@pytest.mark.parametrize("spelling", ["+1 (612) 555-0177", "001 612 555 0177", "612-555-0177"])
def test_a_person_is_found_by_any_spelling_of_an_identifier(client_as: ClientAs, spelling: str) -> None:
    answer = look_up(client_as("marketer"), "phone", spelling)
    assert (answer.status_code, answer.headers["location"]) == (303, "/persons/7")


def test_what_was_typed_is_nowhere_afterwards(
    client_as: ClientAs, app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    client = client_as("marketer")
    for value in (PHONE, "+16125550188", "612 555"):
        answer = look_up(client, "phone", value)
        told = answer.text + str(answer.headers) + caplog.text + str(entries(app))
        assert not re.search(r"555[- ]?0177|555[- ]?0188|612 555(?! 0100)", told)
    # The store's file holds the audit log and nothing else of it.
    stored = Path(app.state.store.engine.url.database)
    content = stored.read_bytes() + stored.with_name(stored.name + "-wal").read_bytes()
    assert b"5550177" not in content
    assert b"5550188" not in content


def test_a_look_up_that_finds_nobody_says_so_and_is_written_down(client_as: ClientAs, app: FastAPI) -> None:
    answer = look_up(client_as("marketer"), "phone", "+16125550188")
    assert answer.status_code == 200
    assert "No person has this: Phone number." in answer.text
    [(action, subject, detail)] = entries(app)
    assert (action, detail) == ("person looked up", "nobody")
    assert subject == f"phone {identifier_hash('phone', '+16125550188', KEY)[:8]}…"


def test_what_is_no_value_of_the_kind_is_told_with_a_hint(client_as: ClientAs) -> None:
    assert "Write it with its country code" in look_up(client_as("marketer"), "phone", "ann").text
    assert look_up(client_as("marketer"), "shoe_size", "44").status_code == 404


def test_numbers_lead_over_merges_to_the_living(client_as: ClientAs) -> None:
    client = client_as("marketer")
    assert look_up(client, "person", "13").headers["location"] == "/persons/7"
    assert client.get("/persons/12").headers["location"] == "/persons/7"
    assert client.get("/persons/999999").status_code == 404
    assert client.get(f"/persons/{10**30}").status_code == 404


@pytest.mark.parametrize("tab", ["tags", "timeline", "audiences", "identifiers", "history"])
def test_each_look_at_a_person_is_written_down(client_as: ClientAs, app: FastAPI, tab: str) -> None:
    answer = client_as("marketer", name="mia").get(f"/persons/7?tab={tab}")
    assert answer.status_code == 200
    assert entries(app) == [("person looked up", "person:7", tab)]
    assert 'href="/persons/7"' in client_as("marketer", name="mia").get("/persons").text
    assert 'href="/persons/7"' not in client_as("marketer", name="zoe").get("/persons").text


@pytest.mark.parametrize("path", ["/persons", "/persons/7", "/persons/7/tags/rfm_segment"])
def test_who_may_not_see_persons_does_not(client_as: ClientAs, app: FastAPI, path: str) -> None:
    for role in ("viewer", "analyst"):
        assert client_as(role).get(path).status_code == 403
    assert client_as(None).get(path).status_code in (303, 401)
    assert look_up(client_as("analyst"), "person", "7").status_code == 403
    assert entries(app) == []


def test_personal_data_is_masked_by_role(client_as: ClientAs) -> None:
    hidden = "Personal data: your role may not read it."
    path = f"/persons/7/tags/{PERSONAL}"
    marketer, steward = client_as("marketer").get(path).text, client_as("steward").get(path).text
    assert hidden in marketer
    assert "<strong>55</strong>" not in marketer
    assert hidden not in steward
    assert "<strong>55</strong>" in steward
    assert hidden in client_as("marketer").get("/persons/7").text
    assert hidden not in client_as("steward").get("/persons/7").text
    assert hidden in client_as("marketer").get("/persons/7?tab=identifiers").text
    assert hidden not in client_as("steward").get("/persons/7?tab=identifiers").text


def test_rare_values_are_not_counted_for_who_may_not_see_personal_data(client_as: ClientAs, app: FastAPI) -> None:
    person, tag, number = _rare(app.state.serving.snapshot())
    path = f"/persons/{person}/tags/{tag}"
    assert "Fewer than ten persons have this value." in client_as("marketer").get(path).text
    assert f"{number} of 300 persons have this value" in client_as("steward").get(path).text


def _rare(snapshot: Snapshot) -> tuple[int, str, int]:
    for tag in ("rfm_segment", "favourite_department", "state", "vip_level", "main_ticket_topic", "income_band"):
        row = snapshot.row(
            "select min(person_id) as person, count(*) as number from tag_integration.person_tags "
            f"where {tag} is not null group by {tag} having count(*) between 1 and 9"
        )
        if row:
            return row["person"], tag, row["number"]
    raise AssertionError("The world has no rare value any more; make it larger or smaller.")


def test_the_timeline_is_filtered_and_paged(client_as: ClientAs, app: FastAPI) -> None:
    snapshot = app.state.serving.snapshot()
    person, facts = snapshot.row(
        "select person_id, count(*) as facts from serving.person_events where person_id not in (12, 13) "
        "group by all order by facts desc limit 1"
    ).values()
    event, number = snapshot.row(
        "select event, count(*) as facts from serving.person_events where person_id = ? group by all order by facts",
        [person],
    ).values()
    client = client_as("marketer")
    first = client.get(f"/persons/{person}?tab=timeline").text
    assert f"{facts} facts, the newest first" in first
    assert ("page=2" in first) == (facts > 50)
    assert f"{number} facts, the newest first" in client.get(f"/persons/{person}?tab=timeline&event={event}").text
    assert "No facts" not in first
    assert client.get(f"/persons/{person}?tab=timeline&page=-3").status_code == 200


def test_audiences_say_why(client_as: ClientAs, app: FastAPI) -> None:
    orders = app.state.serving.snapshot().value(
        "select orders_365d from tag_integration.person_tags where person_id = 7"
    )
    definition = {
        "schema": 1,
        "rule": {
            "combinator": "and",
            "not": False,
            "rules": [{"field": "tag:orders_365d", "operator": ">=", "value": (orders or 0) + 1}],
        },
        "consent": "none",
        "suppression": False,
        "holdout_percent": 0,
        "split": None,
    }
    with app.state.store.transaction() as session:
        library.save(session, definition, "Busy", by="ada")
    text = client_as("marketer").get("/persons/7?tab=audiences").text
    assert "Busy" in text
    assert "not in" in text
    assert "does not hold" in text


def test_why_a_value_names_facts_definition_and_command(client_as: ClientAs) -> None:
    text = client_as("marketer").get("/persons/7/tags/rfm_segment").text
    assert "make explain PERSON=7 TAG=rfm_segment" in text
    assert "the newest of" in text
    assert "from loyalty, pos" in text
    assert client_as("marketer").get("/persons/7/tags/no_such_tag").status_code == 404
    assert client_as("marketer").get("/persons/7/tags/rfm_segment%22%20or%201=1").status_code == 404


def test_pages_are_there_in_chinese(client_as: ClientAs) -> None:
    text = client_as("marketer", language="zh").get("/persons/7").text
    assert "生命周期" in text
    assert "时间线" in text


def test_who_tries_many_values_is_slowed_down(client_as: ClientAs) -> None:
    client = client_as("marketer", name="trying")
    answers = [look_up(client, "phone", f"+1612555{number:04}").status_code for number in range(20)]
    assert answers[:10] == [200] * 10
    assert answers[-1] == 429
    assert look_up(client, "phone", PHONE).status_code == 303
