"""What a changed definition changes: which models differ, whose values, and what the exit code says of it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import duckdb
import pytest
from tagloom.tags import difference, values
from tagloom.tags.changed_models import above, below, changes
from tagloom.tags.difference import AudienceDifference, Difference, ModelDifference, TagDifference, check_out
from tagloom.tags.difference_report import report, warnings
from tagloom.tags.project import TagRequestError

IN_LAST_DAYS = ("macro.tagloom.in_last_days", "{{ date_column }} > {{ as_of }}")


def model(name, sql="select 1", *parents, layer="tag_category/person/value", macros=(), columns=None):
    kinds = {"tag_integration": "tag_integration/person", "audience": "serving/audiences"}
    return SimpleNamespace(
        unique_id=f"model.tagloom.{name}",
        name=name,
        package_name="tagloom",
        resource_type="model",
        original_file_path=f"models/{kinds.get(layer, layer)}/{name}.sql",
        raw_code=sql,
        checksum=SimpleNamespace(checksum=sql),
        columns=columns or {},
        config=SimpleNamespace(materialized="table", meta={}),
        depends_on=SimpleNamespace(nodes=[f"model.tagloom.{parent}" for parent in parents], macros=list(macros)),
    )


def tag_column(data_type="integer", **meta):
    return SimpleNamespace(data_type=data_type, meta={}, config=SimpleNamespace(meta={"tag": meta}))


def project(*models, macros=(IN_LAST_DAYS,)):
    nodes = {one.unique_id: one for one in models}
    return SimpleNamespace(
        models=nodes.values,
        node=nodes.get,
        manifest=SimpleNamespace(
            macros={
                name: SimpleNamespace(
                    name=name.rpartition(".")[2],
                    package_name="tagloom",
                    macro_sql=sql,
                    depends_on=SimpleNamespace(macros=[]),
                )
                for name, sql in macros
            }
        ),
    )


def reasons(before, after):
    return {name.rpartition(".")[2]: because for name, because in changes(before, after).because.items()}


def test_nothing_differs_from_itself():
    one = project(model("tag_a"), model("tag_b", "select 2", "tag_a"))
    assert reasons(one, one) == {}


def test_comments_and_spaces_change_no_value():
    before = project(model("tag_a", "select 1 -- one\nfrom orders"))
    assert reasons(before, project(model("tag_a", "{# two #}select   1\n  from orders"))) == {}


def test_what_differs_is_said():
    before = project(model("tag_a"), model("tag_b", macros=[IN_LAST_DAYS[0]]), model("tag_c"))
    after = project(
        model("tag_a", "select 2"),
        model("tag_b", macros=[IN_LAST_DAYS[0]]),
        model("tag_d"),
        macros=[(IN_LAST_DAYS[0], "{{ date_column }} >= {{ as_of }}")],
    )
    assert reasons(before, after) == {"tag_a": ("SQL",), "tag_b": ("macro in_last_days",), "tag_d": ("new",)}
    assert changes(before, after).gone == ("model.tagloom.tag_c",)


@pytest.mark.parametrize(
    ("changed", "because"),
    [
        (tag_column(if_missing="zero"), {"tag_a": ("twin",)}),
        (tag_column("bigint", if_missing="null"), {"tag_a": ("twin",)}),
        (tag_column(if_missing="null", version=2), {"tag_a": ("twin",)}),
        (tag_column(if_missing="null", title="Another title", title_zh="标签", owner="b@example.com"), {}),
    ],
)
def test_of_the_twin_counts_what_gives_values(changed, because):
    before = project(model("tag_a", columns={"a": tag_column(if_missing="null")}))
    assert reasons(before, project(model("tag_a", columns={"a": changed}))) == because


def test_what_stands_on_a_model_and_what_it_stands_on():
    one = project(
        model("persons", layer="identity_mapping"),
        model("int_orders", "", "persons", layer="intermediate"),
        model("tag_a", "", "int_orders"),
        model("tag_b", "", "tag_a"),
        model("audience_x", "", "tag_b", layer="audience"),
    )
    names = lambda found: {name.rpartition(".")[2] for name in found}  # noqa: E731
    assert names(above(one, ["model.tagloom.tag_a"])) == {"tag_b", "audience_x"}
    assert names(below(one, ["model.tagloom.tag_b"])) == {"tag_a", "int_orders", "persons"}


@pytest.fixture
def sides():
    """before.values_person and after.values_person, of five persons."""
    with duckdb.connect() as connection:
        rows = {
            "before": "(1, 'a', 0), (2, 'a', 1), (3, 'b', 2), (4, null, 3)",
            "after": "(1, 'a', 0), (2, 'b', 1), (3, 'b', 9), (5, 'c', 4)",
        }
        for schema, listed in rows.items():
            connection.execute(f"create schema {schema}")
            connection.execute(
                f"create table {schema}.values_person as from (values {listed}) as rows(person_id, word, number)"
            )
        yield connection


def test_values_are_compared_person_by_person(sides):
    data_type = difference._pair(sides, "person", "person_id", "word", True, True)
    assert sides.execute("select count(*), count_if(one is distinct from other) from pair").fetchall() == [(5, 2)]
    label = values.labels(sides, "pair", ["one", "other"], data_type)
    assert difference._transitions(sides, label) == (("a", "b", 1), ("null", "c", 1))


def test_a_new_tag_has_no_value_before(sides):
    sides.execute("alter table before.values_person drop column word")
    difference._pair(sides, "person", "person_id", "word", False, True)
    assert sides.execute("select count(*), count(one), count(other) from pair").fetchall() == [(4, 0, 4)]


def test_a_type_that_changes_is_compared_as_text(sides):
    sides.execute("alter table after.values_person alter column number type varchar")
    assert difference._pair(sides, "person", "person_id", "number", True, True) == "VARCHAR"


def test_what_is_missing_counts_as_the_twin_says(tmp_path):
    node = model("tag_a", columns={"orders": tag_column(if_missing="zero", status="draft")})
    node.schema = "tag_category"
    with duckdb.connect() as connection:
        for schema in ("identity_mapping", "tag_category", "before"):
            connection.execute(f"create schema {schema}")
        connection.execute("create table identity_mapping.persons as from range(3) as rows(person_id)")
        connection.execute("create table tag_category.tag_a as select 1::bigint as person_id, 7 as orders")
        difference._keep_values(connection, "before", "person", [node])
        assert connection.execute("from before.values_person order by person_id").fetchall() == [(0, 0), (1, 7), (2, 0)]


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A checkout with one commit."""
    checkout = tmp_path / "checkout"
    (checkout / "dbt_project" / "models").mkdir(parents=True)
    (checkout / "dbt_project" / "models" / "tag_a.sql").write_text("select 1\n", encoding="utf-8")
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-qm", "one"]):
        subprocess.run(["git", "-C", str(checkout), *arguments], check=True)
    (checkout / "dbt_project" / "models" / "tag_a.sql").write_text("select 2\n", encoding="utf-8")
    monkeypatch.setattr(difference, "PROJECT", checkout)
    return checkout


