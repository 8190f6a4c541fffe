"""What is written from tag twins: wide tables that hold each published tag once, the catalogue and the statistics."""

from __future__ import annotations

import csv
import datetime
import io
import re
from pathlib import Path

import duckdb
import pytest
import yaml
from tagloom.tags.catalogue import CATALOGUE_COLUMNS, CATALOGUE_SEED
from tagloom.tags.definitions import OBJECT_KEYS, Tag, TagError, TagModel
from tagloom.tags.integration import integration_files
from tagloom.tags.written_text import FOLDER


def tag(name: str, data_type: str = "integer", category: str = "value", **changes) -> Tag:
    right = {
        "name": name,
        "data_type": data_type,
        "description": f"What {name} says.",
        "title": name,
        "title_zh": "标签",
        "category": [category, "detail"],
        "kind": "statistic",
        "owner": "loyalty@example.com",
        "unit": "orders",
        "if_missing": "null",
        "refresh": "daily",
        "valid_for": "7d",
        "personal_data": "indirect",
        "status": "published",
        "since": datetime.date(2026, 11, 22),
    }
    return Tag.model_validate(right | changes)


def model(name: str, *tags: Tag, category: str = "value", of: str = "person") -> TagModel:
    return TagModel(
        object=of,
        category=category,
        name=name,
        path=Path(f"{name}.yml"),
        description="One row per object.",
        key=OBJECT_KEYS[of],
        columns=list(tags),
    )


TWO_CATEGORIES = [
    model("tag_channel__usage", tag("channel", "varchar", "channel"), category="channel"),
    model(
        "tag_value__spend",
        tag("orders", if_missing="zero"),
        tag("spend", "decimal(14,2)", if_missing="zero"),
        tag("is_big", "boolean", if_missing="false"),
        tag("basket", "double"),
    ),
]


def run(files: dict[Path, str], name: str, **tables: str) -> list[dict]:
    """Run the SQL of a written person table over other tables, given as `values` lists with their columns."""
    with duckdb.connect() as connection:
        for table, select in tables.items():
            connection.execute(f"create table {table} as {select}")
        for table in (*(f"person_tags_{category}" for category in ("channel", "value")), "person_tags", name):
            path = FOLDER / "person" / f"{table}.sql"
            sql = files.get(path) or files[FOLDER / f"{table}.sql"]
            sql = re.sub(r"\{\{ ref\('(\w+)'\) \}\}", r"\1", sql)
            sql = sql.replace("{{ dbt.type_string() }}", "varchar").replace(
                "{{ tagloom.as_of_date() }}", "date '2017-12-31'"
            )
            connection.execute(f"create or replace table {table} as {sql}")
        cursor = connection.execute(f"from {name} order by all")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


PERSONS = "select * from (values (1), (2)) as t (person_id)"
USAGE = "select 1 as person_id, 'web' as channel"
SPEND = "select 2 as person_id, 3 as orders, 9.5::decimal(14,2) as spend, true as is_big, 3.1::double as basket"
TABLES = {"persons": PERSONS, "tag_channel__usage": USAGE, "tag_value__spend": SPEND}


def catalogue(files: dict[Path, str]) -> list[dict]:
    return list(csv.DictReader(io.StringIO(files[CATALOGUE_SEED])))


def columns(files: dict[Path, str], table: str, of: str = "person") -> list[str]:
    [described] = yaml.safe_load(files[FOLDER / of / f"{table}.yml"])["models"]
    return [column["name"] for column in described["columns"]]


def test_the_files_of_two_categories():
    assert set(integration_files(TWO_CATEGORIES)) == {
        *(
            FOLDER / "person" / f"{table}{suffix}"
            for table in ("person_tags", "person_tags_channel", "person_tags_value")
            for suffix in (".sql", ".yml")
        ),
        *(FOLDER / f"{table}{suffix}" for table in ("tag_catalog", "tag_statistics") for suffix in (".sql", ".yml")),
        CATALOGUE_SEED,
        Path("seeds/_tag_definitions.yml"),
    }


def test_every_person_has_a_row_and_what_is_missing_is_filled_as_declared():
    of_nobody, of_somebody = run(integration_files(TWO_CATEGORIES), "person_tags", **TABLES)
    assert list(of_nobody) == ["person_id", "channel", "orders", "spend", "is_big", "basket"]
    assert list(of_nobody.values()) == [1, "web", 0, 0, False, None]
    assert [str(value) for value in of_somebody.values()] == ["2", "None", "3", "9.50", "True", "3.1"]


def test_the_types_are_those_of_the_contract():
    files = integration_files(TWO_CATEGORIES)
    types = {
        column["name"]: column["data_type"]
        for column in yaml.safe_load(files[FOLDER / "person" / "person_tags.yml"])["models"][0]["columns"]
    }
    assert types == {
        "person_id": "bigint",
        "channel": "varchar",
        "orders": "integer",
        "spend": "decimal(14,2)",
        "is_big": "boolean",
        "basket": "double",
    }
    assert (
        "cast(coalesce(tag_value__spend.spend, 0) as decimal(14, 2)) as spend"
        in (files[FOLDER / "person" / "person_tags_value.sql"])
    )


