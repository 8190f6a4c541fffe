"""The pages of audiences: the library, saving, versions, deleting, and what small numbers do not show."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient
from tagloom.alerting.holds import Hold
from tagloom.audiences.evaluate import SMALL
from tagloom.portal.builder_texts import TEXTS, builder_words
from tagloom.portal.pages.audiences import BOOLEAN, CONSENTS, OPERATORS
from tagloom.portal.rendering import PORTAL
from tagloom.settings import Settings

Clients = Callable[..., TestClient]

GOOD = {"field": "tag:rfm_segment", "operator": "in", "value": ["champion", "loyal"]}
WITH_APP = {"field": "tag:has_app", "operator": "=", "value": True}
BIG_SPENDERS = {"combinator": "and", "rules": [GOOD, {"field": "tag:spend_365d", "operator": ">", "value": 500}]}


def definition(*rules: dict, **more: object) -> dict:
    return {"schema": 1, "rule": {"combinator": "and", "not": False, "rules": list(rules)}, **more}


def save(client: TestClient, name: str, *rules: dict, **more: object) -> dict:
    answer = client.post("/audiences", json={"definition": definition(*rules), "name": name} | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


def builder_data(client: TestClient, path: str) -> dict:
    page = client.get(path)
    assert page.status_code == 200, page.text
    found = re.search(r'<script type="application/json" id="builder-data">(.*?)</script>', page.text, re.S)
    return json.loads(found[1])


@pytest.fixture(autouse=True)
def nothing_stays_in_the_shared_world(world: Settings) -> Iterator[None]:
    """Members are written below the home; the numbers of audiences begin anew with each test's store."""
    yield
    shutil.rmtree(world.home / "audiences", ignore_errors=True)


def test_an_empty_library_says_how_to_begin(client_as: Clients) -> None:
    """Who may build is led to the builder, others are not."""
    assert "Build the first audience" in client_as("analyst").get("/audiences").text
    page = client_as("viewer").get("/audiences")
    assert "No audience yet" in page.text
    assert "/audiences/new" not in page.text


def test_saved_audiences_are_listed_with_their_size(client_as: Clients) -> None:
    """In their folders; the members are worked out at once."""
    client = client_as("steward")
    saved = save(client, "Champions", GOOD, folder="value/best", description="For early access")
    assert saved["path"] == f"/audiences/{saved['id']}"
    page = client.get("/audiences").text
    assert "value/best" in page
    assert "For early access" in page
    size = client.post("/audiences/preview", json={"definition": definition(GOOD)}).json()["size"]
    assert size["members"] > SMALL
    assert f'<td class="number">{size["text"]}</td>' in page


def test_an_audience_page_shows_words_make_up_and_versions(client_as: Clients) -> None:
    """A second version says what it changed in words; the first can still be read."""
    client = client_as("steward")
    number = save(client, "Champions", GOOD)["id"]
    save(client, "Champions", GOOD, WITH_APP, id=number, number=1, note="Only with the app")
    page = client.get(f"/audiences/{number}").text
    assert "Everybody where RFM segment is champion or loyal, and App installed is yes." in page
    assert "Only with the app" in page
    assert re.search(r'class="added"><span class="hidden-text">Added:</span>App installed is yes', page)
    assert "What it is made of" in page
    assert "person_tags.rfm_segment IN" in page
    older = client.get(f"/audiences/{number}?version=1").text
    assert "This is version 1; version 2 is in use." in older
    by_spend = client.get(f"/audiences/{number}?tag=spend_365d").text
    assert by_spend.count('class="bar-line"') >= 4
    chinese = client_as("steward", language="zh").get(f"/audiences/{number}").text
    assert "满足条件的人：RFM分群为冠军客户或忠诚客户，并且已安装应用为是。" in chinese


