"""What is computed for everybody every day reads tables with a row per person: over facts a day costs a full build."""

from __future__ import annotations

import pytest
from tagloom.day_build import FULL_BUILD, PERSON_TABLE
from tagloom.day_build.months import MONTH_TABLE
from tagloom.settings import PROJECT
from tagloom.tags.rendered_sql import Renderer
from tagloom.windows import read_windows

from tests.project.dbt_manifest import doctored, models

CURE = (
    "Compare dates with tagloom.in_last_days or another window, the column first; or put what it needs of each "
    "person's facts into a model of its own, one row per person, and let this one read that. See docs/add-a-tag.md, "
    "'Within the minute, or with the full build'."
)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(PROJECT / "dbt_project")


def reading_facts_daily(manifest: dict, renderer: Renderer) -> dict[str, str]:
    """Model -> a sentence that says which facts it reads for everybody, why, and the cure."""
    facts = {
        name
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node["config"].get("meta", {}).get("replaced")
    }
    found = {}
    for node in models(manifest):
        read = sorted(manifest["nodes"][name]["name"] for name in facts & set(node["depends_on"]["nodes"]))
        if node["config"]["materialized"] != PERSON_TABLE or not read or node["unique_id"] in facts:
            continue
        if node["config"].get("meta", {}).get("updates") == FULL_BUILD:
            reason = "compares persons"
        else:
            reading = read_windows(renderer.render(PROJECT / "dbt_project" / node["original_file_path"]).sql)
            moving = reading.moves_for_everybody
            reason = f"computes '... {moving[0]} ...' from as_of_date, which is no window," if moving else ""
        if reason and "staging" not in {manifest["nodes"][name].get("schema") for name in node["depends_on"]["nodes"]}:
            found[node["name"]] = (
                f"{node['original_file_path']}: {reason} and reads {', '.join(read)}, so every day it is computed from "
                f"the facts of everybody. {CURE}"
            )
    return found


def test_no_model_reads_facts_of_everybody_every_day(manifest, renderer):
    found = reading_facts_daily(manifest, renderer)
    assert not found, "\n".join(found.values())


def test_tables_of_months_never_look_at_whose_a_row_is(manifest):
    # A day computes no month again because an identifier in it changed hands.
    found = [node for node in models(manifest) if node["config"]["materialized"] == MONTH_TABLE]
    assert found
    for node in found:
        assert "month_start" in node["columns"], f"{node['original_file_path']}: has no column month_start"
        assert "person_id" not in node["raw_code"], f"{node['original_file_path']}: reads whose a row is"
        declared = node["config"]["meta"]["months"]
        read = {manifest["nodes"][name]["name"] for name in node["depends_on"]["nodes"]}
        assert read == {declared["of"]}, f"{node['original_file_path']}: reads more than {declared['of']}"


def test_a_model_that_reads_facts_of_everybody_is_told_the_cure(manifest, renderer):
    other = doctored(manifest, "tag_consumption__rhythm", {"config.meta": {"updates": FULL_BUILD}})
    sentence = reading_facts_daily(other, renderer)["tag_consumption__rhythm"]
    assert sentence.startswith(
        "models/tag_category/person/consumption/tag_consumption__rhythm.sql: compares persons and reads int_orders, so"
    )
    assert sentence.endswith(CURE)
