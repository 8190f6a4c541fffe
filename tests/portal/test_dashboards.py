"""Dashboards: charts kept from the pages of value, narrowed by one filter, moved, removed, and theirs who made them."""

from __future__ import annotations

import json

import pytest
from tagloom.portal.store import audit, charts
from tagloom.portal.store.base import open_store

from tests.portal.test_tags_pages import charts_of

SEGMENTS = {"figure": "segments", "tag": "rfm_segment"}


@pytest.fixture
def analyst(client_as):
    return client_as("analyst")


def keep(client, definition: object = SEGMENTS, **fields: str):
    text = definition if isinstance(definition, str) else json.dumps(definition)
    return client.post("/dashboards/keep", data={"definition": text, **fields})


def dashboard_of(response) -> str:
    assert response.status_code == 303, response.text
    return response.headers["location"]


def test_a_chart_of_a_new_dashboard_is_drawn_with_its_target(analyst, world):
    path = dashboard_of(keep(analyst, name="Review", title="Who is who", target="300"))
    page = analyst.get(path).text
    assert "Review" in page
    assert "Who is who" in page
    [chart] = charts_of(page)
    assert chart["target"] == 300
    assert sum(chart["series"][0]["values"]) == 2_000
    assert "Review" in analyst.get("/dashboards").text
    with open_store(world).session() as store:
        deeds = [entry.action for entry in store.query(audit.AuditEntry)]
    assert deeds == ["dashboard created", "chart kept"]


def test_the_form_of_every_page_of_value_can_be_kept(analyst):
    import html
    import re

    path = dashboard_of(analyst.post("/dashboards", data={"name": "All"}))
    number = path.rpartition("/")[2]
    kept = 0
    for page in ("/value", "/value/lifecycle", "/value/cohorts", "/value/cross", "/value/trends"):
        for text in re.findall(r'name="definition" value="([^"]*)"', analyst.get(page).text):
            assert keep(analyst, html.unescape(text), dashboard=number).status_code == 303
            kept += 1
    assert kept >= 7
    assert len(charts_of(analyst.get(path).text)) == kept


def test_one_filter_narrows_all_charts_and_stays_in_their_links(analyst):
    path = dashboard_of(keep(analyst, name="Review", filter="tag:has_app=true"))
    own = sum(filter(None, charts_of(analyst.get(path).text)[0]["series"][0]["values"]))
    other = analyst.get(f"{path}?filter=tag:lifecycle_stage=active").text
    narrowed = sum(filter(None, charts_of(other)[0]["series"][0]["values"]))
    assert 0 < own < 2_000
    assert 0 < narrowed < 2_000
    assert own != narrowed
    assert "filter=tag%3Alifecycle_stage%3Dactive" in other


def test_charts_move_and_go(analyst, world):
    path = dashboard_of(keep(analyst, name="Review", title="A"))
    for title in ("B", "C"):
        keep(analyst, dashboard=path.rpartition("/")[2], title=title)

    def titles() -> list[str]:
        with open_store(world).session() as store:
            return [chart.title for chart in charts.charts_of(store, int(path.rpartition("/")[2]))]

    with open_store(world).session() as store:
        ids = {chart.title: chart.id for chart in charts.charts_of(store, int(path.rpartition("/")[2]))}
    analyst.post(f"{path}/charts/{ids['C']}/move", data={"to": "up"})
    assert titles() == ["A", "C", "B"]
    analyst.post(f"{path}/charts/{ids['A']}/move", data={"to": "up"})
    assert titles() == ["A", "C", "B"]
    analyst.post(f"{path}/charts/{ids['A']}/move", data={"to": "down"})
    assert titles() == ["C", "A", "B"]
    assert analyst.post(f"{path}/charts/{ids['A']}/delete").status_code == 303
    assert titles() == ["C", "B"]
    assert analyst.post(f"{path}/charts/{ids['A']}/delete").status_code == 303, "twice is the same"
    assert analyst.post(f"{path}/delete").headers["location"] == "/dashboards"
    assert analyst.get(path).status_code == 404