def test_small_numbers_are_hidden_from_those_who_may_not_see_them(client_as: Clients) -> None:
    """In the preview, its steps, its make-up, the list, the page and the matrix."""
    steward, analyst = client_as("steward"), client_as("analyst")
    cells = steward.get("/audiences/values?tag=spend_365d&q=").json()["values"]
    rare = next(value for value, _, persons in cells if int(persons) < SMALL)
    rule = {"field": "tag:spend_365d", "operator": "=", "value": rare}
    given = {"definition": definition(rule, suppression=False)}
    assert 0 < steward.post("/audiences/preview", json=given).json()["size"]["members"] < SMALL
    hidden = analyst.post("/audiences/preview", json=given).json()["size"]
    assert (hidden["text"], hidden["members"], hidden["share"], hidden["steps"]) == ("< 10", None, None, [])
    cells = analyst.post("/audiences/composition", json=given | {"tag": "generation"}).json()["cells"]
    assert {cell["members"] for cell in cells} == {None}
    number = save(steward, "Few", rule)["id"]
    save(steward, "More", GOOD)
    for path in ("/audiences", f"/audiences/{number}", "/audiences/compare"):
        assert "&lt; 10" in analyst.get(path).text
        assert "&lt; 10" not in steward.get(path).text


def test_who_entered_cannot_be_worked_out_from_the_size(client_as: Clients) -> None:
    """A few more or less from version to version: how many stayed is hidden with them."""
    steward, analyst = client_as("steward"), client_as("analyst")
    cells = steward.get("/audiences/values?tag=spend_365d&q=").json()["values"]
    few = {"field": "tag:spend_365d", "operator": "=", "value": next(v for v, _, n in cells if int(n) < SMALL)}
    number = save(steward, "Champions", {"combinator": "or", "rules": [GOOD, few]})["id"]
    save(steward, "Champions", GOOD, id=number, number=1)
    save(steward, "Champions", {"combinator": "or", "rules": [GOOD, few]}, id=number, number=2)
    row = r'<th scope="row" class="nowrap">31 Dec 2017</th>(.*?)</tr>'
    cell = r'<td class="number">(.*?)</td>'
    whole = [re.findall(cell, found) for found in re.findall(row, steward.get(f"/audiences/{number}").text)]
    told = [re.findall(cell, found) for found in re.findall(row, analyst.get(f"/audiences/{number}").text)]
    assert [one[:2] for one in whole] == [one[:2] for one in told]
    for exact, shown in zip(whole, told, strict=True):
        is_small = any(0 < int(count.replace(",", "")) < SMALL for count in exact[1:])
        assert shown[2:] == (["–"] * 3 if is_small else exact[2:])
    assert ["–"] * 3 in [one[2:] for one in told]


def test_a_step_that_gives_away_a_small_number_is_hidden(client_as: Clients) -> None:
    """Matched less members is who was left out: under ten, no step has a number."""
    given = {"definition": definition(GOOD, holdout_percent=1, seed="small")}
    exact = client_as("steward").post("/audiences/preview", json=given).json()["size"]
    told = client_as("analyst").post("/audiences/preview", json=given).json()["size"]
    assert exact["members"] == told["members"] > SMALL
    assert any(int(step["text"]) < SMALL for step in exact["steps"])
    assert {step["text"] for step in told["steps"]} == {"–"}


def test_who_may_only_look_cannot_build(client_as: Clients) -> None:
    """Neither see the builder nor ask, save or delete."""
    viewer = client_as("viewer")
    number = save(client_as("analyst"), "Champions", GOOD)["id"]
    body = {"definition": definition(GOOD), "name": "x"}
    for answer in (
        viewer.get("/audiences/new"),
        viewer.get(f"/audiences/{number}/edit"),
        viewer.post("/audiences", json=body),
        viewer.post("/audiences/preview", json=body),
        viewer.post("/audiences/composition", json=body | {"tag": "state"}),
        viewer.get("/audiences/values?tag=state"),
        viewer.post(f"/audiences/{number}/delete"),
    ):
        assert answer.status_code == 403
    assert viewer.get(f"/audiences/{number}").status_code == 200


def test_deleting_is_refused_while_used_and_says_by_whom(client_as: Clients) -> None:
    """First the user goes, then the audience; both leave a line in the audit log."""
    client = client_as("admin")
    inner = save(client, "Champions", GOOD)["id"]
    outer = save(client, "Both", {"field": f"audience:{inner}", "operator": "in"}, WITH_APP, folder="a")["id"]
    assert "audience a/Both" in client.get(f"/audiences/{inner}").text
    refused = client.post(f"/audiences/{inner}/delete")
    assert refused.status_code == 409
    assert "used by: audience a/Both" in refused.text
    for number in (outer, inner):
        assert client.post(f"/audiences/{number}/delete").status_code == 303
        assert client.get(f"/audiences/{number}").status_code == 404
    assert client.get("/admin/audit?action=audience deleted").text.count("audience deleted") >= 2


