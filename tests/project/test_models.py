"""Every model says its grain and its columns, tests its key, and shows its edges; nobody reads the clock."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest
from tagloom.settings import PROJECT
from tagloom.tags.definitions import load_tags
from tagloom.transform import LAYERS

from tests.project.dbt_manifest import doctored, layer, models

DBT_PROJECT = PROJECT / "dbt_project"

CLOCK = re.compile(
    r"\b(current_date|current_time|current_timestamp|localtimestamp|today|now|random|rand|uuid|gen_random_uuid)\b"
    r"(?=\s*\()|\b(current_date|current_timestamp|localtimestamp)\b",
    re.IGNORECASE,
)
"""What gives another value on another day, or every time."""

ONE_ENGINE_ONLY = re.compile(r"::|\bqualify\b|\bexclude\s*\(|\bilike\b|\basof\b", re.IGNORECASE)
"""DuckDB's own words; where they are needed, a macro in macros/dialect has them."""

EDGE = re.compile(
    r"\bcase\b|_last_days\(|window_totals\(|ntile_score\(|full_years_between\(|[<>]=?\s*-?\d|\d\s*[<>]|\bbetween\b",
    re.IGNORECASE,
)
"""A case, a window of days or a threshold."""

STORED_NOWHERE = {"identity_records"}
"""A view of identity mapping over staging: it compares names, and its rows are in no file."""

ALLOWED_ABOVE_STAGING = {("persons", "birth_date")}
"""Columns with the name of direct personal data that models above staging may have: the day alone names nobody."""


def meta(column: dict) -> dict:
    return {**column.get("meta", {}), **column.get("config", {}).get("meta", {})}


def without_comments(sql: str) -> str:
    return re.sub(r"\{#.*?#\}|--[^\n]*|\"\"\".*?\"\"\"", "", sql, flags=re.DOTALL)


def missing_grains(manifest: dict) -> list[str]:
    return [
        f"{node['original_file_path']}: its description must begin with 'One row per', not {node['description'][:30]!r}"
        for node in models(manifest)
        if not node["description"].startswith("One row per ")
    ]


def undescribed_columns(manifest: dict) -> list[str]:
    described = [*models(manifest), *manifest["sources"].values()]
    problems = [f"{node['original_file_path']}: describes no column" for node in described if not node["columns"]]
    return problems + [
        f"{node['original_file_path']}: the column {name} of {node['name']} has no description"
        for node in described
        for name, column in node["columns"].items()
        if not column["description"].strip()
    ]


def misplaced_twins(manifest: dict) -> list[str]:
    return [
        f"{node['original_file_path']}: is described in {node['patch_path']}; its YAML twin lies beside it"
        for node in models(manifest)
        if node["patch_path"] != f"tagloom://{node['original_file_path'].rpartition('.')[0]}.yml"
    ]


def untested_keys(manifest: dict) -> list[str]:
    tested: dict[tuple[str, str], set[str]] = defaultdict(set)
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test" and node.get("test_metadata"):
            tested[node["attached_node"], node["test_metadata"]["name"]].add(node["column_name"] or "several columns")
    return [
        f"{node['original_file_path']}: no column is tested not_null and unique, and no unique_together names its grain"
        for node in models(manifest)
        if not tested[node["unique_id"], "unique"] & tested[node["unique_id"], "not_null"]
        and not tested[node["unique_id"], "unique_together"]
    ]


def misplaced_laws(manifest: dict) -> list[str]:
    problems = []
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test" and not node.get("test_metadata"):
            read = (manifest["nodes"].get(name, {}).get("schema") for name in node["depends_on"]["nodes"])
            last = max((LAYERS.index(schema) for schema in read if schema in LAYERS), default=0)
            if node["original_file_path"].split("/")[1] != LAYERS[last]:
                problems.append(
                    f"{node['original_file_path']}: reads {LAYERS[last]}, so it is run with that layer and lies in "
                    f"dbt_project/data-tests/{LAYERS[last]}"
                )
    return problems


def edges_nobody_shows(manifest: dict) -> list[str]:
    shown: dict[str, set[str]] = defaultdict(set)
    for test in manifest["unit_tests"].values():
        for row in test["expect"]["rows"] or []:
            shown[test["model"]] |= set(row)
    problems = []
    for node in models(manifest):
        edge = EDGE.search(without_comments(node["raw_code"]))
        if layer(node) == "tag_category" and edge:
            computed = [name for name in node["columns"] if re.search(rf"\bas {name}\b", node["raw_code"])]
            hidden = [name for name in computed if name not in shown.get(node["name"], ())]
            if node["name"] not in shown:
                problems.append(f"{node['original_file_path']}: has an edge ({edge[0]}), but no unit test shows it")
            elif hidden:
                problems.append(f"{node['original_file_path']}: no unit test expects a value of {', '.join(hidden)}")
    return problems


def clocks(manifest: dict) -> list[str]:
    code = [*models(manifest), *_written_in_the_project(manifest)]
    return [
        f"{node['original_file_path']}: uses {found[0]}; time comes from tagloom.as_of_date()"
        for node in code
        if (found := CLOCK.search(without_comments(node.get("raw_code") or node.get("macro_sql") or "")))
    ]


