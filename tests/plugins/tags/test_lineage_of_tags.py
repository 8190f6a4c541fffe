"""What a tag comes from and who uses it, in a small project and in the project's own."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from tagloom.tags.lineage_of_tags import read_project, record, tag_users

from tests.plugins.tags.tag_project import LEVEL, SPEND, write, write_project, write_tags

OWN_PROJECT = Path(__file__).parents[3] / "dbt_project"


@pytest.fixture
def project(tmp_path) -> Path:
    return write_project(tmp_path)


def origins(project: Path, model: str, tag: str) -> set[str]:
    return {".".join(column) for column in read_project(project).origins(model, tag)}


def test_a_tag_comes_from_columns_of_staging(project):
    day, price, rows = "stg_shop__orders.sold_at", "stg_shop__orders.price", "stg_shop__orders.*"
    assert origins(project, "tag_value__spend", "spend") == {day, price}
    assert origins(project, "tag_value__spend", "orders") == {day, rows}
    assert origins(project, "tag_value__level", "is_big") == {day, price}
    assert read_project(project).sources("tag_value__level", "is_big") == {"shop.orders"}


def test_whose_a_row_is_is_not_what_a_value_comes_from(project):
    assert origins(project, "tag_value__spend", "person_id") == {"stg_shop__orders.sold_at"}
    write_tags(project, "tag_value__known", "select person_id, 1 as known from {{ ref('identity_map') }}", known={})
    assert origins(project, "tag_value__known", "known") == {"identity_map.*"}
    assert read_project(project).sources("tag_value__known", "known") == set()


def test_a_tag_is_used_by_tags_audiences_what_reads_these_and_exposures(project):
    exposure = {"name": "mailing", "depends_on": {"nodes": ["model.tagloom.audience_big"]}}
    users = tag_users(read_project(project), {"exposures": {"exposure.tagloom.mailing": exposure}})
    served = ["audience_big", "mailing", "report_of_audience"]
    assert users == {
        ("person", "spend"): [*served[:2], "person.is_big", served[2]],
        ("person", "orders"): ["person.visits"],
        ("person", "is_big"): served,
    }


def test_a_tag_of_another_object_is_another_tag(project):
    sql = "select 1 as store_id, sum(spend) as spend from {{ ref('tag_value__spend') }}"
    write_tags(project, "tag_store__spend", sql, place="store/value", spend={})
    users = tag_users(read_project(project), {})
    assert "store.spend" in users["person", "spend"]
    assert ("store", "spend") not in users


def test_what_cannot_be_understood_is_told_where_tags_may_be_used(project):
    write(project, "models/serving/reports/report_b.sql", "select from where")
    write(project, "models/identity_mapping/identity_odd.sql", "select from where")
    [problem] = read_project(project).problems
    assert problem.startswith("models/serving/reports/report_b.sql: cannot be understood, so nobody knows which tags")


def test_record_writes_a_row_for_each_tag_and_forgets_those_that_are_gone(project):
    write_tags(project, "tag_value__level", LEVEL, is_big={"status": "draft"}, visits={})
    with duckdb.connect() as connection:
        record(connection, {}, read_project(project))
        rows = connection.execute("from operations.tag_lineage order by tag").fetchall()
        assert rows == [
            (
                "person",
                "is_big",
                "shop.orders",
                "stg_shop__orders.price, stg_shop__orders.sold_at",
                # It is not in person_tags, where the audience looks for it.
                "",
                LEVEL,
            ),
            ("person", "orders", "shop.orders", "stg_shop__orders.*, stg_shop__orders.sold_at", "person.visits", SPEND),
            (
                "person",
                "spend",
                "shop.orders",
                "stg_shop__orders.price, stg_shop__orders.sold_at",
                "audience_big, person.is_big, report_of_audience",
                SPEND,
            ),
            ("person", "visits", "shop.orders", "stg_shop__orders.*, stg_shop__orders.sold_at", "", LEVEL),
        ]
        for path in (project / "models/tag_category/person/value").glob("tag_value__level.*"):
            path.unlink()
        record(connection, {}, read_project(project))
        assert connection.execute("select tag from operations.tag_lineage order by all").fetchall() == [
            ("orders",),
            ("spend",),
        ]


def test_a_record_that_fails_leaves_what_was_there(project):
    with duckdb.connect() as connection:
        record(connection, {}, read_project(project))
        read = read_project(project)
        broken = {"exposures": {"x": {"name": object(), "depends_on": {"nodes": ["model.audience_big"]}}}}
        with pytest.raises(TypeError):
            record(connection, broken, read)
        assert connection.execute("select count(*) from operations.tag_lineage").fetchall() == [(4,)]


def test_every_tag_of_the_project_comes_from_somewhere():
    read = read_project(OWN_PROJECT)
    assert read.problems == ()
    without = [
        f"{model.object}.{tag.name}"
        for model in read.tag_models
        for tag in model.columns
        if not read.origins(model.name, tag.name)
    ]
    assert without == []
    assert read.sources("tag_value__rfm", "rfm_segment") == {"pos.basket_lines"}
    assert "audience_dormant_big_spenders" in tag_users(read, {})["person", "rfm_segment"]
