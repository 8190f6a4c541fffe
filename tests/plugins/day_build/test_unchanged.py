"""Small tables of facts are left out of a day that changes nothing in them, and of no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import duckdb
import pytest
from tagloom.day_build import unchanged
from tagloom.day_build.causes import Causes
from tagloom.day_build.models import Graph
from tagloom.day_build.plan import Base
from tagloom.settings import PROJECT, Settings, load_settings
from tagloom.tags.rendered_sql import Renderer

BEFORE, DAY = date(2017, 12, 31), date(2018, 1, 1)

WORLD = """
create schema staging; create schema identity_mapping; create schema intermediate; create schema operations;
create table staging.stg_scores__scores as
from (values ('4001', 'churn', '1', 0.5, timestamp '2017-12-25 12:00:00')) as
    rows (card_number, model, model_version, score, scored_at);
create table staging.stg_campaigns__redemptions as
from (values ('1', 'C1', '4001', date '2017-12-25')) as rows (campaign_id, coupon_upc, card_number, redemption_date);
create table staging.stg_campaigns__campaigns as
from (values ('1', 'A', date '2017-12-01', date '2017-12-30')) as
    rows (campaign_id, campaign_type, start_date, end_date);
create table staging.stg_survey__respondents as from (values ('4001', '45-54')) as rows (card_number, age_band);
create table intermediate.int_orders (person_id bigint, order_date date);
create table operations.moved_identifiers (identifier_type varchar, identifier_hash varchar, person_id bigint);
"""

OBSERVED = """
create table identity_mapping.identity_observations as
from (values ('loyalty', 'loyalty_card', 'known'), ('scores', 'loyalty_card', 'scored')) as
    rows (source, identifier_type, identifier_hash);
"""

PARENTS = {
    "int_scores": ["stg_scores__scores", "identity_map"],
    "int_survey_answers": ["stg_survey__respondents", "identity_map"],
    "int_coupon_redemptions": [
        "stg_campaigns__redemptions", "stg_campaigns__campaigns", "int_orders", "identity_map"
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(PROJECT / "dbt_project")


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        connection.execute(WORLD)
        # The contents of the base, as the build before has found and kept them.
        unchanged.keep_contents(connection, manifest())
        yield connection


def settings() -> Settings:
    return replace(load_settings(), time_zone="America/New_York")


def manifest() -> dict:
    nodes = {"int_orders": node("int_orders", "intermediate", [])}
    for name, parents in PARENTS.items():
        nodes[name] = node(name, "intermediate", parents)
        nodes |= {
            parent: node(parent, "staging" if parent.startswith("stg") else "identity_mapping", [])
            for parent in parents
            if parent not in nodes
        }
    return {"nodes": nodes}


def node(name: str, layer: str, parents: list[str]) -> dict:
    return {
        "name": name,
        "resource_type": "model",
        "schema": layer,
        "original_file_path": f"models/{layer}/{name}.sql",
        "config": {"materialized": "table_of_persons" if layer == "intermediate" else "view"},
        "depends_on": {"nodes": parents},
    }


def why(connection, renderer, model: str = "int_scores", others: frozenset = frozenset()) -> frozenset | None:
    unchanged.note_contents(connection, manifest())
    base = Base(BEFORE, "", BEFORE, BEFORE)
    causes = Causes(Graph(connection, manifest(), "intermediate"), base, DAY, renderer)
    small = unchanged.SmallFacts(causes, settings())
    return small.why_rows_change(manifest()["nodes"][model], set(others))


ONE_MORE = "insert into staging.stg_scores__scores values ('4002', 'churn', '1', 0.5, timestamp '2017-12-25 12:00:00')"


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        ("", True),
        (ONE_MORE, False),
        ("update staging.stg_scores__scores set score = 0.6", False),
        ("delete from staging.stg_scores__scores", False),
        ("insert into operations.moved_identifiers values ('web_account', 'any', 1)", True),
        ("insert into operations.moved_identifiers values ('loyalty_card', 'any', 1)", False),
        (f"{OBSERVED} insert into operations.moved_identifiers values ('loyalty_card', 'known', 1)", True),
        (f"{OBSERVED} insert into operations.moved_identifiers values ('loyalty_card', 'scored', 1)", False),
    ],
)
def test_a_table_stays_when_its_rows_and_their_persons_do(connection, renderer, change, stays):
    connection.execute(change)
    assert why(connection, renderer) == (frozenset() if stays else None)


@pytest.mark.parametrize(
    ("moment", "stays"),
    [
        # Midnights of New York, five hours after those of UTC: until then it is the base's day, then the day after.
        ("2018-01-01 04:59:59", True),
        ("2018-01-01 05:00:00", False),
        ("2018-01-02 04:59:59", False),
        ("2018-01-02 05:00:00", True),
    ],
)
def test_a_row_that_is_known_of_only_now_came_earlier(connection, renderer, moment, stays):
    connection.execute(f"update staging.stg_scores__scores set scored_at = timestamp '{moment}'")
    unchanged.keep_contents(connection, manifest())
    assert why(connection, renderer) == (frozenset() if stays else None)


@pytest.mark.parametrize("day", ["2018-01-01", "2017-12-31"])
def test_a_date_of_a_table_that_is_looked_up_may_be_reached(connection, renderer, day):
    connection.execute(f"update staging.stg_campaigns__campaigns set end_date = date '{day}'")
    unchanged.keep_contents(connection, manifest())
    reached = why(connection, renderer, "int_coupon_redemptions", frozenset({"int_orders"}))
    assert reached == (None if day == "2018-01-01" else frozenset())


def test_rows_change_with_other_facts_of_their_persons(connection, renderer):
    causes = why(connection, renderer, "int_coupon_redemptions")
    assert ("changed", "int_orders") in causes
    # A window over a date that other facts have, too.
    assert any("order_date" in cause for cause in causes)
    assert why(connection, renderer, "int_coupon_redemptions") >= {("changed", "int_coupon_redemptions")}


@pytest.mark.parametrize("update", [False, True])
def test_after_an_update_or_a_killed_build_its_persons_are_computed_again(connection, renderer, update):
    if update:
        connection.execute("insert into operations.updated_persons values (7)")
    else:
        assert why(connection, renderer) == frozenset()
    assert why(connection, renderer) == {("changed", "int_scores")}


def test_a_table_that_depends_on_no_day_stays_too(connection, renderer):
    assert why(connection, renderer, "int_survey_answers") == frozenset()


def test_contents_are_those_before_the_facts_were_computed(connection, renderer):
    unchanged.note_contents(connection, manifest())
    # Lands while the facts are computed, so the next build looks at it.
    connection.execute(ONE_MORE)
    unchanged.keep_contents(connection, manifest())
    assert why(connection, renderer) is None
    unchanged.keep_contents(connection, manifest())
    connection.execute("delete from operations.changed_rows")
    assert why(connection, renderer) == frozenset()


def test_large_views_are_not_hashed(connection):
    known = manifest()
    known["nodes"]["int_orders"]["config"]["meta"] = {"replaced": {"facts": {"stg_scores__scores": "scored_at"}}}
    unchanged.note_contents(connection, known)
    noted = connection.execute("select staging from operations.coming_contents order by 1").fetchall()
    assert ("stg_scores__scores",) not in noted
    assert ("stg_survey__respondents",) in noted
