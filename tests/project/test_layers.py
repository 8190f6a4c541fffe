"""Who may read whom, what each layer is made of, and what a model is called: kept over dbt's manifest.

Each rule is a function from the manifest to sentences; the project gives none, a doctored manifest gives the sentence.
"""

from __future__ import annotations

import pytest
from tagloom.transform import LAYERS

from tests.project.dbt_manifest import doctored, folders, layer, models

MAY_READ = {
    "staging": {"source", "seed"},
    "identity_mapping": {"staging", "books", "seed", "identity_mapping"},
    "intermediate": {"staging", "identity_mapping", "intermediate", "seed"},
    "tag_category": {"identity_mapping", "intermediate", "tag_category", "seed"},
    "tag_integration": {"identity_mapping", "tag_category", "tag_integration", "seed", "books"},
    "serving": {"tag_integration", "intermediate", "identity_mapping", "seed", "serving"},
}

BOOKS = "stg_operations__"
"""Staging models of what Tagloom notes about itself, which no system delivers; here they are a layer called books."""

MADE_AS = {
    "staging": {"view"},
    "identity_mapping": {"table", "incremental", "identity_partition", "view"},
    "intermediate": {"table", "table_of_months", "table_of_persons"},
    "tag_category": {"table", "table_of_persons", "view"},
    "tag_integration": {"table", "table_of_persons", "view", "incremental"},
    "serving": {"table", "table_of_persons"},
}

UPDATES = {None, "full_build"}
"""What `meta.updates` of a model may say."""

WITHOUT_CONTRACT = {"staging", "intermediate"}
"""Layers whose columns may change without notice: nobody outside dbt reads them."""

SERVING_PREFIX = {
    "audiences": ("audience_",),
    "campaigns": ("campaign_",),
    "reports": ("report_",),
    "exports": ("export_",),
    "portal": ("person_", "event_"),
}


def forbidden_reads(manifest: dict) -> list[str]:
    everything = manifest["nodes"] | manifest["sources"]
    return [
        f"{node['original_file_path']}: reads {everything[parent]['name']} of {_read_as(everything[parent])}; "
        f"{layer(node)} may read {', '.join(sorted(MAY_READ[layer(node)]))}"
        for node in models(manifest)
        for parent in node["depends_on"]["nodes"]
        if _read_as(everything[parent]) not in MAY_READ[layer(node)]
    ]


def _read_as(node: dict) -> str:
    return "books" if node["name"].startswith(BOOKS) else layer(node)


def wrong_schemas(manifest: dict) -> list[str]:
    return [
        f"{node['original_file_path']}: is built as {node['schema']}.{node['alias']}, "
        f"not as {layer(node)}.{node['name']}"
        for node in models(manifest)
        if node["schema"] != layer(node) or node["alias"] != node["name"]
    ]


def wrong_materialisations(manifest: dict) -> list[str]:
    return [
        f"{node['original_file_path']}: is {node['config']['materialized']}; "
        f"{layer(node)} is made of {' or '.join(sorted(MADE_AS[layer(node)]))}"
        for node in models(manifest)
        if node["config"]["materialized"] not in MADE_AS[layer(node)]
    ]


def wrong_updates(manifest: dict) -> list[str]:
    """An update finds the rows of a person by person_id; a misspelt `updates` would let it touch what it must not."""
    problems = [
        f"{node['original_file_path']}: is a table_of_persons, but has no column person_id"
        for node in models(manifest)
        if node["config"]["materialized"] == "table_of_persons" and "person_id" not in node["columns"]
    ]
    return problems + [
        f"{node['original_file_path']}: meta.updates is {node['config']['meta']['updates']!r}; it may be 'full_build'"
        for node in models(manifest)
        if node["config"].get("meta", {}).get("updates") not in UPDATES
    ]


def missing_contracts(manifest: dict) -> list[str]:
    # dbt enforces no contract on a Python model.
    return [
        f"{node['original_file_path']}: has no contract; every model of {layer(node)} has one"
        for node in models(manifest)
        if node["language"] == "sql" and layer(node) not in WITHOUT_CONTRACT and not node["contract"]["enforced"]
    ]


def used_dbt_tags(manifest: dict) -> list[str]:
    everything = [*manifest["nodes"].values(), *manifest["sources"].values(), *manifest["unit_tests"].values()]
    tagged = [node for node in everything if node.get("tags") or node.get("config", {}).get("tags")]
    tagged += [
        node for node in everything if any(column.get("tags") for column in (node.get("columns") or {}).values())
    ]
    return [f"{node['original_file_path']}: uses dbt tags; folders are the selectors" for node in tagged]


def wrong_names(manifest: dict) -> list[str]:
    problems = []
    for node in models(manifest):
        expected = _beginning(node)
        if expected is None:
            problems.append(f"{node['original_file_path']}: lies in a folder that {layer(node)} does not have")
        elif not node["name"].startswith(expected):
            problems.append(
                f"{node['original_file_path']}: must begin with {' or '.join(expected)}, as its folder says"
            )
    return problems