def test_a_version_made_in_the_meantime_is_not_overwritten(client_as: Clients) -> None:
    """Two people open version 1; the second one is told."""
    client = client_as("analyst")
    number = save(client, "Champions", GOOD)["id"]
    save(client, "Champions", WITH_APP, id=number, number=1)
    late = client_as("analyst", name="zoe").post(
        "/audiences",
        json={"definition": definition(GOOD), "name": "Champions", "id": number, "number": 1},
        headers={"accept": "application/json"},
    )
    assert late.status_code == 409
    assert "ada has saved version 2 in the meantime" in late.json()["error"]


def test_what_cannot_be_saved_says_why(client_as: Clients) -> None:
    """A name that is taken, none at all, a tag that is not there, an audience within itself."""
    client = client_as("analyst")
    number = save(client, "Champions", GOOD)["id"]

    def refused(**given: object) -> str:
        answer = client.post(
            "/audiences",
            json={"definition": definition(GOOD), "name": "x"} | given,
            headers={"accept": "application/json"},
        )
        assert answer.status_code in (400, 409, 422)
        return answer.json()["error"]

    assert "already an audience Champions" in refused(name="Champions")
    assert "name is missing" in refused(name="  ")
    assert "name is missing" in refused(name=["x"])
    assert "no tag has_ap" in refused(definition=definition(WITH_APP | {"field": "tag:has_ap"}))
    inside = {"field": f"audience:{number}", "operator": "in"}
    assert "circle" in refused(definition=definition(inside), name="Champions", id=number, number=1)
    assert (
        "schema" in client.post("/audiences/preview", json={"definition": {"schema": 9}}).json()["problems"][0]["path"]
    )


def test_the_builder_begins_with_the_rule_of_a_link(client_as: Clients) -> None:
    """A condition, a group or a whole definition; nonsense is refused."""
    client = client_as("analyst")
    group = {"combinator": "or", "not": True, "rules": [GOOD, WITH_APP]}
    for given, expected in (
        (GOOD, [GOOD]),
        (definition(WITH_APP, consent="sms"), [WITH_APP]),
        (group, [GOOD, WITH_APP]),
    ):
        data = builder_data(client, f"/audiences/new?rule={quote(json.dumps(given))}")
        assert data["definition"]["rule"]["rules"] == expected
    assert builder_data(client, "/audiences/new")["definition"]["rule"]["rules"] == []
    for nonsense in ("{", "[1]", '{"field":"x"}', '{"rule":{"rules":[{"rules":[]}]}}'):
        assert client.get(f"/audiences/new?rule={quote(nonsense)}").status_code == 400


def test_hostile_names_stay_text(client_as: Clients) -> None:
    """Names, notes and rules of links cannot leave the place where they stand."""
    client = client_as("steward")
    name = "</script><img src=x onerror=alert(1)> ' \" {{7*7}}".replace("/", "")
    number = save(client, name, GOOD, description="<b>bold</b>", note="<i>")["id"]
    for path in (
        "/audiences",
        f"/audiences/{number}",
        f"/audiences/{number}/edit",
        "/audiences/compare",
        "/audiences/new",
    ):
        page = client.get(path).text
        assert "<img src=x" not in page
        assert "<b>bold" not in page
    data = builder_data(client, f"/audiences/{number}/edit")
    assert data["audience"]["name"] == name
    hostile = GOOD | {"value": ["</script><script>alert(1)</script>"]}
    page = client.get(f"/audiences/new?rule={quote(json.dumps(hostile))}").text
    assert "<script>alert" not in page


def test_copying_begins_a_new_audience(client_as: Clients) -> None:
    """With the same rule and another name; chance is drawn anew."""
    client = client_as("analyst")
    number = save(client, "Champions", GOOD, folder="value")["id"]
    data = builder_data(client, f"/audiences/new?from={number}")
    assert data["audience"] is None
    assert data["suggested"] == {"name": "Champions, copy", "folder": "value", "description": ""}
    assert data["definition"]["rule"]["rules"] == [GOOD]
    assert data["definition"]["seed"] == ""
    assert builder_data(client, f"/audiences/{number}/edit")["definition"]["seed"] != ""


