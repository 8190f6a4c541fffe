"""A tag that is a draft, retired or deleted while something uses it is refused, with the list of its users."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tagloom.tags.definitions import TagError, load_tags
from tagloom.tags.tag_uses import check_uses, use_problems

from tests.plugins.tags.tag_project import LEVEL, SPEND, write, write_project, write_tags

OWN_PROJECT = Path(__file__).parents[3] / "dbt_project"

AUDIENCE = "models/serving/audiences/audience_big.sql"
TAG = "models/tag_category/person/value/tag_value__level.sql"


@pytest.fixture
def project(tmp_path) -> Path:
    return write_project(tmp_path)


def problems(project: Path) -> list[str]:
    return use_problems(project, load_tags(project / "models" / "tag_category"))


def test_published_tags_may_be_used(project):
    assert problems(project) == []
    assert check_uses(project, load_tags(project / "models" / "tag_category")).problems == ()


def test_the_project_uses_published_tags_only():
    assert problems(OWN_PROJECT) == []


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("retired", "it is retired; publish it again, or take it out of"),
        ("draft", "it is a draft; publish it, or take it out of"),
    ],
)
def test_a_tag_that_is_not_published_is_refused_with_the_list_of_its_users(project, status, state):
    write_tags(project, "tag_value__spend", SPEND, orders={}, spend={"status": status})
    assert problems(project) == [f"person tag spend: {state} {AUDIENCE}, {TAG}"]


def test_a_tag_that_nobody_uses_may_retire(project):
    write_tags(project, "tag_value__level", LEVEL, is_big={"data_type": "boolean"}, visits={"status": "retired"})
    assert problems(project) == []


def test_a_deleted_tag_is_refused_with_the_list_of_its_users(project):
    write_tags(project, "tag_value__spend", SPEND.replace("sum(amount) as spend", "1 as other"), orders={}, other={})
    assert problems(project) == [
        f"person tag spend: no twin declares it (any more); declare it again, or take it out of {AUDIENCE}, {TAG}"
    ]


def test_a_deleted_tag_model_is_told_with_who_reads_it(project):
    write(project, "data-tests/a.sql", "select spend from {{ ref('tag_value__spend') }}")
    for path in (project / "models/tag_category/person/value").glob("tag_value__spend.*"):
        path.unlink()
    assert problems(project) == [
        "data-tests/a.sql: reads tag_value__spend, a tag model that does not exist (any more)",
        f"{TAG}: reads tag_value__spend, a tag model that does not exist (any more)",
        f"person tag spend: no twin declares it (any more); declare it again, or take it out of {AUDIENCE}",
    ]


def test_a_draft_may_use_a_draft_and_nothing_that_is_retired(project):
    level = {"is_big": {"data_type": "boolean", "status": "draft"}, "visits": {"status": "draft"}}
    write_tags(project, "tag_value__level", LEVEL, **level)
    write(project, AUDIENCE, "select 1 as person_id")
    write_tags(project, "tag_value__spend", SPEND, orders={}, spend={"status": "draft"})
    assert problems(project) == []
    write_tags(project, "tag_value__spend", SPEND, orders={}, spend={"status": "retired"})
    assert problems(project) == [f"person tag spend: it is retired; publish it again, or take it out of {TAG}"]


def test_a_data_test_may_look_at_a_retired_tag_but_not_at_one_that_is_gone(project):
    write_tags(project, "tag_value__level", LEVEL, is_big={"data_type": "boolean"}, visits={"status": "retired"})
    test = "data-tests/visits_are_right.sql"
    write(project, test, "select visits from {{ ref('tag_value__level') }} where visits < 0")
    assert problems(project) == []
    write(project, test, "select visits from {{ ref('person_tags') }} where visits < 0")
    assert problems(project) == [f"person tag visits: it is retired; publish it again, or take it out of {test}"]


@pytest.mark.parametrize(
    "contract",
    [
        {
            "dataset": "warehouse/tag_integration/person_tags",
            "columns": [{"name": "person_id"}, {"name": "visits", "checks": [{"missing": {"name": "x"}}]}],
        },
        {
            "dataset": "warehouse/serving/audience_big",
            "checks": [
                {
                    "failed_rows": {
                        "query": "select audience_big.person_id from serving.audience_big inner join "
                        "tag_integration.person_tags on audience_big.person_id = person_tags.person_id "
                        "where person_tags.visits < ${var.LEAST}"
                    }
                }
            ],
        },
    ],
)
def test_quality_contracts_use_tags_too(project, contract):
    path = "soda/contracts/any/contract.yml"
    write(project.parent, path, yaml.safe_dump(contract))
    assert problems(project) == []
    write_tags(project, "tag_value__level", LEVEL, is_big={"data_type": "boolean"}, visits={"status": "retired"})
    assert problems(project) == [f"person tag visits: it is retired; publish it again, or take it out of {path}"]


def test_sql_that_is_wrong_is_a_problem_and_not_an_empty_list_of_users(project):
    write(project, AUDIENCE, "select {{ tagloom.nothing() }}")
    assert problems(project) == [f"{AUDIENCE}: its Jinja cannot be rendered: there is no macro tagloom.nothing"]
    write(project, "models/intermediate/int_other.sql", "select {{ tagloom.nothing() }}")
    write(project, AUDIENCE, "select from where")
    assert len(problems(project)) == 1
    assert problems(project)[0].startswith(f"{AUDIENCE}: cannot be understood, so nobody knows which tags it uses")


def test_all_problems_are_told_at_once(project):
    write_tags(project, "tag_value__spend", SPEND, orders={"status": "retired"}, spend={"status": "retired"})
    with pytest.raises(TagError) as error:
        check_uses(project, load_tags(project / "models" / "tag_category"))
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == ["person tag orders", "person tag spend"]