def test_a_revision_is_put_aside_as_it_was_committed(repository, tmp_path):
    label = check_out("main", tmp_path / "base")
    assert label.startswith("main (")
    assert (tmp_path / "base" / "dbt_project" / "models" / "tag_a.sql").read_text(encoding="utf-8") == "select 1\n"
    assert (repository / "dbt_project" / "models" / "tag_a.sql").read_text(encoding="utf-8") == "select 2\n"


def test_a_revision_that_is_none_is_refused(repository, tmp_path):
    with pytest.raises(TagRequestError, match="BASE=mian is no revision of this repository"):
        check_out("mian", tmp_path / "base")


SEGMENT = TagDifference(
    object="person",
    name="rfm_segment",
    model="tag_value__rfm",
    twin="models/tag_category/person/value/tag_value__rfm.yml",
    status=("published", "published"),
    version=(1, 1),
    is_own_change=True,
    objects=2592,
    changed=242,
    filled=(2469, 2469),
    spread=(("loyal", 353, 111), ("big basket", 124, 366)),
    transitions=(("loyal", "big basket", 199),),
)

FOUND = Difference(
    base="HEAD (0019623)",
    as_of_date=date(2017, 12, 31),
    models=(ModelDifference("tag_value__rfm", ("SQL",), 0.45, 0.24),),
    tags=(SEGMENT,),
    audiences=(AudienceDifference("dormant_big_spenders", 38, 36, 1, 3),),
    notes=(),
)


def with_tag(**changes):
    return replace(FOUND, tags=(replace(SEGMENT, **changes),))


def test_the_report_says_who_changes_and_how():
    assert report(FOUND) == "\n".join(
        [
            "Tags of 2017-12-31: HEAD (0019623) -> working tree. Warehouse and published version are as they were.",
            "",
            "model           what differs  seconds before  after",
            "tag_value__rfm  SQL           0.45            0.24",
            "",
            "tag          status     version  changed  share  filled before  after  coverage before  after",
            "rfm_segment  published  1            242  9.3%           2,469  2,469  95.3%            95.3%",
            "",
            "audience              before  after  entered  left",
            "dormant_big_spenders      38     36        1     3",
            "",
            "rfm_segment: the value of 242 of 2,592 persons differs",
            "  value       before  after  share before  after",
            "  loyal          353    111  13.6%         4.3%",
            "  big basket     124    366  4.8%          14.1%",
            "",
            "  from -> to           persons",
            "  loyal -> big basket      199",
            "  all others                43",
        ]
    )


def test_the_report_as_markdown_has_tables_and_folds_details():
    text = report(FOUND, markdown=True)
    assert "| rfm_segment | published | 1 | 242 | 9.3% | 2,469 | 2,469 | 95.3% | 95.3% |" in text
    assert "<details><summary>rfm_segment: the value of 242 of 2,592 persons differs</summary>" in text
    assert "| loyal → big basket | 199 |" in text
    assert "->" not in text


def test_without_changes_the_report_says_so():
    text = report(replace(FOUND, models=(), tags=(), audiences=()))
    assert text.endswith("No tag model differs, nor anything that one reads.")


def test_new_and_removed_tags_are_told_apart():
    new = report(with_tag(status=(None, "draft"), version=(None, 1), filled=(0, 2469)))
    assert "new -> draft" in new
    assert "rfm_segment: new, 2,469 of 2,592 persons have a value" in new
    assert "published -> gone" in report(with_tag(status=("published", None), version=(1, None)))


def test_published_values_may_not_change_under_the_same_version():
    versions, _ = warnings(FOUND, None)
    assert versions == [
        "rfm_segment: 242 published values differ (9.3%), but the version of its definition is still 1; "
        "write version: 2 into models/tag_category/person/value/tag_value__rfm.yml"
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"version": (1, 2)},
        {"status": ("draft", "published")},
        {"status": (None, "published"), "version": (None, 1)},
        {"is_own_change": False},
        {"changed": 0},
    ],
)
def test_the_version_stays_when_nobody_reads_another_meaning(changes):
    assert warnings(with_tag(**changes), None) == ([], [])


def test_a_share_is_a_limit_for_tags_that_were_there():
    assert warnings(FOUND, 10)[1] == []
    assert warnings(FOUND, 9)[1] == ["rfm_segment: 9.3% of the values differ, more than 9%"]
    assert warnings(with_tag(status=(None, "published")), 9)[1] == []
