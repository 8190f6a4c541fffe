"""The API through its own client: what it answers, to whom, and that nothing small or personal gets out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from tagloom.client import Tagloom, TagloomError, all_of, any_of, did, where
from tagloom.portal.store import audit, tokens

ORIGIN = "http://testserver"


@pytest.fixture
def tagloom_as(app: FastAPI) -> Iterator[Callable[[str], Tagloom]]:
    """Give a client with a token of a role."""
    clients = []

    def make(role: str) -> Tagloom:
        with app.state.store.transaction() as store:
            _, text = tokens.create(store, "test", role, "ana", 1)
        client = Tagloom(ORIGIN, text, TestClient(app, base_url=ORIGIN))
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()
    for folder in ("exports", "audiences"):
        shutil.rmtree(app.state.settings.home / folder, ignore_errors=True)


HAS_APP = where("has_app", "=", True)


def test_the_version_and_the_tags(tagloom_as: Callable[[str], Tagloom]) -> None:
    client = tagloom_as("viewer")
    assert client.version()["persons"] == 2_000
    assert client.version()["as_of_date"] == "2017-12-31"
    tags = {tag["name"]: tag for tag in client.tags()}
    assert tags["rfm_segment"]["values"][0] == "champion"
    assert {tag["category"].split("/")[0] for tag in client.tags(category="value")} == {"value"}
    assert client.tags(object="store")
    assert client.tag("rfm_segment")["statistics"]["objects"] == 2_000
    with pytest.raises(TagloomError, match="no published tag nothing of person") as refused:
        client.tag("nothing")
    assert refused.value.status == 404


def test_a_preview_counts_and_says_what_it_counts(tagloom_as: Callable[[str], Tagloom], app: FastAPI) -> None:
    client = tagloom_as("analyst")
    found = client.preview(all_of(HAS_APP, any_of(where("orders_365d", ">=", 3), did("web_visit", 2, 60))))
    expected = app.state.serving.snapshot().value(
        """
        select count(*) from tag_integration.person_tags
        where has_app and not do_not_promote and (orders_365d >= 3 or person_id in (
            select person_id from serving.person_events
            where event = 'web_visit' and happened_on > date '2017-11-01' and happened_on <= date '2017-12-31'
            group by all having count(*) >= 2))
        """
    )
    assert found["members"] == expected > 0
    assert found["version"] == client.version()["version"]
    assert "App installed" in found["sentence"]
    assert found["sql"].lower().startswith("select")
    assert client.size(HAS_APP, suppression=False) > client.size(HAS_APP, consent="email")


def test_few_persons_are_not_counted_for_who_may_not_see_personal_data(tagloom_as: Callable[[str], Tagloom]) -> None:
    nearly_nobody = all_of(
        *(where(f"{name}_score", "=", 5) for name in ("recency", "frequency", "monetary")),
        where("spend_365d", "<", 1),
    )
    assert tagloom_as("analyst").preview(nearly_nobody)["members"] is None
    assert tagloom_as("analyst").preview(nearly_nobody)["fewer_than"] == 10
    assert tagloom_as("steward").preview(nearly_nobody)["members"] < 10


def test_an_audience_lives_its_life(tagloom_as: Callable[[str], Tagloom]) -> None:
    client = tagloom_as("marketer")
    saved = client.save_audience("Apps", HAS_APP, folder="spring", holdout_percent=10, description="Phones")
    assert (saved["number"], saved["folder"], saved["owner"]) == (1, "spring", "ana")
    changed = client.save_audience("Apps", all_of(HAS_APP, where("is_staff", "=", False)), audience_id=saved["id"])
    assert changed["number"] == 2
    members = list(client.members(saved["id"]))
    assert [member["person_id"] for member in members] == sorted({member["person_id"] for member in members})
    (listed,) = client.audiences()
    assert listed["run"]["size"] == len(members)
    assert client.audience(saved["id"])["versions"][-1]["number"] == 1
    inner = client.save_audience("Outer", {"field": f"audience:{saved['id']}", "operator": "in"})
    with pytest.raises(TagloomError, match="cannot be deleted, it is used by: audience Outer") as refused:
        client.delete_audience(saved["id"])
    assert refused.value.status == 409
    client.delete_audience(inner["id"])
    client.delete_audience(saved["id"])
    assert client.audiences() == []


def test_members_come_in_pages(tagloom_as: Callable[[str], Tagloom], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagloom.portal.api.MEMBERS_AT_ONCE", 150)
    client = tagloom_as("marketer")
    saved = client.save_audience("Everybody", all_of(), suppression=False)
    assert [member["person_id"] for member in client.members(saved["id"])] == list(range(1, 2_001))


def test_an_export_is_made_run_and_downloaded(tagloom_as: Callable[[str], Tagloom], tmp_path: Path) -> None:
    client = tagloom_as("marketer")
    audience = client.save_audience("Apps", HAS_APP)
    export = client.save_export(audience["id"], "File", ["rfm_segment"], schedule="weekly", channel="email")
    run = client.run_export(export["id"])
    assert run["status"] == "sent"
    lines = client.download(export["id"], tmp_path / "file.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "person_id,rfm_segment"
    assert len(lines) == run["rows"] + 1
    assert client.exports()[0]["run"]["version"] == client.version()["version"]
    assert client.run_export(export["id"])["attempts"] == 1


def test_a_person_is_looked_up_and_it_is_audited(tagloom_as: Callable[[str], Tagloom], app: FastAPI) -> None:
    client = tagloom_as("marketer")
    assert client.look_up("person", "7") == 7
    profile = client.profile(7)
    assert profile["person_id"] == 7
    assert profile["tags"]["orders_365d"] is not None
    assert client.look_up("email", "nobody@example.com") is None
    with pytest.raises(TagloomError, match="This is no phone") as refused:
        client.look_up("phone", "not a number")
    assert "not a number" not in str(refused.value)
    with pytest.raises(TagloomError, match="no person 999999"):
        client.profile(999_999)
    with app.state.store.session() as store:
        said = [(entry.subject, entry.user_name) for entry in audit.entries(store, action="person looked up")]
    assert ("person:7", "ana (test)") in said
    assert not any("@" in subject for subject, _ in said)


@pytest.mark.parametrize(
    ("role", "call"),
    [
        ("viewer", lambda client: client.preview(HAS_APP)),
        ("viewer", lambda client: client.save_audience("x", HAS_APP)),
        ("viewer", lambda client: client.profile(7)),
        ("analyst", lambda client: client.look_up("person", "7")),
        ("analyst", lambda client: list(client.members(1))),
        ("analyst", lambda client: client.save_export(1, "x", [])),
        ("analyst", lambda client: client.run_export(1)),
        ("steward", lambda client: client.download(1, Path("never"))),
    ],
)
def test_a_token_has_the_rights_of_its_role_alone(
    tagloom_as: Callable[[str], Tagloom], role: str, call: Callable[[Tagloom], object]
) -> None:
    with pytest.raises(TagloomError, match="needs the right") as refused:
        call(tagloom_as(role))
    assert refused.value.status == 403


def test_a_wrong_token_opens_nothing(app: FastAPI) -> None:
    with TestClient(app, base_url=ORIGIN) as client:
        with pytest.raises(TagloomError, match="not signed in") as refused:
            Tagloom(ORIGIN, "tagloom_wrong", client).version()
        assert refused.value.status == 401
        assert client.get("/api/v1/openapi.json").status_code == 401


@pytest.mark.parametrize(
    ("definition", "sentence"),
    [
        ({"rule": {"rules": [where("x; drop table y", "=", 1)]}}, r"rule.rules\[0\]"),
        ({"rule": {"rules": [where("no_such_tag", "=", 1)]}}, "there is no tag no_such_tag"),
        ({"rule": {"rules": [where("rfm_segment", "in", ["x' or 1=1 --"])]}}, "is no value of this tag"),
        ({"rule": {"rules": [where("orders_365d", "=", "1 or 1=1")]}}, "is no number"),
        ({"rule": {"rules": [{"field": "audience:99", "operator": "in"}]}}, "no audience 99"),
        ({"schema": 2, "rule": {}}, "schema"),
        ({"sql": "select 1"}, "sql"),
    ],
)
def test_what_is_no_definition_is_refused_with_its_place(
    tagloom_as: Callable[[str], Tagloom], definition: dict, sentence: str
) -> None:
    client = tagloom_as("analyst")
    with pytest.raises(TagloomError, match=sentence) as refused:
        client._ask("POST", "/audiences/preview", json={"definition": definition})
    assert refused.value.status in (404, 422)


def test_the_description_names_every_route(tagloom_as: Callable[[str], Tagloom], app: FastAPI) -> None:
    description = tagloom_as("viewer")._ask("GET", "/openapi.json")
    paths = {route.path for route in app.routes if route.path.startswith("/api/v1/")} - {"/api/v1/openapi.json"}
    assert set(description["paths"]) == paths
    for path, methods in description["paths"].items():
        for said in methods.values():
            assert said["description"], path
    assert description["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
