"""Models rendered without dbt read what they read with it; a mistake names the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlglot
from tagloom.tags.rendered_sql import Renderer, RenderingError

PROJECT = Path(__file__).parents[3] / "dbt_project"


def write(project: Path, path: str, text: str) -> Path:
    file = project / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def project(tmp_path) -> Path:
    write(tmp_path, "macros/day.sql", "{% macro day() %}{{ return(tagloom.named('day')) }}{% endmacro %}")
    write(
        tmp_path,
        "macros/named.sql",
        "{% macro named(x) %}{{ return(adapter.dispatch('named', 'tagloom')(x)) }}{% endmacro %}"
        "{% macro default__named(x) %}a_{{ x }}{% endmacro %}{% macro spark__named(x) %}b_{{ x }}{% endmacro %}",
    )
    write(tmp_path, "macros/made.sql", "{% materialization made, default %}{{ run_hooks() }}{% endmaterialization %}")
    return tmp_path


def test_refs_sources_and_macros_of_macros(project):
    path = write(
        project,
        "models/staging/shop/stg_shop__orders.sql",
        "{{ config(materialized='view') }}{# not {{ ref('this') }} #}\n"
        "select {{ tagloom.day() }}, cast(1 as {{ dbt.type_string() }}) from {{ source('shop', 'orders') }}, "
        "{{ ref('other') }}{% if is_incremental() %}, {{ this }}{% endif %}",
    )
    read = Renderer(project).render(path)
    assert read.sql.strip() == "select a_day, cast(1 as varchar) from raw_shop.orders, other"
    assert (read.name, read.layer, read.refs, read.sources) == (
        "stg_shop__orders",
        "staging",
        {"other"},
        {"raw_shop.orders"},
    )
    assert read.raw == path.read_text(encoding="utf-8")


def test_every_model_and_data_test_is_read_and_keeps_its_own_refs(project):
    write(project, "models/serving/reports/report_a.sql", "select 1 from {{ ref('x') }}")
    write(project, "data-tests/serving/a_is_right.sql", "select 1 from {{ ref('report_a') }}")
    read = Renderer(project).models()
    assert {name: (model.layer, set(model.refs)) for name, model in read.items()} == {
        "report_a": ("serving", {"x"}),
        "a_is_right": ("data-tests", {"report_a"}),
    }


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select {{ tagloom.dya() }}", "there is no macro tagloom.dya"),
        ("select {{ ref('x' }}", "unexpected"),
        ("select {{ tagloom.day(1, 2) }}", "takes not more than 0 argument"),
    ],
)
def test_a_mistake_names_the_file(project, sql, reason):
    path = write(project, "models/tag_category/person/value/tag_value__a.sql", sql)
    with pytest.raises(RenderingError, match=f"^models/tag_category/person/value/tag_value__a.sql: .*{reason}"):
        Renderer(project).render(path)
    [read] = Renderer(project).models().values()
    assert (read.sql, read.raw) == ("", sql)
    assert reason in read.problem


def test_every_model_of_the_project_is_sql_that_can_be_parsed():
    read = Renderer(PROJECT).models()
    assert len(read) >= 100
    assert [model.problem for model in read.values() if model.problem] == []
    for model in read.values():
        assert sqlglot.parse_one(model.sql, dialect="duckdb"), model.path
    assert "int_order_history" in read["tag_value__rfm"].refs
    assert read["stg_pos__basket_lines"].sources == {"raw_pos.basket_lines"}
