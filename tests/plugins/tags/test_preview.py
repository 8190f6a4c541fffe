"""A preview says how values are spread, in few lines that fit on a screen."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest
from tagloom.settings import PROJECT
from tagloom.tags import values
from tagloom.tags.beside import open_beside
from tagloom.tags.preview import ModelPreview, TagPreview
from tagloom.tags.preview_report import report
from tagloom.tags.project import Project, TagRequestError
from tagloom.warehouse import WarehouseBusyError, open_warehouse


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        yield connection


def spread(connection, data_type, select, **more):
    connection.execute(f"create or replace table of_tag as select value::{data_type} as value from ({select})")
    found = values.labels(connection, "of_tag", ["value"], data_type, **more)
    counting = values.counts(connection, "of_tag", "value", found)
    return {label: counting[label] for label in values.in_order(found, counting)}


def test_words_come_by_number_and_null_comes_last(connection):
    rows = "from (values ('b'), ('a'), ('b'), (null), (null), (null)) as rows(value)"
    assert list(spread(connection, "varchar", rows).items()) == [("b", 2), ("a", 1), ("null", 3)]


def test_many_words_are_cut(connection):
    found = spread(connection, "varchar", "select 'w' || n // least(n, 2) as value from range(2, 50) as r(n)")
    assert len(found) == values.MOST_VALUES + 1
    assert sum(found.values()) == 48
    assert list(found)[-1] == values.OTHERS


def test_a_word_with_a_quote_is_a_word(connection):
    assert spread(connection, "varchar", "select 'd''or' || n as value from range(20) as r(n)")["d'or0"] == 1


def test_few_numbers_are_listed_in_their_order(connection):
    assert list(spread(connection, "integer", "select n % 3 as value from range(9) as r(n)")) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("select", "data_type"),
    [
        ("select n as value from range(1000) as r(n)", "integer"),
        ("select n * n * n as value from range(1000) as r(n)", "bigint"),
        ("select n - 500 as value from range(1000) as r(n)", "integer"),
        ("select n / 7.0 as value from range(1000) as r(n)", "double"),
        ("select if(n < 990, 5, n) as value from range(1000) as r(n)", "integer"),
        ("select if(n < 900, 0, n) as value from range(1000) as r(n)", "decimal(12,2)"),
        ("select if(n < 997, 0.5, n / 1000) as value from range(1013) as r(n)", "double"),
    ],
)
def test_many_numbers_fall_into_ranges_that_hold_each_once(connection, select, data_type):
    found = spread(connection, data_type, select)
    assert sum(found.values()) == connection.execute("select count(*) from of_tag").fetchone()[0]
    assert 2 <= len(found) <= values.RANGES + 1
    for label, rows in found.items():
        low, _, high = label.removeprefix("below ").removeprefix("from ").replace(",", "").partition(" to ")
        if high:
            assert connection.execute(
                "select count(*) from of_tag where value >= ? and value < ?", [float(low), float(high)]
            ).fetchall() == [(rows,)]


def test_whole_numbers_have_whole_borders(connection):
    found = spread(connection, "integer", "select if(n < 500, 0, n // 20) as value from range(1000) as r(n)")
    assert not any("." in label for label in found)


def test_days_are_counted_by_month_or_year(connection):
    months = spread(connection, "date", "select date '2017-01-01' + n::integer as value from range(300) as r(n)")
    assert list(months)[:2] == ["2017-01", "2017-02"]
    years = spread(connection, "date", "select date '2012-01-01' + n::integer as value from range(2000) as r(n)")
    assert next(iter(years)) == "2012"


def test_personal_data_are_counted_and_not_shown(connection):
    assert spread(connection, "varchar", "select 'ann' as value union all select null", hide=True) == {
        "(hidden)": 1,
        "null": 1,
    }


def test_nothing_to_count_is_no_error(connection):
    assert spread(connection, "varchar", "select null as value where false") == {}


def preview_of(*tags: TagPreview, **changes) -> ModelPreview:
    columns = ("person_id", *(tag.name for tag in tags))
    facts = {
        "model": "tag_habit__trip_size",
        "path": "models/tag_category/person/habit/tag_habit__trip_size.sql",
        "object": "person",
        "status": ("draft",),
        "as_of_date": date(2017, 12, 31),
        "built_for": date(2017, 12, 31),
        "computed": (),
        "rows": 2068,
        "objects": 2592,
        "seconds": 0.126,
        "tags": tags,
        "example_columns": columns,
        "examples": (("7", *("true" for _ in tags)), ("8", *("false" for _ in tags))),
    }
    return ModelPreview(**(facts | changes))


STOCK_UP = TagPreview("is_stock_up_shopper", "BOOLEAN", 2068, 2, "", "", "", (("false", 1484), ("true", 584)))


def test_the_report_says_what_came_out():
    assert report(preview_of(STOCK_UP)) == "\n".join(
        [
            "tag_habit__trip_size (draft), models/tag_category/person/habit/tag_habit__trip_size.sql",
            "As of 2017-12-31: 2,068 rows, 79.8% of 2,592 persons, in 0.13 s. Nothing was built or changed.",
            "",
            "tag                  type     filled  null  coverage  distinct  lowest  median  highest",
            "is_stock_up_shopper  boolean   2,068     0  79.8%            2",
            "",
            "is_stock_up_shopper",
            "  value   rows  share",
            "  false  1,484  71.8%  █████████████████",
            "  true     584  28.2%  ███████",
            "",
            "Examples",
            "  person_id  is_stock_up_shopper",
            "  7          true",
            "  8          false",
        ]
    )


def test_examples_of_many_tags_stand_on_end():
    tags = [TagPreview(f"a_rather_long_name_{number}", "BOOLEAN", 1, 1, "", "", "", ()) for number in range(9)]
    lines = report(preview_of(*tags)).splitlines()
    assert max(map(len, lines)) <= 100
    assert [line.split() for line in lines if "person_id" in line] == [["person_id", "7", "8"]]


def test_what_a_build_would_refuse_comes_first():
    lines = report(preview_of(STOCK_UP, problems=("3 rows have no person_id",))).splitlines()
    assert lines[3:5] == ["TO DO before it can be built:", "  - 3 rows have no person_id"]


def test_another_day_says_what_was_computed_for_it():
    text = report(preview_of(STOCK_UP, as_of_date=date(2017, 6, 30), computed=("int_orders",)))
    assert "the warehouse is built for 2017-12-31: int_orders; who is who is as built." in text


def test_without_a_warehouse_there_is_nothing_to_look_at(settings):
    with pytest.raises(TagRequestError, match="Nothing is built yet"), open_beside(settings):
        pass


def test_nothing_can_be_written_beside_the_warehouse(settings):
    with open_warehouse(settings) as connection:
        connection.execute("create schema facts")
        connection.execute("create table facts.orders as select 1 as order_id")
    before = settings.warehouse.read_bytes()
    with open_beside(settings) as beside:
        assert beside.is_built("facts", "orders")
        assert beside.built_for() is None
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            beside.connection.execute("insert into current.facts.orders values (2)")
        beside.connection.execute("create table aside as from current.facts.orders")
    assert settings.warehouse.read_bytes() == before


def test_a_warehouse_that_is_being_written_is_waited_for(settings, monkeypatch):
    monkeypatch.setattr("tagloom.warehouse.LOCK_WAIT_SECONDS", 0)
    import subprocess
    import sys

    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(settings.warehouse)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout.readline() == b"open\n"
        with pytest.raises(WarehouseBusyError, match="written by another process"), open_beside(settings):
            pass
        writer.stdin.close()


@pytest.mark.slow
def test_a_tag_is_found_by_its_name_or_its_models(settings):
    project = Project(settings, PROJECT / "dbt_project")
    assert project.find("rfm_segment").tags == ("rfm_segment",)
    assert "rfm_segment" in project.find("tag_value__rfm").tags
    with pytest.raises(TagRequestError, match="did you mean rfm_segment"):
        project.find("rfm_segmnt")