def test_a_dashboard_belongs_to_who_made_it(client_as):
    path = dashboard_of(keep(client_as("analyst", name="ada"), name="Ada's"))
    other = client_as("analyst", name="zoe")
    assert other.get(path).status_code == 200
    assert "/delete" not in other.get(path).text
    assert other.post(f"{path}/delete").status_code == 403
    assert other.post(f"{path}/charts/1/move", data={"to": "up"}).status_code == 403
    assert other.post(f"{path}/charts/1/delete").status_code == 403
    assert client_as("admin", name="root").post(f"{path}/delete").status_code == 303


def test_viewers_look_and_change_nothing(client_as):
    path = dashboard_of(keep(client_as("analyst"), name="Review"))
    viewer = client_as("viewer", name="zoe")
    page = viewer.get(path).text
    assert charts_of(page)
    assert "/delete" not in page
    assert "/dashboards/keep" not in viewer.get("/value").text
    assert keep(viewer, name="Mine").status_code == 403
    assert viewer.post("/dashboards", data={"name": "Mine"}).status_code == 403
    assert client_as(None).get(path).status_code in (303, 401)


@pytest.mark.parametrize(
    "definition",
    [
        "",
        "no json",
        "[]",
        '{"figure": "ghost"}',
        '{"figure": "segments", "tag": "ghost"}',
        '{"figure": "segments", "tag": "rfm_segment; drop table x"}',
        '{"figure": "cohorts", "event": "ghost"}',
    ],
)
def test_what_is_no_figure_is_refused(analyst, definition):
    assert keep(analyst, definition, name="Review").status_code in (400, 404)
    assert charts_of(analyst.get("/dashboards").text) == []


def test_what_a_form_adds_is_dropped(analyst, world):
    dashboard_of(keep(analyst, {**SEGMENTS, "sql": "select 1", "target": "x"}, name="Review"))
    with open_store(world).session() as store:
        [chart] = store.query(charts.SavedChart).all()
    assert chart.definition == SEGMENTS


@pytest.mark.parametrize("name", ["", "   ", "x" * 121, "Taken"])
def test_names_are_there_and_unique(analyst, name):
    dashboard_of(analyst.post("/dashboards", data={"name": "Taken"}))
    assert analyst.post("/dashboards", data={"name": name}).status_code == 400


@pytest.mark.parametrize("target", ["nan", "1e99", "many"])
def test_a_target_is_a_number(analyst, target):
    assert keep(analyst, name="Review", target=target).status_code == 400


@pytest.mark.parametrize("number", ["0", "999", "x", "-1", "99999999999999999999"])
def test_a_dashboard_that_is_not_there(analyst, number):
    assert analyst.get(f"/dashboards/{number}").status_code == 404


def test_a_chart_whose_tag_is_gone_says_so_and_the_others_are_drawn(analyst, world):
    path = dashboard_of(keep(analyst, name="Review"))
    number = int(path.rpartition("/")[2])
    with open_store(world).transaction() as store:
        charts.add_chart(store, number, {"figure": "segments", "tag": "gone"}, "", "Old", "ada")
        charts.add_chart(store, number, SEGMENTS, "audience:77", "Filtered", "ada")
    page = analyst.get(path)
    assert page.status_code == 200
    assert len(charts_of(page.text)) == 1
    assert "There is no such tag: gone" in page.text
    assert "was deleted" in page.text


def test_a_dashboard_takes_so_many_charts(world, monkeypatch, tmp_path):
    monkeypatch.setenv("TAGLOOM_PORTAL_DATABASE", f"sqlite:///{tmp_path / 'full.sqlite'}")
    with open_store(world).transaction() as store:
        dashboard = charts.create_dashboard(store, "Full", "ada")
        for _ in range(charts.MOST_CHARTS):
            charts.add_chart(store, dashboard.id, SEGMENTS, "", "", "ada")
        with pytest.raises(ValueError, match="begin another"):
            charts.add_chart(store, dashboard.id, SEGMENTS, "", "", "ada")