def test_the_statistics_count_what_is_filled():
    rows = {row["tag"]: row for row in run(integration_files(TWO_CATEGORIES), "tag_statistics", **TABLES)}
    assert list(rows) == ["basket", "channel", "is_big", "orders", "spend"]
    channel, orders = rows["channel"], rows["orders"]
    assert (channel["objects"], channel["filled"], channel["coverage"], channel["distinct_values"]) == (2, 1, 0.5, 1)
    assert (channel["lowest_value"], channel["highest_value"], channel["mean_value"]) == ("web", "web", None)
    assert (orders["lowest_value"], orders["highest_value"], orders["mean_value"]) == ("0", "3", 1.5)
    assert {row["as_of_date"] for row in rows.values()} == {datetime.date(2017, 12, 31)}


def test_the_statistics_of_no_persons_have_no_coverage():
    rows = run(integration_files(TWO_CATEGORIES), "tag_statistics", **TABLES | {"persons": f"{PERSONS} limit 0"})
    assert {(row["objects"], row["filled"], row["coverage"]) for row in rows} == {(0, 0, None)}


@pytest.mark.parametrize("of", ["store", "household"])
def test_another_object_gets_a_spine_of_the_keys_that_its_models_know(of):
    files = integration_files(
        [
            model(f"tag_{of}__a", tag("a", category="sales"), of=of, category="sales"),
            model(f"tag_{of}__b", tag("b", category="visits"), of=of, category="visits"),
        ]
    )
    spine = re.sub(r"\{\{ ref\('(\w+)'\) \}\}", r"\1", files[FOLDER / of / f"{of}_tags_spine.sql"])
    with duckdb.connect() as connection:
        connection.execute(f"create table tag_{of}__a as select unnest(['s1', 's2']) as {of}_id")
        connection.execute(f"create table tag_{of}__b as select unnest(['s2', 's3']) as {of}_id")
        assert sorted(connection.execute(spine).fetchall()) == [("s1",), ("s2",), ("s3",)]
    assert columns(files, f"{of}_tags", of) == [f"{of}_id", "a", "b"]
    [described] = yaml.safe_load(files[FOLDER / of / f"{of}_tags.yml"])["models"]
    assert described["columns"][0]["data_type"] == "varchar"


def test_the_catalogue_holds_every_tag_with_every_property():
    rows = catalogue(integration_files(TWO_CATEGORIES))
    assert [row["tag"] for row in rows] == ["channel", "orders", "spend", "is_big", "basket"]
    assert list(rows[0]) == list(CATALOGUE_COLUMNS)
    assert rows[1] == {
        "tag": "orders",
        "object": "person",
        "title": "orders",
        "title_zh": "标签",
        "category": "value/detail",
        "kind": "statistic",
        "data_type": "integer",
        "unit": "orders",
        "if_missing": "zero",
        "owner": "loyalty@example.com",
        "refresh": "daily",
        "valid_days": "7",
        "personal_data": "indirect",
        "status": "published",
        "since": "2026-11-22",
        "model": "tag_value__spend",
        "description": "What orders says.",
    }


@pytest.mark.parametrize("status", ["draft", "retired"])
def test_a_tag_that_is_not_published_is_in_the_catalogue_alone(status):
    unpublished = model("tag_value__more", tag("secret", status=status), tag("open"))
    files = integration_files([*TWO_CATEGORIES[:1], unpublished])
    assert {row["tag"]: row["status"] for row in catalogue(files)}["secret"] == status
    assert [path for path, content in files.items() if "secret" in content] == [CATALOGUE_SEED]
    assert columns(files, "person_tags") == ["person_id", "channel", "open"]


def test_a_model_or_an_object_without_a_published_tag_is_read_by_nobody():
    files = integration_files(
        [
            *TWO_CATEGORIES,
            model("tag_value__zero", tag("draft_only", status="draft")),
            model(
                "tag_store__a", tag("retired_only", category="sales", status="retired"), of="store", category="sales"
            ),
        ]
    )
    assert set(files) == set(integration_files(TWO_CATEGORIES))
    assert not [content for content in files.values() if "ref('tag_value__zero')" in content or "store_tags" in content]
    assert {"draft_only", "retired_only"} <= {row["tag"] for row in catalogue(files)}


def test_something_must_be_published():
    with pytest.raises(TagError, match="no tag has the status published"):
        integration_files([model("tag_value__zero", tag("draft_only", status="draft"))])


def test_a_description_of_several_lines_is_one_line_of_the_catalogue():
    files = integration_files([model("tag_value__a", tag("a", description='Counts "all",\n  every day.\n'))])
    assert catalogue(files)[0]["description"] == 'Counts "all", every day.'
