"""What is written from twins and declarations: right for made-up ones, complete and up to date for the shipped ones."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tagloom.contracts import SKELETON, load_contract, load_layer
from tagloom.quality_skeleton import SkeletonError, skeleton_files, stale_skeleton, write_skeleton
from tagloom.settings import PROJECT
from tagloom.sources import load_sources
from tagloom.transform import LAYERS

TWIN = """
models:
  - name: tag_shoes__sizes
    description: One row per person with shoes.
    columns:
      - name: person_id
        data_type: bigint
        data_tests:
          - not_null
          - unique
          - relationships: {arguments: {to: ref('persons'), field: person_id}}
      - name: shoe_width
        data_type: varchar
        data_tests: [not_null]
        config:
          meta: {tag: {owner: shoes@example.com, values: {narrow: 窄, wide: 宽}}}
      - name: shoe_size
        data_type: decimal(4,1)
        data_tests:
          - in_range: {arguments: {minimum: 15, maximum: 60}}
        config: {meta: {tag: {owner: feet@example.com}}}
      - name: pairs
        data_type: integer
        data_tests:
          - in_range: {arguments: {minimum: 0}}
        config: {meta: {tag: {owner: shoes@example.com}}}
"""
PERSONS = """
models:
  - name: persons
    description: Everybody.
    columns: [{name: person_id, data_type: bigint, data_tests: [not_null, unique]}]
"""
DAYS = """
models:
  - name: int_days
    columns:
      - {name: as_of_date, data_type: date, data_tests: [not_null]}
      - {name: shop, data_tests: [{unique: {config: {where: is_open}}}]}
    data_tests:
      - unique_together: {arguments: {columns: [as_of_date, shop]}, config: {where: shop = 'A'}}
