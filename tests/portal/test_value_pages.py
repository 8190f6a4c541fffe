"""Value and groups: figures are what the version says counted another way, and every cell leads to its persons."""

from __future__ import annotations

import math
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from tagloom.audiences.compile import compile_count
from tagloom.audiences.evaluate import events_of_version
from tagloom.audiences.rules import parse
from tagloom.portal.association import association, chi_square_chance, difference_chance
from tagloom.portal.serving import Serving
from tagloom.portal.small_cells import SMALLEST

from tests.portal.test_tags_pages import charts_of, rule_of

PAGES = ("/value", "/value/lifecycle", "/value/cohorts", "/value/cross", "/value/trends")


@pytest.fixture(scope="module")
def snapshot(world):
    return Serving(world).snapshot()


@pytest.fixture(scope="module")
def persons(snapshot):
    return pd.DataFrame(
        snapshot.rows(
            "select person_id, recency_score, frequency_score, monetary_score, rfm_segment, lifecycle_stage, state, "
            "spend_365d, orders_365d, has_app, last_order_date from tag_integration.person_tags"
        )
    )


@pytest.fixture(scope="module")
def events(snapshot):
    return pd.DataFrame(snapshot.rows("from serving.person_events where event in ('purchase', 'web_purchase')"))


def persons_of_link(snapshot, address: str) -> int:
    """How many persons the audience of a link has."""
    definition = parse({"schema": 1, "rule": {"combinator": "and", "rules": rule_of(address)}, "suppression": False})
    query = compile_count(
        definition, snapshot.tags, events_of_version(snapshot), lambda number: None, snapshot.as_of_date
    )
    return snapshot.value(query.sql, query.parameters)


def links_of(flow: dict) -> list[dict]:
    """The streams of a flow, from and to `step value`."""
    codes = {node["name"]: f"{node['depth']} {node['group']}" for node in flow["nodes"]}
    return [
        {"source": codes[one["source"]], "target": codes[one["target"]], "value": one["value"]} for one in flow["links"]
    ]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_draws_its_figures(client_as, path, language):
    response = client_as("viewer", language=language).get(path)
    assert response.status_code == 200
    assert charts_of(response.text)
    assert ("fewer than ten" in response.text or "Only" in response.text) == (language == "en")


def test_the_rfm_grid_counts_persons_and_each_cell_leads_to_them(client_as, snapshot, persons):
    grid = charts_of(client_as("admin").get("/value").text)[0]
    assert grid["categories"] == ["1", "2", "3", "4", "5"]
    assert [serie["name"] for serie in grid["series"]] == ["5", "4", "3", "2", "1"]
    expected = persons.groupby(["recency_score", "frequency_score"]).size()
    for serie in grid["series"]:
        for column, count in enumerate(serie["values"]):
            assert count == expected.get((int(serie["name"]), column + 1), 0)
    assert persons_of_link(snapshot, grid["urls"][0][4]) == grid["series"][0]["values"][4]


def test_the_axes_of_the_grid_can_be_chosen(client_as, persons):
    grid = charts_of(client_as("admin").get("/value?x=monetary_score&y=frequency_score").text)[0]
    expected = persons.groupby(["frequency_score", "monetary_score"]).size()
    assert grid["series"][0]["values"] == [expected.get((5, score), 0) for score in range(1, 6)]


def test_cohorts_are_those_of_the_events(client_as, events):
    [heat] = [one for one in charts_of(client_as("admin").get("/value/cohorts").text) if one["kind"] == "heatmap"]
    month = pd.to_datetime(events["happened_on"]).dt.to_period("M")
    first = month.groupby(events["person_id"]).min()
    bought = events[events["event"] == "purchase"]
    cohort = bought["person_id"].map(first)
    for serie in heat["series"]:
        members = (first.astype(str) == serie["name"]).sum()
        for months, share in enumerate(serie["values"]):
            when = pd.Period(serie["name"]) + months
            if when > pd.Period("2017-12"):
                assert share is None
                continue
            active = bought.loc[(cohort.astype(str) == serie["name"]) & (month[bought.index] == when), "person_id"]
            assert share == pytest.approx(active.nunique() / members)


