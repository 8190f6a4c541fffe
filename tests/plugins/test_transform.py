"""Transform: dbt runs in this process, says what failed and where, and lets go of everything afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from tagloom import transform
from tagloom.replacing import rows_of_persons, write_replacements
from tagloom.settings import PROJECT
from tagloom.transform import LAYERS, TransformError, build_layer, run_dbt
from tagloom.warehouse import open_warehouse

DAY = date(2017, 12, 31)

TWIN = """models:
  - name: {name}
    description: One row per number.
    columns:
      - name: number
        data_tests: [not_null, unique]
unit_tests:
  - name: {name}_is_never_run_by_a_build
    model: {name}
    given: []
    expect: {{rows: [{{number: 99}}]}}
"""
NO_NUMBER_TWICE = "select number from {{ ref('stg_shop__numbers') }} group by number having count(*) > 1\n"


@pytest.fixture
def project(tmp_path, monkeypatch, settings) -> Path:
    """A checkout whose dbt project has the real settings and macros, a seed and one model per layer written by hand."""
    checkout = tmp_path / "checkout"
    folder = checkout / "dbt_project"
    shutil.copytree(PROJECT / "dbt_project" / "macros", folder / "macros")
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT / "dbt_project" / name, folder / name)
    monkeypatch.setattr(transform, "PROJECT", checkout)
    (folder / "seeds").mkdir()
    (folder / "seeds" / "words.csv").write_text("number,word\n1,one\n2,two\n", encoding="utf-8")
    write(folder, "staging", "stg_shop__numbers", "select number from {{ ref('words') }}")
    laws = folder / "data-tests" / "staging"
    laws.mkdir(parents=True)
    (laws / "no_number_is_there_twice.sql").write_text(NO_NUMBER_TWICE, encoding="utf-8")
    write(
        folder,
        "intermediate",
        "int_numbers",
        "select number, {{ tagloom.as_of_date() }} as day from {{ ref('stg_shop__numbers') }}",
    )
    return folder


def write(folder: Path, layer: str, name: str, sql: str) -> None:
    path = folder / "models" / layer / f"{name}.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{sql}\n", encoding="utf-8")
    path.with_suffix(".yml").write_text(TWIN.format(name=name), encoding="utf-8")


def assert_released(settings) -> None:
    """The warehouse can be opened here, with other settings than dbt's, and in another process."""
    with open_warehouse(settings) as connection:
        connection.execute("select 1")
    program = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('select 1')"
    subprocess.run([sys.executable, "-c", program, str(settings.warehouse)], check=True, capture_output=True)


def test_layers_are_built_one_after_the_other_and_everything_is_let_go(settings, project):
    environment, folder = dict(os.environ), Path.cwd()
    staging = {node.name: node for node in build_layer(settings, "staging", DAY)}
    assert_released(settings)
    intermediate = {node.name: node for node in build_layer(settings, "intermediate", DAY)}
    assert dict(os.environ) == environment
    assert Path.cwd() == folder

    assert (staging["words"].kind, staging["words"].status, staging["words"].rows) == ("seed", "success", 2)
    assert (staging["stg_shop__numbers"].kind, staging["stg_shop__numbers"].rows) == ("model", None)
    # What twins declare of models is left to Soda.
    tests = {node.name: node.status for node in (*staging.values(), *intermediate.values()) if node.kind == "test"}
    assert tests == {"no_number_is_there_twice": "pass"}
    built = intermediate["int_numbers"]
    assert (built.kind, built.status, built.rows, built.message) == ("model", "success", 2, "")
    assert built.as_dict()["rows"] == 2
    assert "words" not in intermediate
    assert not [node for node in (*staging.values(), *intermediate.values()) if node.kind == "unit_test"]

    with open_warehouse(settings) as connection:
        assert connection.execute("from intermediate.int_numbers order by all").fetchall() == [(1, DAY), (2, DAY)]
    assert not list(project.glob("target")) + list(project.glob("logs"))


@pytest.mark.parametrize("left_out", [["int_words"], ["int_words", "int_letters"], ["int_words", "int_numbers"]])
def test_just_the_chosen_models_and_tests_are_built(settings, project, left_out):
    everything = {"int_numbers", "int_numbers_of_words", "int_words", "int_letters"}
    for name in everything - {"int_numbers"}:
        write(project, "intermediate", name, "select number from {{ ref('words') }}")
    build_layer(settings, "staging", DAY)
    build_layer(settings, "intermediate", DAY)
    chosen = [*sorted(everything - set(left_out)), "not_null_int_numbers_of_words_number"]
    with open_warehouse(settings) as connection:
        write_replacements(connection, [])
    built = build_layer(settings, "intermediate", DAY, chosen=chosen)
    assert sorted(node.name for node in built) == sorted(chosen)
    with open_warehouse(settings) as connection:
        # What is left out is no orphan.
        assert len(connection.execute("from duckdb_tables() where schema_name = 'intermediate'").fetchall()) == 4


def test_most_models_of_a_layer_are_called_by_their_folder():
    project = PROJECT / "dbt_project"
    models = {path.stem for path in (project / "models" / "tag_integration").rglob("*.sql")}
    chosen = [*(models - {"person_tags", "tag_history"}), "a_data_test"]
    assert transform.selectors("tag_integration", chosen, project) == (
        ["path:models/tag_integration,resource_type:model", "a_data_test"],
        ["person_tags", "tag_history"],
    )