"""


@pytest.fixture
def project(tmp_path):
    for file, text, sql in (
        (
            "tag_category/person/shoes/tag_shoes__sizes",
            TWIN,
            "select * from {{ ref('persons') }}, {{ ref(\"int_days\") }}",
        ),
        ("identity_mapping/persons", PERSONS, "select 1"),
        ("intermediate/int_days", DAYS, "select 1"),
    ):
        path = tmp_path / "models" / f"{file}.yml"
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
        path.with_suffix(".sql").write_text(sql, encoding="utf-8")
    return tmp_path


def written(project: Path, tmp_path: Path) -> dict[str, object]:
    """Table -> its contract, read back from the written files."""
    soda = tmp_path / "soda"
    write_skeleton(soda, skeleton_files(project, []))
    folder = soda / SKELETON
    return {path.stem: load_contract(path, folder) for path in folder.rglob("*.yml")}


def test_each_promise_of_a_twin_becomes_a_check(project, tmp_path):
    contract = written(project, tmp_path)["tag_shoes__sizes"]
    assert contract.file == "skeleton/tag_category/person/shoes/tag_shoes__sizes.yml"
    assert contract.table == "tag_category.tag_shoes__sizes"
    assert contract.columns == {
        "person_id": {"data_type": "bigint"},
        "shoe_width": {"data_type": "varchar"},
        "shoe_size": {"data_type": "decimal", "numeric_precision": 4, "numeric_scale": 1},
        "pairs": {"data_type": "integer"},
    }
    assert [(item.column, item.kind, item.check.name) for item in contract.checks] == [
        ("person_id", "missing", "No row of tag_shoes__sizes lacks person_id"),
        ("person_id", "duplicate", "No person_id is there twice in tag_shoes__sizes"),
        ("person_id", "invalid", "Every person_id of tag_shoes__sizes is a person whom we know"),
        ("shoe_width", "missing", "No row of tag_shoes__sizes lacks shoe_width"),
        ("shoe_width", "invalid", "Every shoe_width of tag_shoes__sizes is one of the 2 declared values"),
        ("shoe_size", "invalid", "Every shoe_size of tag_shoes__sizes is between 15 and 60"),
        ("pairs", "invalid", "Every pairs of tag_shoes__sizes is at least 0"),
        ("", "schema", "tag_shoes__sizes has the columns that its twin declares"),
        ("", "metric", "tag_shoes__sizes has about as many rows as in the four weeks before"),
    ]
    checks = {item.column: item for item in contract.checks if item.kind == "invalid"}
    assert checks["shoe_width"].check.valid_values == ["narrow", "wide"]
    assert (checks["shoe_size"].check.valid_min, checks["shoe_size"].check.valid_max) == (15, 60)
    assert checks["person_id"].check.valid_reference_data.table == "identity_mapping.persons"
    # The owner of most tags answers for the table, each owner for the own tag.
    assert {name: item.owner for name, item in checks.items()} == {
        "person_id": "shoes@example.com",
        "shoe_width": "shoes@example.com",
        "shoe_size": "feet@example.com",
        "pairs": "shoes@example.com",
    }
    assert contract.checks[0].what_to_do == (
        "Look at the checks of identity_mapping.persons and intermediate.int_days first, which it is made of; then at "
        "what changed in dbt_project/models/tag_category/person/shoes/tag_shoes__sizes."
    )


def test_a_table_that_says_its_day_must_have_the_day_and_a_limit_holds_for_all_checks(project, tmp_path):
    contract = written(project, tmp_path)["int_days"]
    assert contract.filter == "shop = 'A'"
    assert contract.variables == {"AS_OF_DATE": "", "ROWS_BEFORE": "0"}
    assert [item.check.name for item in contract.checks] == [
        "No row of int_days lacks as_of_date",
        "int_days has the columns that its twin declares",
        "No as_of_date and shop are there twice in int_days",
        "No shop is there twice in int_days where is_open",
        "int_days has rows of the day that is looked at",
        "int_days has about as many rows as in the four weeks before",
    ]


def test_a_log_of_changes_needs_no_rows_of_a_day_without_any(project, tmp_path):
    twin = next(project.rglob("int_days.yml"))
    declared = "data_type: date, data_tests: [not_null]"
    twin.write_text(twin.read_text().replace(declared, f"{declared}, config: {{meta: {{every_day: false}}}}"))
    names = [item.check.name for item in written(project, tmp_path)["int_days"].checks]
    assert "int_days has rows of the day that is looked at" not in names
    assert "No row of int_days lacks as_of_date" in names


@pytest.mark.parametrize(
    "data_test",
    [
        "accepted_values: {arguments: {values: [1]}, config: {severity: warn}}",
        "accepted_values: {arguments: {values: [true]}}",
        "not_null: {config: {where: is_open}}",
        "in_range: {arguments: {minimum: opened_on}}",
        "is_even: {}",
    ],
)
def test_a_data_test_that_would_become_no_check_is_refused(project, data_test):
    twin = next(project.rglob("int_days.yml"))
    twin.write_text(twin.read_text().replace("unique: {config: {where: is_open}}", data_test))
    name = data_test.partition(":")[0]
    with pytest.raises(SkeletonError, match=rf"int_days.yml: columns.shop: {name}, as it is .* dbt_project/data-tests"):
        skeleton_files(project, [])


def test_a_data_test_of_a_table_that_would_become_no_check_is_refused(project):
    twin = next(project.rglob("int_days.yml"))
    twin.write_text(twin.read_text().replace("unique_together", "grows_daily"))
    with pytest.raises(SkeletonError, match=r"int_days.yml: grows_daily, as it is written, cannot become a check"):
        skeleton_files(project, [])


def test_a_reference_to_nothing_is_refused(project):
    (project / "models/identity_mapping/persons.yml").unlink()
    with pytest.raises(SkeletonError, match=r"tag_shoes__sizes.yml: columns.person_id: .* no model or seed persons"):
        skeleton_files(project, [])


def test_a_twin_of_another_name_is_refused(project):
    (project / "models/identity_mapping/persons.yml").write_text(PERSONS.replace("persons", "people"), encoding="utf-8")
    with pytest.raises(SkeletonError, match=r"persons.yml: describes people; each model has a twin"):
        skeleton_files(project, [])


def test_it_is_written_once_kept_fresh_and_cleared(project, tmp_path):
    soda = tmp_path / "soda"
    files = skeleton_files(project, [])
    assert len(stale_skeleton(soda, files)) == 3
    assert write_skeleton(soda, files) == sorted(files)
    assert write_skeleton(soda, files) == []
    assert stale_skeleton(soda, files) == []
    changed = files | {Path("intermediate/int_days.yml"): "other"}
    assert stale_skeleton(soda, changed) == [
        "soda/skeleton/intermediate/int_days.yml: is stale; run `python -m tagloom quality skeleton` and commit what "
        "it writes"
    ]
    del files[Path("intermediate/int_days.yml")]
    assert "intermediate/int_days.yml: nothing stands behind it" in stale_skeleton(soda, files)[0]
    assert write_skeleton(soda, files) == [Path("intermediate/int_days.yml")]
    assert stale_skeleton(soda, files) == []


def test_one_table_alone(project, tmp_path):
    soda = tmp_path / "soda"
    files = skeleton_files(project, [])
    assert write_skeleton(soda, files, "persons") == [Path("identity_mapping/persons.yml")]
    with pytest.raises(SkeletonError, match="nobody: there is no such model or declared table"):
        write_skeleton(soda, files, "nobody")


def test_a_declared_table_is_watched_by_its_owner(tmp_path):
    source = next(source for source in load_sources(PROJECT / "sources") if source.name == "pos")
    source = source.model_copy(update={"owner": "tills@example.com"})
    (tmp_path / "models").mkdir()
    files = skeleton_files(tmp_path, [source])
    assert list(files) == [Path("landing/pos/basket_lines.yml")]
    content = yaml.safe_load(files[Path("landing/pos/basket_lines.yml")])
    assert content["check_attributes"]["owner"] == "tills@example.com"
    kinds = [(kind, check.get("qualifier")) for item in content["checks"] for kind, check in item.items()]
    assert kinds == [("schema", None), ("metric", "rows"), ("metric", "delivered twice")]


def test_every_model_and_every_declared_table_has_a_fresh_skeleton():
    sources = load_sources(PROJECT / "sources")
    files = skeleton_files(PROJECT / "dbt_project", sources)
    assert stale_skeleton(PROJECT / "soda", files) == []
    models = {
        path.relative_to(PROJECT / "dbt_project" / "models").with_suffix(".yml")
        for pattern in ("*.sql", "*.py")
        for path in (PROJECT / "dbt_project" / "models").rglob(pattern)
    }
    assert models <= set(files), "these models have no twin, so nothing is checked"
    assert {path.parts[0] for path in files} == {"landing", *LAYERS}


@pytest.mark.parametrize("layer", ["landing", *LAYERS])
def test_every_shipped_contract_is_verified_with_its_skeleton(layer):
    contracts, problems = load_layer(PROJECT / "soda" / "contracts", layer)
    assert problems == {}
    # Nothing by hand stands alone: each watches a table that a twin or a declaration describes.
    assert [contract.file for contract in contracts if not contract.skeleton and SKELETON not in contract.file] == []
    for contract in contracts:
        kinds = {declared.kind for declared in contract.checks}
        assert "schema" in kinds, contract.file
        names = [declared.check.name for declared in contract.checks]
        assert len(names) == len(set(names)), contract.file
        assert any(declared.check.qualifier == "rows" for declared in contract.checks), contract.file


def test_by_hand_comes_before_written(project, tmp_path):
    written(project, tmp_path)
    hand = tmp_path / "soda" / "contracts" / "identity_mapping" / "persons.yml"
    hand.parent.mkdir(parents=True)
    hand.write_text(
        """
