"""The tables with a row per object: what each holds, what is filled, what is stale, and the view over them."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import duckdb
import pytest
import yaml
from tagloom.tags.wide_tables import MOST_TAGS, STALE_VALUES, stale_value_files, wide_table_files, wide_tables
from tagloom.tags.written_text import FOLDER

from tests.plugins.tags.tag_models import model, tag

DAY = datetime.date(2017, 12, 31)


def plain(sql: str) -> str:
    """SQL as the engine gets it."""
    sql = re.sub(r"\{\{ config\(.*?\) \}\}", "", sql)
    sql = re.sub(r"\{\{ ref\('(\w+)'\) \}\}", r"\1", sql)
    sql = re.sub(
        r"\{\{ tagloom\.days_before_as_of\((\d+)\) \}\}", rf"cast(date '{DAY}' - interval '\1' day as date)", sql
    )
    return sql.replace("{{ dbt.type_string() }}", "varchar")


def run(files: dict[Path, str], name: str, of: str = "person", **tables: str) -> list[dict]:
    """Build the written tables of an object over others, given as selects, and return the rows of one."""
    with duckdb.connect() as connection:
        for table, select in tables.items():
            connection.execute(f"create table {table} as {select}")
        written = [path for path in files if path.suffix == ".sql" and path.parent == FOLDER / of]
        for path in sorted(written, key=lambda path: (path.stem == f"{of}_tags", not path.stem.endswith("spine"))):
            connection.execute(f"create view {path.stem} as {plain(files[path])}")
        cursor = connection.execute(f"from {name} order by all")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def columns(files: dict[Path, str], table: str, of: str = "person") -> dict[str, str]:
    """Column -> type that the contract of a written table promises."""
    [described] = yaml.safe_load(files[FOLDER / of / f"{table}.yml"])["models"]
    return {column["name"]: column["data_type"] for column in described["columns"]}


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
TABLES = {
    "persons": "select * from (values (1), (2)) as t (person_id)",
    "tag_channel__usage": "select 1 as person_id, 'web' as channel",
    "tag_value__spend": "select 2 as person_id, 3 as orders, 9.5::decimal(14,2) as spend, true as is_big, 3.1 basket",
}


def test_a_table_per_category_and_one_for_all():
    assert set(wide_table_files("person", TWO_CATEGORIES)) == {
        FOLDER / "person" / f"{table}{suffix}"
        for table in ("person_tags", "person_tags_channel", "person_tags_value")
        for suffix in (".sql", ".yml")
    }


def test_every_person_has_a_row_and_what_is_missing_is_filled_as_declared():
    of_nobody, of_somebody = run(wide_table_files("person", TWO_CATEGORIES), "person_tags", **TABLES)
    assert list(of_nobody) == ["person_id", "channel", "orders", "spend", "is_big", "basket"]
    assert list(of_nobody.values()) == [1, "web", 0, 0, False, None]
    assert [str(value) for value in of_somebody.values()] == ["2", "None", "3", "9.50", "True", "3.1"]


def test_the_types_are_those_of_the_contract():
    files = wide_table_files("person", TWO_CATEGORIES)
    assert columns(files, "person_tags") == {
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


def test_the_wide_table_is_a_view_and_its_parts_are_not():
    files = wide_table_files("person", TWO_CATEGORIES)
    views = {path.stem for path, content in files.items() if "config(materialized='view')" in content}
    assert views == {"person_tags"}


def test_direct_personal_data_stand_in_a_table_of_their_own():
    models = [
        model(
            "tag_value__a",
            tag("town", "varchar", personal_data="direct"),
            tag("tier", "varchar", personal_data="indirect"),
            tag("size", personal_data="none"),
        ),
        model("tag_value__b", tag("street", "varchar", personal_data="direct")),
    ]
    tables = wide_tables("person", models)
    assert [(table.name, table.is_personal, [tag.name for tag in table.columns]) for table in tables] == [
        ("person_tags_value", False, ["tier", "size"]),
        ("person_tags_value_personal", True, ["town", "street"]),
    ]
    files = wide_table_files("person", models)
    assert list(columns(files, "person_tags_value")) == ["person_id", "tier", "size"]
    assert list(columns(files, "person_tags_value_personal")) == ["person_id", "town", "street"]
    assert list(columns(files, "person_tags")) == ["person_id", "tier", "size", "town", "street"]
    assert "town" not in files[FOLDER / "person" / "person_tags_value.sql"]
    rows = run(
        files,
        "person_tags",
        persons="select 1 as person_id",
        tag_value__a="select 1 as person_id, 'Ulm' as town, 'gold' as tier, 3 as size",
        tag_value__b="select 1 as person_id, 'Long Lane' as street",
    )
    assert rows == [{"person_id": 1, "tier": "gold", "size": 3, "town": "Ulm", "street": "Long Lane"}]


@pytest.mark.parametrize(
    ("tags", "sizes"),
    [
        (MOST_TAGS, {"person_tags_value": MOST_TAGS}),
        (MOST_TAGS + 1, {"person_tags_value": MOST_TAGS, "person_tags_value_2": 1}),
        (
            2 * MOST_TAGS + 5,
            {"person_tags_value": MOST_TAGS, "person_tags_value_2": MOST_TAGS, "person_tags_value_3": 5},
        ),
    ],
)
def test_a_table_of_too_many_tags_goes_on_in_another(tags, sizes):
    half = tags // 2
    models = [
        model("tag_value__a", *(tag(f"tag_{number:03}") for number in range(half))),
        model("tag_value__b", *(tag(f"tag_{number:03}") for number in range(half, tags))),
    ]
    assert {table.name: len(table.columns) for table in wide_tables("person", models)} == sizes
    every = [f"tag_{number:03}" for number in range(tags)]
    assert list(columns(wide_table_files("person", models), "person_tags")) == ["person_id", *every]


@pytest.mark.parametrize("of", ["store", "household"])
def test_another_object_gets_a_spine_of_the_keys_that_its_models_know(of):
    files = wide_table_files(
        of,
        [
            model(f"tag_{of}__a", tag("a", category="sales"), of=of, category="sales"),
            model(f"tag_{of}__b", tag("b", category="visits"), of=of, category="visits"),
        ],
    )
    tables = {
        f"tag_{of}__a": f"select unnest(['s1', 's2']) as {of}_id, 1 as a",
        f"tag_{of}__b": f"select unnest(['s2', 's3']) as {of}_id, 2 as b",
    }
    assert [tuple(row.values()) for row in run(files, f"{of}_tags", of, **tables)] == [
        ("s1", 1, None),
        ("s2", 1, 2),
        ("s3", None, 2),
    ]
    assert columns(files, f"{of}_tags", of) == {f"{of}_id": "varchar", "a": "integer", "b": "integer"}


ANSWERS = [
    model(
        "tag_value__answers",
        tag("mood", "varchar", known_on="asked_on", valid_for="30d"),
        tag("pets", known_on="asked_on", valid_for="31d", if_missing="zero"),
        tag("is_happy", "boolean", known_on="asked_on", valid_for="30d", if_missing="false"),
        tag("answers"),
    )
]
ANSWERED = {
    "persons": "select * from (values (1), (2), (3), (4)) as t (person_id)",
    # Of 30 and 31 days before the day, of an unknown day, and nobody's answer.
    "tag_value__answers": """
        select * from (values
            (1, 'good', 2, true, 5, date '2017-12-01'),
            (2, 'bad', 1, false, 6, date '2017-11-30'),
            (3, 'good', null, true, 7, null)
        ) as t (person_id, mood, pets, is_happy, answers, asked_on)
    """,
}


def test_a_stale_value_is_null_and_not_what_is_filled_in():
    rows = run(wide_table_files("person", ANSWERS), "person_tags", **ANSWERED)
    assert [tuple(row.values()) for row in rows] == [
        (1, "good", 2, True, 5),
        (2, None, 1, None, 6),
        (3, "good", 0, True, 7),
        (4, None, 0, False, None),
    ]


def test_a_stale_value_has_a_reason():
    files = stale_value_files(ANSWERS)
    with duckdb.connect() as connection:
        connection.execute(f"create table tag_value__answers as {ANSWERED['tag_value__answers']}")
        found = connection.execute(f"from ({plain(files[STALE_VALUES])}) order by all").fetchall()
    known_on = datetime.date(2017, 11, 30)
    reason = "not learnt again since 2017-11-30"
    assert found == [
        ("person", "2", "is_happy", known_on, 30, reason),
        ("person", "2", "mood", known_on, 30, reason),
    ]


def test_nothing_is_stale_where_no_tag_says_when_it_is_known():
    files = stale_value_files(TWO_CATEGORIES)
    with duckdb.connect() as connection:
        result = connection.execute(plain(files[STALE_VALUES]))
        assert [column[0] for column in result.description] == [
            "object",
            "object_id",
            "tag",
            "known_on",
            "valid_days",
            "reason",
        ]
        assert result.fetchall() == []


def test_the_date_that_is_no_tag_is_in_no_wide_table():
    files = wide_table_files("person", ANSWERS)
    assert list(columns(files, "person_tags_value")) == ["person_id", "mood", "pets", "is_happy", "answers"]
    assert "asked_on" not in files[FOLDER / "person" / "person_tags.sql"]


def test_a_tag_that_others_are_known_on_is_read_once():
    models = [
        model("tag_value__a", tag("mood", "varchar", known_on="asked_on", valid_for="30d"), tag("asked_on", "date"))
    ]
    rows = run(
        wide_table_files("person", models),
        "person_tags",
        persons="select 1 as person_id",
        tag_value__a="select 1 as person_id, 'bad' as mood, date '2017-01-01' as asked_on",
    )
    assert rows == [{"person_id": 1, "mood": None, "asked_on": datetime.date(2017, 1, 1)}]