def test_an_update_replaces_the_rows_of_affected_persons_and_no_others(settings, project):
    model = project / "models" / "intermediate" / "int_words.sql"
    words = project / "seeds" / "words.csv"
    columns = "[{name: person_id, data_type: integer}, {name: word, data_type: varchar}]"
    contract = "config: {contract: {enforced: true}}"
    model.write_text("select number as person_id, word from {{ ref('words') }}\n", encoding="utf-8")
    model.with_suffix(".yml").write_text(
        f"models: [{{name: int_words, {contract}, columns: {columns}}}]\n", encoding="utf-8"
    )
    words.write_text("number,word\n1,one\n2,two\n3,three\n4,four\n", encoding="utf-8")
    build_layer(settings, "staging", DAY)
    build_layer(settings, "intermediate", DAY)
    with open_warehouse(settings) as connection:
        write_replacements(connection, [rows_of_persons("int_words", "select unnest([1, 3, 5, 9])", [])])

    words.write_text("number,word\n1,uno\n2,due\n4,quattro\n5,cinque\n", encoding="utf-8")
    run_dbt(settings, ["seed"], DAY)
    for _ in range(2):
        run_dbt(settings, ["run", "--select", "int_words"], DAY, affected_only=True)
        assert_released(settings)
        with open_warehouse(settings) as connection:
            updated = connection.execute("from intermediate.int_words order by all").fetchall()
        assert updated == [(1, "uno"), (2, "two"), (4, "four"), (5, "cinque")]

    model.write_text("select number as person_id, upper(wrod) as word from {{ ref('words') }}\n", encoding="utf-8")
    with pytest.raises(TransformError, match="wrod"):
        run_dbt(settings, ["run", "--select", "int_words"], DAY, affected_only=True)
    with open_warehouse(settings) as connection:
        assert connection.execute("from intermediate.int_words order by all").fetchall() == updated
        connection.execute("drop table intermediate.int_words")
    with pytest.raises(TransformError, match="was never built; an update replaces rows, so run build_tags first"):
        run_dbt(settings, ["run", "--select", "int_words"], DAY, affected_only=True)


def test_a_mistake_in_sql_is_named_with_file_and_reason_and_what_was_built_stays(settings, project):
    build_layer(settings, "staging", DAY)
    build_layer(settings, "intermediate", DAY)
    environment = dict(os.environ)
    write(project, "intermediate", "int_numbers", "select numbre as number from {{ ref('stg_shop__numbers') }}")
    with pytest.raises(TransformError) as error:
        build_layer(settings, "intermediate", DAY)
    [sentence] = str(error.value).splitlines()
    assert sentence.startswith("models/intermediate/int_numbers.sql: the model int_numbers could not be built: ")
    assert 'column "numbre" not found' in sentence
    assert dict(os.environ) == environment
    assert_released(settings)
    with open_warehouse(settings) as connection:
        assert connection.execute("select number from intermediate.int_numbers order by all").fetchall() == [(1,), (2,)]


def test_a_failed_data_test_is_named_with_its_file(settings, project):
    (project / "seeds" / "words.csv").write_text("number,word\n1,one\n1,two\n", encoding="utf-8")
    with pytest.raises(TransformError) as error:
        build_layer(settings, "staging", DAY)
    [sentence] = str(error.value).splitlines()
    assert sentence.startswith(
        "data-tests/staging/no_number_is_there_twice.sql: the data test no_number_is_there_twice failed: "
    )
    assert "Got 1 result" in sentence
    assert_released(settings)


def test_a_project_that_dbt_cannot_read_is_named(settings, project):
    environment = dict(os.environ)
    write(project, "staging", "stg_shop__numbers", "select number from {{ ref('no_such_model') }}")
    with pytest.raises(TransformError, match=r"^dbt build could not start: .*no_such_model") as error:
        build_layer(settings, "staging", DAY)
    [sentence] = str(error.value).splitlines()
    assert "models/staging/stg_shop__numbers.sql" in sentence
    assert dict(os.environ) == environment


def test_the_key_is_in_no_file_that_dbt_writes(settings, project):
    sql = "select {{ tagloom.identifier_hash('email', 'word') }} as number from {{ ref('words') }}"
    write(project, "staging", "stg_shop__numbers", sql)
    nodes = build_layer(settings, "staging", DAY)
    assert {node.status for node in nodes} == {"success", "pass"}
    key = os.environ["TAGLOOM_IDENTITY_KEY"].encode()
    written = [path for path in settings.home.rglob("*") if path.is_file()]
    assert any(path.name == "manifest.json" for path in written)
    assert not [path for path in written if key in path.read_bytes()]


def test_the_layers_are_the_folders_of_the_project():
    folders = {path.name for path in (PROJECT / "dbt_project" / "models").iterdir() if path.is_dir()}
    assert folders == set(LAYERS)


def test_a_layer_that_does_not_exist_is_an_error(settings, project):
    with pytest.raises(TransformError, match="no layer"):
        build_layer(settings, "stagging", DAY)


def test_variables_given_before_are_restored(settings, project, monkeypatch):
    monkeypatch.setenv("DBT_TARGET_PATH", "somewhere")
    run_dbt(settings, ["parse"], DAY)
    assert os.environ["DBT_TARGET_PATH"] == "somewhere"
    assert (settings.dbt_target / "manifest.json").exists()
