"""The catalogue of tags: every tag has a page that says what it means, and hides what could point at somebody."""

from __future__ import annotations

import html
import json
import re
from urllib.parse import parse_qs, urlparse

import pytest
from tagloom.audiences.rules import parse
from tagloom.portal.serving import Serving
from tagloom.portal.small_cells import SMALLEST, shown, shown_table
from tagloom.portal.sql_highlight import highlighted


def charts_of(page: str) -> list[dict]:
    """Specs of the charts of a page, in their order."""
    return [json.loads(html.unescape(text)) for text in re.findall(r"data-chart='([^']*)'", page)]


def rule_of(address: str) -> list[dict]:
    """The conditions of a link to a new audience; it must be a definition that audiences understand."""
    definition = parse(parse_qs(urlparse(address).query)["rule"][0])
    return [leaf.model_dump() for leaf in definition.rule.rules]


def test_the_tree_has_every_tag_with_both_titles_to_search_in(client_as, world):
    page = client_as("viewer").get("/tags").text
    for name, tag in Serving(world).snapshot().tags.items():
        assert f"/tags/person/{name}" in page
        assert html.escape(tag.title_zh) in page
    assert page.count("data-filter-item") == 186


@pytest.mark.parametrize("object_name", ["household", "product", "store"])
def test_other_things_have_a_tree_too(client_as, object_name):
    page = client_as("viewer").get(f"/tags?object={object_name}").text
    assert f"/tags/{object_name}/" in page
    assert "/tags/person/" not in page


def test_a_thing_that_has_no_tags_shows_persons(client_as):
    assert "/tags/person/rfm_segment" in client_as("viewer").get("/tags?object=ghost").text


def test_every_tag_has_a_page(client_as, world):
    client = client_as("admin")
    chosen = [tag for number, tag in enumerate(Serving(world).snapshot().catalogue) if number % 6 == 0]
    assert len(chosen) > 30
    for tag in chosen:
        response = client.get(f"/tags/{tag.object}/{tag.name}")
        assert response.status_code == 200
        assert html.escape(tag.title) in response.text


def test_a_tag_says_what_it_means_and_how_it_is_computed(client_as):
    page = client_as("viewer").get("/tags/person/rfm_segment").text
    assert "loyalty@example.com" in page
    assert "tag_value__rfm.sql" in page
    assert '<span class="sql-word">select</span>' in page
    assert "report_sales_by_segment" in page
    assert "/tags/person/recency_score" in page, "tags of the same model"


def test_a_bar_of_the_distribution_leads_to_an_audience(client_as, world):
    [chart] = [one for one in charts_of(client_as("analyst").get("/tags/person/rfm_segment").text) if one.get("urls")]
    assert chart["categories"][0] == "champion"
    assert rule_of(chart["urls"][0]) == [{"field": "tag:rfm_segment", "operator": "in", "value": ["champion"]}]
    counted = (
        Serving(world)
        .snapshot()
        .value("select count(*) from tag_integration.person_tags where rfm_segment = 'champion'")
    )
    assert chart["series"][0]["values"][0] == counted
    assert chart["categories"][-1] == "no value"
    assert rule_of(chart["urls"][-1])[0]["operator"] == "null"


def test_the_lineage_goes_both_ways(client_as):
    [graph] = [
        one for one in charts_of(client_as("viewer").get("/tags/person/rfm_segment").text) if one["kind"] == "graph"
    ]
    layers = {node["label"]: node["layer"] for node in graph["nodes"]}
    assert layers["pos.basket_lines"] < layers["sold_at"] < layers["RFM segment"] < layers["report_sales_by_segment"]
    names = {node["name"] for node in graph["nodes"]}
    assert all({link["source"], link["target"]} <= names for link in graph["links"])


def test_tags_that_are_computed_from_a_tag_are_linked(client_as):
    page = client_as("viewer").get("/tags/person/monetary_score").text
    assert re.search(r'<a href="/tags/person/loyalty_level">\s*Loyalty level', page)
    assert "another tag" in page


def test_saved_audiences_are_users_of_a_tag(client_as, world, monkeypatch):
    from tagloom.audiences import library

    monkeypatch.setattr(library, "users_of_tags", lambda settings, tags: [f"audience Spring for {' '.join(tags)}"])
    page = client_as("viewer").get("/tags/person/state").text
    assert "Spring for state" in page
    assert "saved audience" in page
    assert "Spring" not in client_as("viewer").get("/tags/store/sales_365d").text


def test_the_page_is_in_the_readers_language(client_as):
    page = client_as("viewer", language="zh").get("/tags/person/rfm_segment").text
    assert "RFM分群" in page
    assert "冠军客户" in page
    assert "覆盖率" in page


def test_a_tag_that_is_not_there(client_as):
    response = client_as("viewer").get("/tags/person/ghost")
    assert response.status_code == 404
    assert client_as("viewer").get("/tags/ghost/rfm_segment").status_code == 404


def test_small_groups_are_for_those_who_may_see_personal_data(client_as, world):
    def counts(role: str, name: str) -> list[int | None]:
        charts = charts_of(client_as(role).get(f"/tags/person/{name}").text)
        return next(one for one in charts if one["kind"] == "bar")["series"][0]["values"]

    hidden = 0
    for name in ("campaigns_received", "orders_365d", "distinct_products_365d"):
        everything, seen = counts("steward", name), counts("viewer", name)
        assert None not in everything
        assert not [count for count in seen if count is not None and 0 < count < SMALLEST]
        assert [a for a, b in zip(everything, seen, strict=True) if b is not None] == [b for b in seen if b is not None]
        hidden += seen.count(None)
    assert hidden, "the world has no small group; the test shows nothing"


@pytest.mark.parametrize(
    ("counts", "seen"),
    [
        ([100, 50], [100, 50]),
        ([100, 9, 8], [100, None, None]),
        ([100, 50, 3], [100, None, None]),
        ([100, 0, 12], [100, 0, 12]),
        ([3], [None]),
        ([], []),
    ],
)
def test_one_hidden_group_hides_another(counts, seen):
    assert shown(counts) == seen
    assert shown(counts, everything=True) == counts


def test_no_line_of_a_table_has_one_hidden_cell_alone():
    table = [[100, 3, 40], [50, 60, 70], [20, 30, 80]]
    seen = shown_table(table)
    for line in [*seen, *map(list, zip(*seen, strict=True))]:
        assert line.count(None) != 1
    assert seen[0][1] is None
    assert shown_table(table, everything=True) == table
    assert shown_table([]) == []


def test_sql_in_colours_is_escaped():
    text = highlighted("select '<b>' as a -- <i>\nfrom {{ ref('t') }} where b < 3")
    assert "<b>" not in text
    assert "<i>" not in text
    assert '<span class="sql-text">&#39;&lt;b&gt;&#39;</span>' in text
    assert '<span class="sql-comment">-- &lt;i&gt;</span>' in text
    assert '<span class="sql-jinja">{{ ref(&#39;t&#39;) }}</span>' in text
    assert html.unescape(re.sub(r"<[^>]*>", "", text)).startswith("select '<b>' as a")