def test_the_flow_of_purchases_is_that_of_the_events(client_as, events):
    client = client_as("admin")
    flows = [one for one in charts_of(client.get("/value/lifecycle").text) if one["kind"] == "sankey"]
    flow = next(one for one in flows if any(node["group"] == "away" for node in one["nodes"]))
    quarter = pd.to_datetime(events["happened_on"]).dt.to_period("Q")
    bought = set(zip(events["person_id"], quarter, strict=True))
    first = quarter.groupby(events["person_id"]).min()
    newest = sorted(quarter.unique())[-5:]

    def state(person: int, when: pd.Period) -> str:
        if (person, when) not in bought:
            return "away"
        if first[person] == when:
            return "new"
        return "staying" if (person, when - 1) in bought else "back"

    expected: dict[tuple[str, str], int] = {}
    for place, (one, two) in enumerate(pairwise(newest)):
        for person in first.index[first <= one]:
            key = (f"{place} {state(person, one)}", f"{place + 1} {state(person, two)}")
            expected[key] = expected.get(key, 0) + 1
    assert {(link["source"], link["target"]): link["value"] for link in links_of(flow)} == expected


def test_the_flow_of_a_tag_is_that_of_its_history(client_as, snapshot):
    flow = next(one for one in charts_of(client_as("admin").get("/value/lifecycle").text) if one["kind"] == "sankey")
    history = pd.DataFrame(
        snapshot.rows("from tag_integration.tag_history where tag = 'lifecycle_stage' and object = 'person'")
    )
    newest = max(node["depth"] for node in flow["nodes"])
    into = {}
    for link in links_of(flow):
        into[link["target"]] = into.get(link["target"], 0) + link["value"]
    for value, count in history[history["valid_to"].isna()].groupby("value").size().items():
        # Persons without a stage on the day before come from nowhere and are in no stream.
        assert 0 < into[f"{newest} {value}"] <= count


def test_small_streams_and_cells_are_hidden_from_viewers(client_as):
    client = client_as("viewer")
    for path in ("/value", "/value/cross?rows=rfm_segment&columns=state", "/value/lifecycle"):
        for chart in charts_of(client.get(path).text):
            values = [link["value"] for link in chart.get("links", [])]
            if not chart.get("percent"):
                values += [value for serie in chart.get("series", []) for value in serie["values"]]
            assert not [value for value in values if value is not None and 0 < value < SMALLEST]
    hidden = charts_of(client.get("/value/cross?rows=rfm_segment&columns=usual_hour&measure=persons").text)[0]
    assert any(value is None for serie in hidden["series"] for value in serie["values"])
    seen = charts_of(client_as("steward").get("/value/cross?rows=rfm_segment&columns=usual_hour&measure=persons").text)[
        0
    ]
    assert not any(value is None for serie in seen["series"] for value in serie["values"])


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ("rfm_segment", "lifecycle_stage"),
        ("has_app", "state"),
        ("spend_365d", "has_app"),
        ("last_order_date", "recency_score"),
        ("favourite_department", "churn_risk"),
    ],
)
def test_a_cross_tab_of_any_two_tags_adds_up_and_its_cells_are_audiences(client_as, snapshot, rows, columns):
    page = client_as("admin").get(f"/value/cross?rows={rows}&columns={columns}&measure=persons").text
    chart = charts_of(page)[0]
    table = [serie["values"] for serie in chart["series"]]
    assert sum(map(sum, table)) == snapshot.persons
    checked = 0
    for row, line in enumerate(table):
        for column, count in enumerate(line):
            if chart["urls"][row][column] and (row + 2 * column) % 3 == 0:
                assert persons_of_link(snapshot, chart["urls"][row][column]) == count
                checked += 1
    assert checked


