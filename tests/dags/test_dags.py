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

def assets_of(dag):
    condition = dag.timetable.asset_condition
    return getattr(condition, "objects", [condition] if condition else [])

bag = DagBag(sys.argv[1])
dags = {
    dag_id: {
        "doc_md": dag.doc_md,
        "schedule": type(dag.timetable).__name__,
        "assets": sorted(asset.name for asset in assets_of(dag)),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "watchers": [
            watcher.trigger.serialize()
            for asset in assets_of(dag)
            for watcher in asset.watchers
        ],
        "file": dag.fileloc,
        "tasks": [
            {
                "name": task.task_id,
                "owner": task.owner,
                "retries": task.retries,
                "pool": task.pool,
                "is_mapped": task.is_mapped,
                "priority": task.priority_weight,
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

SOURCES = load_sources(PROJECT / "sources")


OF_THE_HOUSE = {
    *("build_tags", "update_tags", "send_alerts", "monitor_channels"),
    *("run_audiences", "steer_identity", "document_models"),
}
"""DAGs that are there whatever is declared."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def loaded(home: Path) -> dict:
    """What Airflow makes of dags/, found out in a process of its own."""
    return _load(home, PROJECT / "sources")


def _load(home: Path, declarations: Path) -> dict:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AIRFLOW", "TAGLOOM_", "DBT_"))]:
            patch.delenv(name)
        patch.setenv("TAGLOOM_HOME", str(home))
        patch.setenv("TAGLOOM_SOURCES", str(declarations))
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


def test_there_is_one_dag_per_source_and_what_makes_tags_and_sends_alerts(dags: dict[str, dict]) -> None:
    assert set(dags) == OF_THE_HOUSE | {f"ingest_{source.name}" for source in SOURCES}


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
            # A mail server that is down cannot be told by mail.
            assert task["mails"] == (dag_id != "send_alerts"), where
            # A refused delivery is the same a minute later.
            assert task["retries"] >= 1 or task["name"] == "refused", where
            # Tasks that open the warehouse, which one process at a time may do. Fetching must not wait for them.
            without = ("fetch", "refused", "send", "watch_sources", "members")
            assert (task["pool"] == POOL) == (task["name"] not in without), where


def test_ingests_follow_their_declaration(dags: dict[str, dict]) -> None:
    for source in SOURCES:
        dag = dags[f"ingest_{source.name}"]
        land = next(task for task in dag["tasks"] if task["name"] == "land")
        assert land["owner"] == source.owner
        assert land["outlets"] == [f"raw_{source.name}"]
        is_fetched = any(table.is_fetched for table in source.tables)
        assert land["upstream"] == (["fetch"] if is_fetched else [])
        if not source.is_on_arrival:
            assert dag["schedule"] == "CronDataIntervalTimetable"
            assert {task["name"] for task in dag["tasks"]} == ({"fetch", "land"} if is_fetched else {"land"})


def test_wrong_and_unusual_declarations(tmp_path: Path) -> None:
    """Every kind of schedule and reader, and a declaration that is wrong, next to one that is right."""
    declarations = tmp_path / "sources"
    declarations.mkdir()
    head = (
        "title: T\ntitle_zh: 题\nowner: o@example.com\nparty: first\nconsent_basis: contract\nlicence: own data\n"
        "build_waits_for_it: true\n"
    )
    table = "title: T, grain: snapshot, primary_key: [id], columns: [{name: id, type: text}], reader: "
    tables = {
        "files": ("@daily", ["{kind: files, format: csv, path: '{date}.csv'}"]),
        "asked": ("@hourly", ["{kind: database, connection: crm, table: a}", "{kind: api, connection: b, path: /c}"]),
        "pushed": ("on arrival", ["{kind: pushed}"]),
    }
    for name, (schedule, readers) in tables.items():
        listed = "".join(f"  - {{name: table_{number}, {table}{reader}}}\n" for number, reader in enumerate(readers))
        text = f"name: {name}\n{head}schedule: '{schedule}'\ntables:\n{listed}"
        (declarations / f"{name}.yml").write_text(text, encoding="utf-8")
    (declarations / "broken.yml").write_text(f"name: broken\n{head}colour: blue\ntables: []\n", encoding="utf-8")

    found = _load(tmp_path / "home", declarations)
    assert found["errors"] == {}
    dags = found["dags"]
    assert set(dags) == OF_THE_HOUSE | {f"ingest_{name}" for name in (*tables, "broken")}

    assert [task["name"] for task in dags["ingest_files"]["tasks"]] == ["land"]
    fetch, land = dags["ingest_asked"]["tasks"]
    assert (fetch["name"], fetch["is_mapped"], fetch["pool"]) == ("fetch", True, "default_pool")
    assert (land["upstream"], land["pool"]) == (["fetch"], POOL)

    pushed = dags["ingest_pushed"]
    assert (pushed["schedule"], pushed["assets"]) == ("AssetTriggeredTimetable", ["arrivals_pushed"])
    assert pushed["watchers"] == [["tagloom.orchestration.arrival_trigger.ArrivalTrigger", {"source_name": "pushed"}]]
    assert [task["name"] for task in pushed["tasks"]] == ["land", "refused"]
    assert pushed["tasks"][0]["priority"] > land["priority"], "somebody waits for the tags of an event"
    assert dags["update_tags"]["assets"] == ["raw_pushed", LAYERS[-1]]

    (task,) = dags["ingest_broken"]["tasks"]
    assert task["mails"]
    assert "broken.yml: colour: is not a known key" in dags["ingest_broken"]["doc_md"]
    assert "broken.yml: tables:" in dags["ingest_broken"]["doc_md"], "everything that is wrong, in one place"
    # Tags must not be built without a source that they wait for, only because its declaration is wrong for a while.
    assert dags["build_tags"]["assets"] == ["raw_asked", "raw_broken", "raw_files", "raw_pushed"]


def test_updates_follow_small_batches_and_builds(dags: dict[str, dict]) -> None:
    watched = [f"raw_{source.name}" for source in SOURCES if source.is_on_arrival]
    assert dags["update_tags"]["assets"] == ([*watched, LAYERS[-1]] if watched else [])
    (update,) = dags["update_tags"]["tasks"]
    assert update["outlets"] == ["published"]
    assert not {*update["outlets"]} & {*dags["update_tags"]["assets"]}, "an update that starts another one never ends"


def test_build_waits_for_the_sources_that_say_so(dags: dict[str, dict]) -> None:
    awaited = [f"raw_{source.name}" for source in SOURCES if source.build_waits_for_it]
    assert awaited
    assert dags["build_tags"]["assets"] == awaited


def test_layers_are_built_one_after_the_other(dags: dict[str, dict]) -> None:
    tasks = dags["build_tags"]["tasks"]
    order = ["landing", *LAYERS, "publish"]
    assert [task["name"] for task in tasks] == order
    for before, task in pairwise(tasks):
        assert before["name"] in task["upstream"], f"{task['name']} does not wait for {before['name']}"
    assert [task["outlets"] for task in tasks if task["name"] in LAYERS] == [[layer] for layer in LAYERS]
    assert [task["outlets"] for task in tasks if task["name"] == "publish"] == [["published"]]


def test_audiences_follow_a_publish_and_look_again_by_the_clock(dags: dict[str, dict]) -> None:
    dag = dags["run_audiences"]
    assert (dag["schedule"], dag["assets"]) == ("AssetOrTimeSchedule", ["published"])
    (publish,) = [task for task in dags["build_tags"]["tasks"] if task["name"] == "publish"]
    assert publish["outlets"] == ["published"]
    assert {task["name"]: task["upstream"] for task in dag["tasks"]} == {"members": [], "send": []}


def test_loading_opens_no_warehouse(loaded: dict, home: Path) -> None:
    assert loaded["dags"]
    assert not list(home.glob("*.duckdb*"))


@pytest.mark.parametrize("file", sorted((PROJECT / "dags").glob("*.py")), ids=lambda file: file.name)
def test_a_dag_file_is_a_page(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) < 95
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), "its docstring is the documentation"