def _written_in_the_project(manifest: dict) -> list[dict]:
    tests = [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    return tests + [macro for macro in manifest["macros"].values() if macro["package_name"] == "tagloom"]


def words_of_one_engine(manifest: dict) -> list[str]:
    return [
        f"{node['original_file_path']}: uses {found[0]!r}, which only DuckDB knows; put it into macros/dialect"
        for node in models(manifest)
        if node["language"] == "sql" and (found := ONE_ENGINE_ONLY.search(without_comments(node["raw_code"])))
    ]


def direct_personal_data(manifest: dict) -> list[str]:
    low = [*manifest["sources"].values(), *(node for node in models(manifest) if layer(node) == "staging")]
    direct = {
        name
        for node in low
        for name, column in node["columns"].items()
        if meta(column).get("personal_data") == "direct"
    }
    return [
        f"{node['original_file_path']}: the column {name} is direct personal data; above staging there are only hashes"
        for node in models(manifest)
        if layer(node) != "staging" and not node["name"].startswith("export_") and node["name"] not in STORED_NOWHERE
        for name, column in node["columns"].items()
        if meta(column).get("personal_data") == "direct"
        or (name in direct and (node["name"], name) not in ALLOWED_ABOVE_STAGING)
    ]


RULES = {
    rule.__name__: rule
    for rule in (
        missing_grains,
        undescribed_columns,
        misplaced_twins,
        untested_keys,
        misplaced_laws,
        edges_nobody_shows,
        clocks,
        words_of_one_engine,
        direct_personal_data,
    )
}


@pytest.mark.parametrize("rule", RULES)
def test_the_project_keeps_the_rule(manifest, rule):
    assert RULES[rule](manifest) == []


def test_personal_data_is_marked_somewhere(manifest):
    marks = {
        meta(column).get("personal_data")
        for node in manifest["sources"].values()
        if node["source_name"] != "operations"  # the books, which no system delivers
        for column in node["columns"].values()
    }
    assert marks == {"none", "indirect", "direct"}


def test_there_are_enough_tags_of_persons():
    tags = [
        tag
        for model in load_tags(DBT_PROJECT / "models" / "tag_category")
        for tag in model.columns
        if model.object == "person" and tag.status == "published"
    ]
    assert len(tags) >= 45
    assert len({tag.category[0] for tag in tags}) >= 8


def test_seeds_say_what_a_row_is(manifest):
    seeds = [node for node in manifest["nodes"].values() if node["resource_type"] == "seed"]
    assert seeds
    assert [seed["name"] for seed in seeds if not seed["description"].startswith("One row per ")] == []


DESCRIBED = {"name": "c", "description": "What it is.", "meta": {}}


@pytest.mark.parametrize(
    ("rule", "name", "changes", "sentence"),
    [
        ("missing_grains", "persons", {"description": "All persons."}, "its description must begin with 'One row per'"),
        (
            "undescribed_columns",
            "persons",
            {"columns": {"c": {**DESCRIBED, "description": " "}}},
            "the column c of persons has no description",
        ),
        ("undescribed_columns", "persons", {"columns": {}}, "describes no column"),
        (
            "misplaced_twins",
            "persons",
            {"patch_path": "tagloom://models/all.yml"},
            "is described in tagloom://models/all.yml",
        ),
        (
            "misplaced_laws",
            "orders_keep_every_basket",
            {"original_file_path": "data-tests/staging/orders_keep_every_basket.sql"},
            "lies in dbt_project/data-tests/intermediate",
        ),
        ("untested_keys", "persons", {"unique_id": "model.tagloom.nobody"}, "no column is tested not_null and unique"),
        (
            "edges_nobody_shows",
            "tag_value__rfm",
            {"name": "tag_value__new"},
            "has an edge (_last_days(), but no unit test",
        ),
        (
            "edges_nobody_shows",
            "tag_value__rfm",
            {"columns": {"new_tag": DESCRIBED}, "raw_code": "select case when a then b end as new_tag"},
            "no unit test expects a value of new_tag",
        ),
        ("clocks", "persons", {"raw_code": "select now()"}, "uses now; time comes from tagloom.as_of_date()"),
        ("clocks", "persons", {"raw_code": "select CURRENT_DATE"}, "uses CURRENT_DATE; time comes from"),
        ("words_of_one_engine", "persons", {"raw_code": "select 1::text"}, "uses '::', which only DuckDB knows"),
        (
            "words_of_one_engine",
            "persons",
            {"raw_code": "select * exclude (a)"},
            "uses 'exclude (', which only DuckDB knows",
        ),
        (
            "direct_personal_data",
            "int_orders",
            {"columns": {"email": DESCRIBED}},
            "the column email is direct personal data",
        ),
        (
            "direct_personal_data",
            "int_orders",
            {"columns": {"mail": {**DESCRIBED, "meta": {"personal_data": "direct"}}}},
            "the column mail is direct personal data",
        ),
    ],
)
def test_a_broken_rule_is_named(manifest, rule, name, changes, sentence):
    [problem] = RULES[rule](doctored(manifest, name, changes))
    assert re.match(r"(models|data-tests)/\S+\.(sql|yml): ", problem)
    assert sentence in problem


@pytest.mark.parametrize(
    ("sql", "is_an_edge"),
    [
        ("select case when a then b end", True),
        ("select {{ tagloom.in_last_days('d', 30) }}", True),
        ("select spend > 100 as is_big", True),
        ("select 10 <= spend", True),
        ("select spend - cost as margin -- below 10 it is low, > 5 is high", False),
        ("select a, b from c where a > b", False),
    ],
)
def test_what_counts_as_an_edge(sql, is_an_edge):
    assert bool(EDGE.search(without_comments(sql))) == is_an_edge
