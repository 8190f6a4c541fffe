"""Lineage over a small manifest of the same form as dbt's."""

import pytest
from tagloom.lineage import (
    BY_IDENTITY,
    CataloguedTag,
    Dependents,
    dependents,
    everything,
    load_manifest,
    tables_of_nodes,
    together,
)


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
    assert dependents(MANIFEST, "serving.audience_lapsed") == Dependents(
        audiences=("audience_lapsed",), tables=("serving.audience_lapsed",)
    )


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


def catalogued(*sources: str, used_by: tuple[str, ...] = ()) -> CataloguedTag:
    return CataloguedTag(frozenset(sources), frozenset(used_by))


def by_identity(*names: str) -> dict:
    """A manifest in which the sightings of wifi reach the tags through identity mapping alone; `names` read them."""
    tag = {"meta": {"tag": {"title": "Visits"}}}
    nodes = {
        **MANIFEST["nodes"],
        "model.map": model("identity_map", "identity_mapping"),
        "model.metrics": model("identity_metrics", "identity_mapping"),
        "model.sales": model("tag_store__sales", "tag_category/store/sales", {"order_count": tag, "sales": tag}),
        "model.statistics": model("tag_statistics", "tag_integration"),
    }
    parents = {
        "model.statistics": ["model.orders", "model.rfm", "model.person_tags"],
        "model.person_tags": ["model.orders", "model.rfm"],
    }
    above = {
        "source.wifi.sightings": ["model.map", *names],
        "model.map": ["model.orders", "model.metrics"],
        "model.report": [],
        "model.orders": ["model.person_tags", "model.rfm", "model.statistics"],
    }
    return {
        **MANIFEST,
        "nodes": nodes,
        "child_map": {**MANIFEST["child_map"], **above, "exposure.dashboard": []},
        "parent_map": parents,
    }


CATALOGUE = {
    "order_count": catalogued("pos.basket_lines", used_by=("audience_lapsed",)),
    "basket_value": catalogued("pos.basket_lines", "wifi.sightings", used_by=("rpt_sales",)),
    "tag_value__rfm": catalogued(),
}


def test_what_is_reached_through_identity_mapping_alone_is_not_held():
    held = dependents(by_identity(), "raw_wifi.sightings", CATALOGUE).held
    assert held["tag"] == ("basket_value",), "its values come from a column of the sightings"
    assert "audience" not in held, "it uses another tag"
    assert held["report"] == ("rpt_sales",)
    assert held["table"] == ("raw_wifi.sightings",)


def test_a_table_of_identity_mapping_holds_all_that_stands_on_it():
    held = dependents(by_identity(), "identity_mapping.identity_map", CATALOGUE).held
    assert held["tag"] == ("basket_value", "order_count", "tag_value__rfm")
    assert held["audience"] == ("audience_lapsed",)


def test_metrics_of_identity_mapping_stand_for_identity_mapping():
    assert dependents(by_identity(), "identity_mapping.identity_metrics", CATALOGUE).held["tag"] == (
        "basket_value",
        "order_count",
        "tag_value__rfm",
    )


def test_statistics_of_tags_stand_for_the_tags_and_who_uses_them():
    held = dependents(by_identity(), "tag_integration.tag_statistics", CATALOGUE).held
    assert held["tag"] == ("basket_value", "order_count", "tag_value__rfm")
    assert (held["audience"], held["report"]) == (("audience_lapsed",), ("rpt_sales",))


def test_the_wide_table_holds_its_tags():
    held = dependents(by_identity(), "tag_integration.person_tags").held
    assert held["tag"] == ("basket_value", "order_count", "tag_value__rfm")
    assert held["audience"] == ("audience_lapsed",)


def test_tags_of_other_objects_say_whose_they_are():
    assert dependents(by_identity(), "tag_category.tag_store__sales").tags == ("store.order_count", "store.sales")


def test_all_tables_of_a_source():
    assert dependents(MANIFEST, "raw_pos.*").held == dependents(MANIFEST, "raw_pos.basket_lines").held


def test_everything():
    found = everything(MANIFEST)
    assert found.tags == ("basket_value", "order_count", "tag_value__rfm")
    assert found.held["audience"] == ("audience_lapsed",)
    assert found.held["report"] == ("rpt_sales",)
    assert everything({}).held == {}


def test_together_holds_what_one_of_them_holds():
    wifi, rfm = (
        dependents(by_identity(), table, CATALOGUE) for table in ("raw_wifi.sightings", "tag_category.tag_value__rfm")
    )
    both = together([wifi, rfm])
    assert both.held["tag"] == ("basket_value", "tag_value__rfm")
    assert both.tags_by_identity == ("order_count",)
    assert set(both.held["table"]) == {*wifi.tables, *rfm.tables}


def test_tables_of_models_and_of_what_data_tests_look_at():
    manifest = {
        **MANIFEST,
        "nodes": {
            **MANIFEST["nodes"],
            "test.law": {"resource_type": "test", "name": "the_law", "depends_on": {"nodes": ["model.orders"]}},
            "test.relationship": {
                "resource_type": "test",
                "name": "relationships_rfm",
                "attached_node": "model.rfm",
                "depends_on": {"nodes": ["model.rfm", "model.orders"]},
            },
        },
    }
    assert tables_of_nodes(manifest, ["relationships_rfm"]) == ["tag_category.tag_value__rfm"]
    assert len(tables_of_nodes(manifest, ["relationships_rfm"], compared=True)) == 2
    assert tables_of_nodes(manifest, ["the_law", "person_tags", "nothing"]) == [
        "tag_category.tag_consumption__orders",
        "tag_integration.person_tags",
    ]


def test_columns_decide_where_the_catalogue_knows_a_tag():
    read_by_rfm = by_identity("model.rfm")
    assert "tag_value__rfm" in dependents(read_by_rfm, "raw_wifi.sightings").held["tag"]
    assert dependents(read_by_rfm, "raw_wifi.sightings", CATALOGUE).held["tag"] == ("basket_value",)
    newer = {name: known for name, known in CATALOGUE.items() if name != "tag_value__rfm"}
    assert dependents(read_by_rfm, "raw_wifi.sightings", newer).held["tag"] == ("basket_value", "tag_value__rfm")