def test_values_are_suggested_from_the_published_version(client_as: Clients) -> None:
    """By frequency, those that contain the text; rare ones only for some; no way to other columns."""
    client = client_as("analyst")
    found = client.get("/audiences/values?tag=state&q=SW").json()["values"]
    assert [value for value, *_ in found] == ["nsw"]
    assert client.get("/audiences/values?tag=state&q=%27%3B--").json()["values"] == []
    whats = client.get("/audiences/what?event=purchase").json()["values"]
    assert whats[0][0] == "store 367"
    for path in ("values?tag=person_id", "values?tag=state%22", "what?event=nothing"):
        assert client.get(f"/audiences/{path}").status_code == 404
    rare = client_as("steward").get("/audiences/values?tag=spend_365d&q=").json()["values"]
    common = client.get("/audiences/values?tag=spend_365d&q=").json()["values"]
    assert len(common) < len(rare)


def test_overlap_is_shown_for_the_chosen(client_as: Clients) -> None:
    """Two of three; a number that is no audience changes nothing."""
    client = client_as("steward")
    numbers = [
        save(client, name, rule)["id"] for name, rule in (("One", GOOD), ("Two", WITH_APP), ("Three", BIG_SPENDERS))
    ]
    page = client.get(f"/audiences/compare?id={numbers[0]}&id={numbers[1]}&id=999&id=x").text
    matrix = page[page.index('<table class="matrix"') :]
    assert "One" in matrix
    assert "Two" in matrix
    assert "Three" not in matrix
    assert matrix.count("<td class") == 2


def test_an_audience_of_a_tag_that_is_gone_can_still_be_read(
    client_as: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says what is missing in place of a size, and comparing leaves it out."""
    client = client_as("steward")
    number = save(client, "Champions", GOOD)["id"]
    save(client, "Appers", WITH_APP)
    save(client, "Others", {"field": "tag:has_kids", "operator": "=", "value": True})
    from tagloom.portal.serving import Snapshot

    real = Snapshot.tags.fget
    without = property(lambda self: {name: tag for name, tag in real(self).items() if name != "rfm_segment"})
    monkeypatch.setattr(Snapshot, "tags", without)
    page = client.get(f"/audiences/{number}")
    assert page.status_code == 200
    assert "there is no tag rfm_segment in the published version" in page.text
    assert "Left out, because the published version cannot count them" in client.get("/audiences/compare").text
    assert client.get(f"/audiences/{number}/edit").status_code == 200
    assert client.get("/audiences").status_code == 200


def test_a_failed_check_is_seen_on_the_list_and_on_the_page(
    client_as: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only on audiences that stand on the tag that is stale, those that contain one included."""
    client = client_as("viewer")
    builder = client_as("analyst")
    champions = save(builder, "Champions", GOOD)["id"]
    inside = save(builder, "Inside", {"field": f"audience:{champions}", "operator": "in"})["id"]
    others = save(builder, "Others", WITH_APP)["id"]
    hold = Hold(7, "tag_category.tag_value__rfm", "RFM is not sound", datetime(2018, 1, 1), frozenset({"rfm_segment"}))
    monkeypatch.setattr("tagloom.alerting.holds._holds", lambda book: [hold])
    listed = client.get("/audiences").text
    assert listed.count('<span class="badge warn" title="RFM is not sound">held</span>') == 2
    for number, is_held in ((champions, True), (inside, True), (others, False)):
        assert ("RFM is not sound" in client.get(f"/audiences/{number}").text) == is_held


def test_the_builders_texts_are_those_of_its_source_and_all_have_chinese() -> None:
    """A text that is new in the source is told apart from one that has no translation."""
    source = PORTAL / "frontend" / "src" / "builder"
    asked = {
        text.replace('\\"', '"')
        for file in sorted([*source.glob("*.js"), *source.glob("*.jsx")])
        for text in re.findall(r'\bt\("((?:[^"\\]|\\.)*)"', file.read_text(encoding="utf-8"))
    }
    assert asked == set(TEXTS)
    words = builder_words("zh")
    others = {text for texts in OPERATORS.values() for text in texts.values()} | set(CONSENTS.values())
    assert [text for text in sorted(asked | others) if text not in words] == []
    assert builder_words("en") == {}
    for text, chinese in words.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", chinese)), text
    assert set(BOOLEAN) == {"True", "False"}
