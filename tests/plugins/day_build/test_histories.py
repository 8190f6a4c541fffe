"""Histories on a day: they look at the rows that were replaced, unless they know more than the base does."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest
from tagloom.day_build.histories import prepare_histories
from tagloom.day_build.models import Graph, Prepared
from tagloom.day_build.plan import Base
from tagloom.replacing import rows_of_persons

BASE_DAY, DAY = date(2017, 12, 30), date(2017, 12, 31)
BASE = Base(BASE_DAY, "definitions", BASE_DAY, BASE_DAY)
SOME = "person_id in (select person_id from operations.some)"


def manifest(*names: str) -> dict:
    daily = ("tag_history_days", "tag_statistics")
    return {
        "nodes": {
            name: {
                "name": name,
                "resource_type": "model",
                "schema": "tag_integration",
                "config": {"unique_key": "as_of_date" if name in daily else None},
                "depends_on": {"nodes": []},
            }
            for name in names
        }
    }


def prepared_for(days: list[date]) -> Prepared:
    prepared = Prepared(
        [rows_of_persons(name, "select person_id from operations.some", []) for name in ("tags_a", "tags_b")]
    )
    with duckdb.connect() as connection:
        connection.execute("create schema tag_integration")
        connection.execute(
            "create table tag_integration.tag_history_days as select unnest($days::date[]) as as_of_date",
            {"days": days},
        )
        names = ("tags_a", "tags_b", "tags_c", "tags_a_history", "tags_c_history", "tag_history_days", "tag_statistics")
        graph = Graph(connection, manifest(*names), "tag_integration")
        prepare_histories(graph, BASE, prepared)
    return prepared


def histories(prepared: Prepared) -> dict[str, str]:
    return {each.model: each.kept for each in prepared.replacements if each.model.endswith("_history")}


def test_the_history_of_a_table_looks_at_the_rows_that_are_replaced_there():
    prepared = prepared_for([date(2017, 12, 1), BASE_DAY])
    assert histories(prepared) == {"tags_a_history": SOME}


@pytest.mark.parametrize("later", [[DAY], [date(2018, 2, 1)], []])
def test_after_another_build_of_a_later_day_everything_is_compared(later):
    prepared = prepared_for([BASE_DAY, *later] if later else [])
    assert histories(prepared) == {}
