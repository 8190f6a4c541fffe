"""What is written from tag twins as a whole: each published tag once in the wide tables, every tag in the catalogue."""

from __future__ import annotations

import csv
import datetime
import io
import re
from pathlib import Path

import duckdb
import pytest
import yaml
from tagloom.tags.definitions import TagError
from tagloom.tags.integration import integration_files
from tagloom.tags.written_text import FOLDER

from tests.plugins.tags.tag_models import model, tag
from tests.plugins.tags.test_wide_tables import TWO_CATEGORIES, columns

SEED = Path("seeds/tag_definitions.csv")


def catalogue(files: dict[Path, str]) -> list[dict]:
    """The rows of the written seed, read as dbt reads it."""
    return list(csv.DictReader(io.StringIO(files[SEED])))


def test_every_written_model_has_its_twin():
    files = integration_files(TWO_CATEGORIES)
    models = {path for path in files if path.parts[0] == "models"}
    assert {path.with_suffix(".yml") for path in models} == {path for path in models if path.suffix == ".yml"}
    assert {path.with_suffix(".sql") for path in models} == {path for path in models if path.suffix == ".sql"}
    for path in models:
        if path.suffix == ".yml":
            [described] = yaml.safe_load(files[path])["models"]
            assert described["name"] == path.stem


def test_the_catalogue_holds_every_tag_with_every_property():
    rows = catalogue(integration_files(TWO_CATEGORIES))
    assert [row["tag"] for row in rows] == ["channel", "orders", "spend", "is_big", "basket"]
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
        "known_on": "",
        "personal_data": "indirect",
        "status": "published",
        "since": "2026-11-22",
        "version": "1",
        "history": "false",
        "model": "tag_value__spend",
        "sql_path": "models/tag_category/person/value/tag_value__spend.sql",
        "value_titles": "",
        "description": "What orders says.",
    }


def test_what_a_tag_says_of_versions_and_time_is_in_the_catalogue():
    models = [model("tag_value__a", tag("is_a", "boolean", version=4, known_on="asked_on", personal_data="direct"))]
    [row] = catalogue(integration_files(models))
    assert (row["version"], row["history"], row["known_on"], row["personal_data"]) == (
        "4",
        "true",
        "asked_on",
        "direct",
    )


def test_the_catalogue_adds_what_only_a_build_knows():
    files = integration_files(TWO_CATEGORIES)
    sql = re.sub(r"\{\{ ref\('(\w+)'\) \}\}", r"\1", files[FOLDER / "tag_catalog.sql"])
    with duckdb.connect() as connection:
        said = catalogue(files)
        connection.execute(f"create table tag_definitions ({', '.join(f'{name} varchar' for name in said[0])})")
        connection.executemany(
            f"insert into tag_definitions values ({', '.join('?' * len(said[0]))})",
            [list(row.values()) for row in said],
        )
        connection.execute(
            "create table stg_operations__tag_definitions as select 'person' as object, 'orders' as tag, 1 as version, "
            "'abc' as definition_hash, date '2017-12-31' as changed_on"
        )
        connection.execute(
            "create table stg_operations__tag_lineage as select 'person' as object, 'orders' as tag, "
            "'pos.basket_lines' as upstream_sources, 'stg_pos__basket_lines.sold_at' as upstream_columns, "
            "'audience_a' as used_by, 'select 1' as model_sql"
        )
        names = [column[0] for column in connection.execute(sql).description]
        rows = [dict(zip(names, row, strict=True)) for row in connection.execute(sql).fetchall()]
    [described] = yaml.safe_load(files[FOLDER / "tag_catalog.yml"])["models"]
    assert names == [column["name"] for column in described["columns"]]
    assert len(rows) == 5
    [orders] = [row for row in rows if row["tag"] == "orders"]
    built = ["definition_hash", "changed_on", "upstream_sources", "upstream_columns", "used_by", "sql"]
    assert [orders[name] for name in built] == [
        "abc",
        datetime.date(2017, 12, 31),
        "pos.basket_lines",
        "stg_pos__basket_lines.sold_at",
        "audience_a",
        "select 1",
    ]
    assert (orders["version"], orders["history"]) == (1, False)
    [spend] = [row for row in rows if row["tag"] == "spend"]
    assert [spend[name] for name in built] == [None] * 6


@pytest.mark.parametrize("status", ["draft", "retired"])
def test_a_tag_that_is_not_published_is_in_the_catalogue_alone(status):
    unpublished = model("tag_value__more", tag("secret", status=status), tag("open"))
    files = integration_files([*TWO_CATEGORIES[:1], unpublished])
    assert {row["tag"]: row["status"] for row in catalogue(files)}["secret"] == status
    assert [path for path, content in files.items() if "secret" in content] == [SEED]
    assert list(columns(files, "person_tags")) == ["person_id", "channel", "open"]


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
