"""Before tags are computed: definitions and lineage are noted, or the build is refused and nothing is."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

import duckdb
import pytest
from tagloom.tags.definitions import TagError
from tagloom.tags.preflight import prepare

from tests.plugins.tags.tag_project import SPEND, write_project, write_tags

DAY = date(2017, 12, 31)


@pytest.fixture
def project(tmp_path) -> Path:
    return write_project(tmp_path)


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        yield connection


def books(connection) -> list[tuple]:
    return connection.execute(
        "select tag, version, first_built_on, used_by from operations.tag_definitions "
        "left join operations.tag_lineage using (object, tag) order by all"
    ).fetchall()


def test_definitions_and_lineage_are_noted(project, connection):
    assert prepare(connection, {}, project, DAY) == []
    assert books(connection) == [
        ("is_big", 1, DAY, "audience_big, report_of_audience"),
        ("orders", 1, DAY, "person.visits"),
        ("spend", 1, DAY, "audience_big, person.is_big, report_of_audience"),
        ("visits", 1, DAY, ""),
    ]
    before = books(connection)
    assert prepare(connection, {}, project, DAY) == []
    assert books(connection) == before


def test_a_retired_tag_in_use_stops_the_build_and_nothing_is_noted(project, connection):
    prepare(connection, {}, project, DAY)
    before = books(connection)
    write_tags(project, "tag_value__spend", SPEND, orders={"status": "retired"}, spend={})
    with pytest.raises(
        TagError, match=r"^person tag orders: it is retired; publish it again, or take it out of models"
    ):
        prepare(connection, {}, project, DAY)
    assert books(connection) == before


def test_a_twin_that_is_wrong_stops_the_build(project, connection):
    write_tags(project, "tag_value__spend", SPEND, orders={"kind": "guess"}, spend={})
    with pytest.raises(TagError, match=r"column orders: meta.tag.kind: 'guess' is not allowed"):
        prepare(connection, {}, project, DAY)


def test_a_definition_that_changed_in_silence_is_logged(project, connection, caplog):
    prepare(connection, {}, project, DAY)
    write_tags(project, "tag_value__spend", SPEND.replace("sum(amount)", "max(amount)"), orders={}, spend={})
    with caplog.at_level(logging.WARNING, "tagloom.tags.preflight"):
        warnings = prepare(connection, {}, project, DAY)
    assert [warning.split(":")[0] for warning in warnings] == ["person tag orders", "person tag spend"]
    assert [record.message for record in caplog.records] == warnings
