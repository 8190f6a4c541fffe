"""Facts, tags and their integration are Spark's SQL too: a parser of that dialect reads what dbt would send there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tagloom.settings import PROJECT

from tests.project.spark_sql import SparkRenderer

DBT_PROJECT = PROJECT / "dbt_project"

LAYERS = ("intermediate", "tag_category", "tag_integration")

MODELS = sorted(path for layer in LAYERS for path in (DBT_PROJECT / "models" / layer).rglob("*.sql"))

WRITTEN_BY_HAND = [path for path in MODELS if "tag_integration" not in path.parts]
"""What `make tags` writes is long and much the same: its macros are read by the tests of the modules that write it."""

SPARK_FUNCTIONS = {
    "bool_and", "bool_or", "char_length", "conv", "count_if", "date_from_unix_date", "max_by", "min_by", "regexp_like",
    "stack", "unix_date", "weekday", "xxhash64",
}  # fmt: skip
"""Functions of Spark 3.5 that sqlglot has no name for; whatever else it does not know is another engine's."""


@pytest.fixture(scope="module")
def spark() -> SparkRenderer:
    return SparkRenderer(DBT_PROJECT)


def unknown_functions(sql: str) -> set[str]:
    """Names of functions in the SQL that Spark does not have, as far as sqlglot and SPARK_FUNCTIONS know them."""
    sqlglot = pytest.importorskip("sqlglot")
    tree = sqlglot.parse_one(sql, read="spark")
    return {call.name.lower() for call in tree.find_all(sqlglot.exp.Anonymous)} - SPARK_FUNCTIONS


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_calls_nothing_that_spark_does_not_have(path: Path, spark: SparkRenderer) -> None:
    assert unknown_functions(spark.render(path.read_text(encoding="utf-8"))) == set()


def test_functions_of_one_engine_are_found() -> None:
    assert unknown_functions("select list_sort(days), getvariable(day) from visits") == {
        "list_sort",
        "getvariable",
    }


@pytest.mark.slow
@pytest.mark.parametrize("path", WRITTEN_BY_HAND, ids=lambda path: path.stem)
def test_a_model_is_spark_sql(path: Path, spark: SparkRenderer) -> None:
    sqlfluff = pytest.importorskip("sqlfluff")
    parsed = sqlfluff.parse(spark.render(path.read_text(encoding="utf-8")), dialect="sparksql")
    assert "unparsable" not in json.dumps(parsed)
