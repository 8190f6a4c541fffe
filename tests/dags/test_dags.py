"""Every DAG file can be loaded, and every DAG keeps the rules of the house."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from tagloom.environment import airflow_environment
from tagloom.service import POOL
from tagloom.settings import PROJECT, Settings
from tagloom.sources import load_sources
from tagloom.transform import LAYERS

DESCRIBE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import AssetAll

bag = DagBag(sys.argv[1])
dags = {
    dag_id: {
        "doc_md": dag.doc_md,
        "schedule": type(dag.timetable).__name__,
        "assets": sorted(asset.name for asset in (dag.timetable.asset_condition or AssetAll()).objects),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "file": dag.fileloc,
        "tasks": [
            {
                "name": task.task_id,
                "owner": task.owner,
                "retries": task.retries,
                "pool": task.pool,
                "upstream": sorted(task.upstream_task_ids),
                "outlets": [outlet.name for outlet in task.outlets],
                "mails": bool(task.on_failure_callback),
            }
            for task in dag.topological_sort()
        ],
    }
    for dag_id, dag in bag.dags.items()
}
print("RESULT" + json.dumps({"errors": bag.import_errors, "dags": dags}))
"""

MAY_IMPORT_AIRFLOW = {
    "plugins/tagloom/orchestration.py",
    "plugins/tagloom_plugin.py",
    "plugins/airflow_local_settings.py",
}

SOURCES = load_sources(PROJECT / "sources")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def loaded(home: Path) -> dict:
    """What Airflow makes of dags/, found out in a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AIRFLOW", "TAGLOOM_", "DBT_"))]:
            patch.delenv(name)
        patch.setenv("TAGLOOM_HOME", str(home))
        outcome = subprocess.run(
            [sys.executable, "-c", DESCRIBE, str(PROJECT / "dags")],
            env=os.environ | airflow_environment(_settings()),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    return json.loads(outcome.stdout.partition("RESULT")[2])


def _settings() -> Settings:
    from tagloom.settings import load_settings

    settings = load_settings()
    settings.make_folders()
    return settings


@pytest.fixture(scope="module")
def dags(loaded: dict) -> dict[str, dict]:
    return loaded["dags"]


def test_every_file_can_be_loaded(loaded: dict) -> None:
    assert loaded["errors"] == {}


def test_there_is_one_dag_per_source_and_one_that_builds(dags: dict[str, dict]) -> None:
    assert set(dags) == {"build_tags", *(f"ingest_{source.name}" for source in SOURCES)}


def test_every_dag_says_what_it_is_for(dags: dict[str, dict]) -> None:
    for dag_id, dag in dags.items():
        text = (dag["doc_md"] or "").strip()
        assert text.startswith("#### Purpose"), dag_id
        for heading in ("#### By hand", "#### When it fails"):
            assert heading in text, f"{dag_id} has no {heading!r}"


def test_no_dag_runs_twice_at_once_or_catches_up_by_itself(dags: dict[str, dict]) -> None:
    for dag_id, dag in dags.items():
        assert (dag["max_active_runs"], dag["catchup"]) == (1, False), dag_id


def test_every_task_has_an_owner_retries_a_mail_and_a_turn(dags: dict[str, dict]) -> None:
    for dag_id, dag in dags.items():
        assert dag["tasks"], dag_id
        for task in dag["tasks"]:
            where = f"{dag_id}, {task['name']}"
            assert task["owner"] not in ("", "airflow"), where
            assert task["retries"] >= 1, where
            assert task["mails"], where
            # Every task of both kinds opens the warehouse, which one process at a time may do.
            assert task["pool"] == POOL, where


def test_ingests_follow_their_declaration(dags: dict[str, dict]) -> None:
    for source in SOURCES:
        dag = dags[f"ingest_{source.name}"]
        assert dag["schedule"] == "CronDataIntervalTimetable"
        (task,) = dag["tasks"]
        assert task["owner"] == source.owner
        assert task["outlets"] == [f"raw_{source.name}"]


def test_build_waits_for_the_sources_that_say_so(dags: dict[str, dict]) -> None:
    awaited = [f"raw_{source.name}" for source in SOURCES if source.build_waits_for_it]
    assert awaited
    assert dags["build_tags"]["assets"] == awaited


def test_layers_are_built_one_after_the_other(dags: dict[str, dict]) -> None:
    tasks = dags["build_tags"]["tasks"]
    order = ["landing", *LAYERS, "publish", "document"]
    assert [task["name"] for task in tasks] == order
    for before, task in pairwise(tasks):
        assert before["name"] in task["upstream"], f"{task['name']} does not wait for {before['name']}"
    assert [task["outlets"] for task in tasks if task["name"] in LAYERS] == [[layer] for layer in LAYERS]


def test_loading_opens_no_warehouse(loaded: dict, home: Path) -> None:
    assert loaded["dags"]
    assert not list(home.glob("*.duckdb*"))


@pytest.mark.parametrize("file", sorted((PROJECT / "dags").glob("*.py")), ids=lambda file: file.name)
def test_a_dag_file_is_a_page(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) < 95
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), "its docstring is the documentation"


def test_only_three_modules_import_airflow() -> None:
    files = [*(PROJECT / "plugins").rglob("*.py"), *(PROJECT / "sample_data").rglob("*.py")]
    importing = {file.relative_to(PROJECT).as_posix() for file in files if _imports_airflow(file)}
    assert "plugins/tagloom/orchestration.py" in importing, "this test finds nothing"
    assert importing <= MAY_IMPORT_AIRFLOW


def _imports_airflow(file: Path) -> bool:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import) and any(name.name.split(".")[0] == "airflow" for name in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "airflow":
            return True
    return False