def _beginning(node: dict) -> tuple[str, ...] | None:
    """How the name of a model in this folder may begin, None where no model may lie."""
    match folders(node):
        case ("staging", source):
            return (f"stg_{source}__",)
        case ("identity_mapping",):
            return ("identity_", "person", "household")
        case ("intermediate",):
            return ("int_",)
        case ("tag_category", "person", category):
            return (f"tag_{category}__",)
        case ("tag_category", object_name, _):
            return (f"tag_{object_name}__",)
        case ("tag_integration",):
            return ("tag_",)
        case ("tag_integration", object_name):
            return (f"{object_name}_tags", f"{object_name}_tag_values")
        case ("serving", kind) if kind in SERVING_PREFIX:
            return SERVING_PREFIX[kind]
    return None


RULES = {
    rule.__name__: rule
    for rule in (
        forbidden_reads,
        wrong_schemas,
        wrong_materialisations,
        wrong_updates,
        missing_contracts,
        used_dbt_tags,
        wrong_names,
    )
}


@pytest.mark.parametrize("rule", RULES)
def test_the_project_keeps_the_rule(manifest, rule):
    assert RULES[rule](manifest) == []


def test_every_layer_has_models(manifest):
    assert {layer(node) for node in models(manifest)} == set(LAYERS) == set(MAY_READ) == set(MADE_AS)


def test_no_layer_reads_one_that_is_built_after_it():
    for name, readable in MAY_READ.items():
        assert all(LAYERS.index(read) <= LAYERS.index(name) for read in readable & set(LAYERS))


@pytest.mark.parametrize(
    ("rule", "name", "changes", "sentence"),
    [
        (
            "forbidden_reads",
            "person_tags",
            {"depends_on.nodes": ["model.tagloom.int_orders"]},
            "models/tag_integration/person/person_tags.sql: reads int_orders of intermediate; tag_integration may read "
            "books, identity_mapping, seed, tag_category, tag_integration",
        ),
        (
            "forbidden_reads",
            "int_orders",
            {"depends_on.nodes": ["source.tagloom.pos.basket_lines"]},
            "models/intermediate/int_orders.sql: reads basket_lines of source; intermediate may read identity_mapping, "
            "intermediate, seed, staging",
        ),
        (
            "forbidden_reads",
            "persons",
            {"depends_on.nodes": ["model.tagloom.person_tags"]},
            "models/identity_mapping/persons.sql: reads person_tags of tag_integration; identity_mapping may read "
            "books, identity_mapping, seed, staging",
        ),
        (
            "forbidden_reads",
            "tag_catalog",
            {"depends_on.nodes": ["model.tagloom.stg_pos__basket_lines"]},
            "models/tag_integration/tag_catalog.sql: reads stg_pos__basket_lines of staging; tag_integration may read "
            "books, identity_mapping, seed, tag_category, tag_integration",
        ),
        (
            "wrong_schemas",
            "persons",
            {"schema": "main"},
            "models/identity_mapping/persons.sql: is built as main.persons, not as identity_mapping.persons",
        ),
        (
            "wrong_materialisations",
            "tag_value__rfm",
            {"config.materialized": "ephemeral"},
            "models/tag_category/person/value/tag_value__rfm.sql: is ephemeral; tag_category is made of table or "
            "table_of_persons or view",
        ),
        (
            "wrong_updates",
            "tag_value__rfm",
            {"config.meta": {"updates": "nightly"}},
            "models/tag_category/person/value/tag_value__rfm.sql: meta.updates is 'nightly'; it may be 'full_build'",
        ),
        (
            "wrong_updates",
            "int_products",
            {"config.materialized": "table_of_persons"},
            "models/intermediate/int_products.sql: is a table_of_persons, but has no column person_id",
        ),
        (
            "missing_contracts",
            "persons",
            {"contract": {"enforced": False}},
            "models/identity_mapping/persons.sql: has no contract; every model of identity_mapping has one",
        ),
        (
            "used_dbt_tags",
            "persons",
            {"tags": ["daily"]},
            "models/identity_mapping/persons.sql: uses dbt tags; folders are the selectors",
        ),
        (
            "wrong_names",
            "int_orders",
            {"name": "orders"},
            "models/intermediate/int_orders.sql: must begin with int_, as its folder says",
        ),
        (
            "wrong_names",
            "int_orders",
            {"original_file_path": "models/serving/int_orders.sql"},
            "models/serving/int_orders.sql: lies in a folder that serving does not have",
        ),
    ],
)
def test_a_broken_rule_is_named(manifest, rule, name, changes, sentence):
    assert RULES[rule](doctored(manifest, name, changes)) == [sentence]
