"""Promises: what the twins promise of a column is counted over the rows that were replaced, and no others."""

from __future__ import annotations

import duckdb
import pytest
from tagloom.promises import broken_promises

AFFECTED = "person_id in (select person_id from operations.affected_persons)"


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        connection.execute(
            """
            create schema operations; create schema tag_category; create schema identity_mapping;
            create table identity_mapping.persons as select unnest([1, 3]) as person_id;
            create table operations.affected_persons as select unnest([1, 2]) as person_id;
            create table tag_category.tag_web as
            from (values (1, 'mobile', 3, true), (2, null, null, null), (3, 'fridge', -1, null), (3, null, null, null))
                as rows (person_id, device, score, is_new);
            """
        )
        yield connection


def manifest(test: str, column: str, severity: str = "ERROR", **arguments) -> dict:
    name = f"{test}_tag_web_{column}"
    return {
        "nodes": {
            "model.tag_web": {
                "name": "tag_web",
                "resource_type": "model",
                "schema": "tag_category",
                "original_file_path": "models/tag_web.sql",
            },
            "model.persons": {"name": "persons", "resource_type": "model", "schema": "identity_mapping"},
            f"test.{name}": {
                "name": name,
                "resource_type": "test",
                "attached_node": "model.tag_web",
                "config": {"severity": severity},
                "depends_on": {"nodes": ["model.tag_web", *(["model.persons"] if "to" in arguments else [])]},
                "test_metadata": {"name": test, "kwargs": {"column_name": column, **arguments}},
            },
        }
    }


@pytest.mark.parametrize(
    ("test", "column", "arguments", "bad_rows"),
    [
        ("not_null", "person_id", {}, 0),
        ("not_null", "device", {}, 1),
        ("unique", "person_id", {}, 0),
        ("unique", "person_id // 10", {}, 1),
        ("accepted_values", "device", {"values": ["mobile", "it's"]}, 0),
        ("accepted_values", "device", {"values": ["desktop"]}, 1),
        ("accepted_values", "score", {"values": [3]}, 0),
        ("accepted_values", "is_new", {"values": [False]}, 1),
        ("accepted_values", "is_new", {"values": [True]}, 0),
        ("in_range", "score", {"minimum": 0, "maximum": 3}, 0),
        ("in_range", "score", {"minimum": 4}, 1),
        ("in_range", "score", {"maximum": 2.5}, 1),
        ("in_range", "score", {"minimum": None, "maximum": None}, 0),
        ("relationships", "person_id", {"to": "ref('persons')", "field": "person_id"}, 1),
        ("unique_together", None, {"columns": ["person_id", "device"]}, 0),
        ("unique_together", None, {"columns": ["score", "device"]}, 0),
    ],
)
def test_rows_of_affected_persons_are_counted(connection, test, column, arguments, bad_rows):
    problems = broken_promises(connection, manifest(test, column, **arguments), {"tag_web": AFFECTED})
    sentence = f"models/tag_web.sql: the data test {test}_tag_web_{column} fails for {bad_rows} rows"
    assert problems == ([sentence] if bad_rows else [])


def test_rows_that_together_should_be_unique_are_counted_of_whom_they_are(connection):
    together = manifest("unique_together", None, columns=["person_id", "is_new"])
    [problem] = broken_promises(connection, together, {"tag_web": "person_id = 3"})
    assert problem == "models/tag_web.sql: the data test unique_together_tag_web_None fails for 1 rows"
    assert broken_promises(connection, together, {"tag_web": AFFECTED}) == []
    # Whether others have the same score, the rows of some persons cannot tell.
    other = manifest("unique_together", None, columns=["score", "is_new"])
    assert broken_promises(connection, other, {"tag_web": "person_id = 3"}) == []


def test_only_what_stops_a_build_and_was_updated_is_checked(connection):
    assert broken_promises(connection, manifest("not_null", "device", severity="warn"), {"tag_web": AFFECTED}) == []
    assert broken_promises(connection, manifest("not_null", "device"), {"tag_value__rfm": AFFECTED}) == []
    macro = filtered("{{ tagloom.as_of_date() }} is null")
    assert broken_promises(connection, macro, {"tag_web": AFFECTED}) == []


def filtered(where: str) -> dict:
    """A test that looks at some rows alone."""
    found = manifest("not_null", "device")
    found["nodes"]["test.not_null_tag_web_device"]["config"]["where"] = where
    return found


def test_a_test_of_some_rows_counts_these(connection):
    assert broken_promises(connection, filtered("score > 0"), {"tag_web": AFFECTED}) == []
    [problem] = broken_promises(connection, filtered("score is null"), {"tag_web": AFFECTED})
    assert "fails for 1 rows" in problem
