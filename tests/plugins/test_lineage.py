"""Lineage over a small manifest of the same form as dbt's."""

import pytest
from tagloom.lineage import BY_IDENTITY, Dependents, dependents, load_manifest


def model(name: str, folder: str, columns: dict | None = None) -> dict:
    return {
        "resource_type": "model",
        "name": name,
        "alias": name,
        "schema": folder.split("/")[0],
        "original_file_path": f"models/{folder}/{name}.sql",
        "columns": columns or {},
    }


MANIFEST = {
    "sources": {
        "source.pos.basket_lines": {
            "resource_type": "source",
            "name": "basket_lines",
            "schema": "raw_pos",
            "identifier": "basket_lines",
            "original_file_path": "models/staging/pos/_pos__sources.yml",
        },
        "source.wifi.sightings": {
            "resource_type": "source",
            "name": "sightings",
            "schema": "raw_wifi",
            "identifier": "sightings",
            "original_file_path": "models/staging/wifi/_wifi__sources.yml",
        },
    },
    "nodes": {
        "model.stg": model("stg_pos__basket_lines", "staging/pos"),
        "model.orders": model(
            "tag_consumption__orders",
            "tag_category/person/consumption",
            {
                "person_id": {"meta": {}},
                "order_count": {"meta": {"tag": {"title": "Orders"}}},
                "basket_value": {"meta": {}, "config": {"meta": {"tag": {"title": "Basket"}}}},
            },
        ),
        "model.rfm": model("tag_value__rfm", "tag_category/person/value"),
        "model.person_tags": model("person_tags", "tag_integration"),
        "model.lapsed": model("audience_lapsed", "serving/audiences"),
        "model.report": model("rpt_sales", "serving/reports"),
        "model.export": model("export_mail", "serving/exports"),
        "test.unique": {"resource_type": "test", "name": "unique", "original_file_path": "models/serving/x.yml"},
    },
    "exposures": {
        "exposure.dashboard": {"resource_type": "exposure", "name": "dashboard", "label": "Sales dashboard"},
    },
    "child_map": {
        "source.pos.basket_lines": ["model.stg"],
        "source.wifi.sightings": [],
        "model.stg": ["model.orders", "test.unique", "model.rfm"],
        "model.orders": ["model.person_tags", "model.rfm"],
        "model.rfm": ["model.person_tags"],
        "model.person_tags": ["model.lapsed", "model.report", "model.export"],
        "model.report": ["exposure.dashboard"],
        # dbt has no cycles; a damaged manifest must not hang the mail.
        "exposure.dashboard": ["model.stg"],
    },
}


@pytest.mark.parametrize(
    ("table", "tags", "audiences"),
    [
        ("raw_pos.basket_lines", ("basket_value", "order_count", "tag_value__rfm"), ("audience_lapsed",)),
        ("tag_category.tag_value__rfm", ("tag_value__rfm",), ("audience_lapsed",)),
        ("raw_wifi.sightings", (), ()),
    ],
)
def test_tags_and_audiences_above_a_table(table, tags, audiences):
    manifest = MANIFEST
    if table.startswith("tag_category"):
        manifest = {**MANIFEST, "child_map": {**MANIFEST["child_map"], "exposure.dashboard": []}}
    found = dependents(manifest, table)
    assert (found.tags, found.audiences, found.note) == (tags, audiences, "")


def test_the_rest_is_told_by_folder():
    found = dependents(MANIFEST, "raw_pos.basket_lines")
    assert found.others == {
        "exports": ("export_mail",),
        "exposures": ("Sales dashboard",),
        "reports": ("rpt_sales",),
    }
    assert list(found.lists) == ["tags", "audiences", "exports", "exposures", "reports"]


def test_tags_that_depend_through_identity_only_are_told_apart():
    manifest = {
        **MANIFEST,
        "nodes": {**MANIFEST["nodes"], "model.map": model("identity_map", "identity_mapping")},
        "child_map": {
            **MANIFEST["child_map"],
            "source.wifi.sightings": ["model.map", "model.rfm"],
            "model.map": ["model.orders"],
            "model.rfm": [],
        },
    }
    found = dependents(manifest, "raw_wifi.sightings")
    assert found.tags == ("basket_value", "order_count", "tag_value__rfm")
    assert found.tags_by_identity == ("basket_value", "order_count")
    assert found.lists["tags"] == ("tag_value__rfm",)
    assert found.lists[BY_IDENTITY] == ("basket_value", "order_count")
    assert found.audiences == ("audience_lapsed",)
    assert dependents(manifest, "identity_mapping.identity_map").tags_by_identity == ()


def test_an_audience_is_its_own_dependent():
    assert dependents(MANIFEST, "serving.audience_lapsed") == Dependents(audiences=("audience_lapsed",))


def test_an_unknown_table_says_so():
    assert "no dbt source or model makes or reads it" in dependents(MANIFEST, "raw_pos.nothing").note


@pytest.mark.parametrize("content", [None, "{ cut short"])
def test_a_missing_manifest_says_so(tmp_path, content):
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    found = dependents(load_manifest(path), "raw_pos.basket_lines")
    assert "manifest.json is missing" in found.note
    assert found.lists == {}