def test_a_filter_narrows_every_figure(client_as, snapshot, persons):
    client = client_as("admin")
    page = client.get(
        "/value/cross?rows=rfm_segment&columns=has_app&measure=persons&filter=tag:lifecycle_stage=active"
    ).text
    chart = charts_of(page)[0]
    assert sum(sum(serie["values"]) for serie in chart["series"]) == (persons["lifecycle_stage"] == "active").sum()
    assert rule_of(chart["urls"][0][0])[-1] == {
        "field": "tag:lifecycle_stage",
        "operator": "in",
        "value": ["active"],
    }
    for path in PAGES:
        assert client.get(f"{path}?filter=tag:has_app=true").status_code == 200


@pytest.mark.parametrize(
    "query",
    ["filter=tag:state", "filter=tag:ghost=1", "filter=audience:99999", "filter=audience:x", "filter=' or 1=1 --"],
)
def test_a_filter_that_is_none_says_so(client_as, query):
    assert client_as("viewer").get(f"/value/cohorts?{query}").status_code == 404


@pytest.mark.parametrize("path", ["/value/cross?rows=ghost", "/value/trends?tag=ghost", "/value/cohorts?event=ghost"])
def test_what_is_not_there_is_not_found(client_as, path):
    assert client_as("viewer").get(path).status_code == 404


def test_a_trend_ends_with_the_shares_of_today(client_as, snapshot, persons):
    page = client_as("admin").get("/value/trends?tag=rfm_segment&value=champion&target=20").text
    line = charts_of(page)[0]
    assert line["categories"][-1] == "2017-12-31"
    assert len(line["categories"]) == 12
    assert line["target"] == 0.2
    assert line["series"][0]["values"][-1] == pytest.approx((persons["rfm_segment"] == "champion").mean())
    assert "30 Sept 2017" in page or "30 Sep 2017" in page, "the last day of the quarter before"


def test_a_trend_of_filtered_persons_comes_from_the_history(client_as, persons):
    page = client_as("admin").get("/value/trends?tag=rfm_segment&value=champion&filter=tag:lifecycle_stage=active").text
    line = charts_of(page)[0]
    active = persons[persons["lifecycle_stage"] == "active"]
    assert line["series"][0]["values"][-1] == pytest.approx((active["rfm_segment"] == "champion").mean())


def test_the_chance_of_chi_square_is_that_of_the_tables():
    # Values of any statistics book.
    assert chi_square_chance(3.841, 1) == pytest.approx(0.05, abs=1e-4)
    assert chi_square_chance(18.307, 10) == pytest.approx(0.05, abs=1e-4)
    assert chi_square_chance(124.342, 100) == pytest.approx(0.05, abs=1e-4)
    assert chi_square_chance(0, 3) == chi_square_chance(5, 0) == 1
    assert chi_square_chance(2_000, 4) < 1e-100


@limits(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 60), min_size=3, max_size=3), min_size=2, max_size=4))
def test_an_association_is_within_its_bounds(table):
    found = association(table)
    assert found.persons == sum(map(sum, table))
    assert 0 <= found.chance <= 1
    assert 0 <= found.strength <= 1 + 1e-9
    assert len(found.lifts) == len(table)


def test_what_follows_from_each_other_is_strong_and_what_does_not_is_none():
    assert association([[50, 0], [0, 50]]).strength == pytest.approx(1)
    assert association([[50, 0], [0, 50]]).stands_out == [[1, -1], [-1, 1]]
    nothing = association([[40, 20], [20, 10]])
    assert nothing.strength == pytest.approx(0)
    assert nothing.chance == pytest.approx(1)
    assert nothing.stands_out == [[0, 0], [0, 0]]
    assert association([[30, 10], [12, 28]]).chi_square == pytest.approx(16.2406, abs=1e-3)


def test_two_shares_differ_by_chance_or_not():
    assert difference_chance(50, 100, 50, 100) == pytest.approx(1)
    assert difference_chance(60, 100, 40, 100) == pytest.approx(math.erfc(2.8284 / math.sqrt(2)), abs=1e-4)
    assert difference_chance(0, 0, 1, 2) == 1