dataset: warehouse/identity_mapping/persons
check_attributes: {owner: me@example.com, what_to_do: Look.}
columns:
  - name: person_id
    checks:
      - duplicate: {name: Hardly a person is there twice, threshold: {must_be_less_than: 5}}
checks:
  - row_count: {name: persons has the columns that its twin declares}
""",
        encoding="utf-8",
    )
    [contract], problems = load_layer(tmp_path / "soda" / "contracts", "identity_mapping")
    assert problems == {}
    assert [(item.check.name, item.file) for item in contract.checks] == [
        ("Hardly a person is there twice", "identity_mapping/persons.yml"),
        ("persons has the columns that its twin declares", "identity_mapping/persons.yml"),
        ("No row of persons lacks person_id", "skeleton/identity_mapping/persons.yml"),
        (
            "persons has about as many rows as in the four weeks before",
            "skeleton/identity_mapping/persons.yml",
        ),
    ]
    assert contract.columns == {"person_id": {"data_type": "bigint"}}
    assert contract.variables == {"ROWS_BEFORE": "0"}
    # One about some rows only, stands beside what is written of all.
    hand.write_text(hand.read_text(encoding="utf-8") + "filter: person_id > 7\n", encoding="utf-8")
    contracts, _ = load_layer(tmp_path / "soda" / "contracts", "identity_mapping")
    assert sorted(contract.file for contract in contracts) == [
        "identity_mapping/persons.yml",
        "skeleton/identity_mapping/persons.yml",
    ]
    assert replace(contract, skeleton=None).columns == {"person_id": {}}


def test_a_refused_contract_still_says_whose_table_is_unwatched(project, tmp_path):
    written(project, tmp_path)
    hand = tmp_path / "soda" / "contracts" / "tag_category" / "person" / "tag_shoes__sizes.yml"
    hand.parent.mkdir(parents=True)
    hand.write_text("dataset: [", encoding="utf-8")
    contracts, problems = load_layer(tmp_path / "soda" / "contracts", "tag_category")
    error = problems["tag_category/person/tag_shoes__sizes.yml"]
    assert (error.table, error.owner) == ("tag_category.tag_shoes__sizes", "shoes@example.com")
    assert [contract.file for contract in contracts] == ["skeleton/tag_category/person/shoes/tag_shoes__sizes.yml"]
    hand.write_text(
        "dataset: warehouse/tag_category/tag_shoes__sizes\ncheck_attributes: {owner: my@example.com}\n",
        encoding="utf-8",
    )
    _, problems = load_layer(tmp_path / "soda" / "contracts", "tag_category")
    assert problems["tag_category/person/tag_shoes__sizes.yml"].owner == "my@example.com"
