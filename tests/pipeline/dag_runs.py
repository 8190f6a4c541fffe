"""Real Airflow DAG runs for the tests, in processes of their own, so that nothing of Airflow leaks into pytest.

`Server` starts one process that imports Airflow, dbt and Soda once. For every chain of steps it forks a child with its
own TAGLOOM_HOME, as Airflow's scheduler forks its tasks. A child may be killed at any moment; what it has done until
then is in its report.

A step is a dictionary:
    {"dag": dag_id, "conf": {...}}      run a DAG in the foreground
    {..., "only": [task, ...]}          these tasks of it alone; the others are marked as done without being run
    {"resume": dag_id}                  clear what is unfinished in the DAG's newest run, and run that
    {"copy": [from, to]}                copy a file, such as a delivery
    {"remove": file}                    as one that was not delivered
    {"call": "module:function", "with": {...}}      anything else; what it returns is in the report
    {"variables": {...}}                environment variables for the steps that follow
    {"unit_tests": as_of_date}          dbt's unit tests on what is built
Its `part`, any word, comes back in the report, with the moments (seconds of the clock) when the step began and ended.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

PROJECT = Path(__file__).resolve().parents[2]

KEY = "a-key-that-only-the-tests-use-0123456789"

SECONDS = 500
"""How long a chain of steps may take: far more than it needs on a busy machine, less than pytest's own limit."""


@dataclass
class Chain:
    """Steps that run, or ran, in a child process."""

    home: Path
    name: str
    process: psutil.Process | None
    """None when it had ended before anybody could look. It knows when it began, so that nobody to whom the system has
    given its number since is taken for it and killed: not even a thread of pytest itself."""

    @property
    def log(self) -> Path:
        """All that Airflow, dbt and Tagloom printed."""
        return self.home.parent / f"{self.name}.log"

    @property
    def report(self) -> Path:
        """One JSON line per finished step."""
        return self.home.parent / f"{self.name}.jsonl"

    def results(self) -> list[dict]:
        """What the steps gave that are done by now."""
        lines = self.report.read_text(encoding="utf-8").splitlines() if self.report.exists() else []
        return [json.loads(line) for line in lines]

    def wait(self, seconds: float = SECONDS) -> list[dict]:
        """Wait for the end and return the results of all steps. Raises AssertionError when the process broke down."""
        _wait_until(lambda: not self._runs(), self, "end", seconds)
        results = self.results()
        assert {"done": True} in results, f"{self.name} broke down:\n{self.end_of_log()}"
        return results[:-1]

    def kill_when(self, happens: Callable[[Chain], bool], after: float = 0.0) -> None:
        """Wait until something happens, `after` seconds more, then kill -9. It must be in the middle of its steps."""
        _wait_until(lambda: happens(self) or not self._runs(), self, "come to the moment of its end")
        time.sleep(after)
        assert self._runs(), f"{self.name} ended before it could be killed:\n{self.end_of_log()}"
        self.process.kill()
        _wait_until(lambda: not self._runs(), self, "die")
        assert {"done": True} not in self.results(), f"{self.name} was done before it was killed"

    def end_of_log(self) -> str:
        """The last lines of the log, for messages of failing tests."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-80:])

    def end(self) -> None:
        """Kill it when it still runs."""
        if self._runs():
            with suppress(psutil.NoSuchProcess):
                self.process.kill()

    def _runs(self) -> bool:
        return self.process is not None and self.process.is_running()


def has_text(file: Path, *texts: str) -> bool:
    """Whether a file has these texts, in this order."""
    content = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    position = 0
    for text in texts:
        position = content.find(text, position)
        if position < 0:
            return False
    return True


def _wait_until(condition: Callable[[], bool], chain: Chain, what: str, seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{chain.name} did not {what} within {seconds} s:\n{chain.end_of_log()}")
        time.sleep(0.02)


class Server:
    """The process that forks; `close` ends it and every child."""

    def __init__(self, folder: Path, project: Path = PROJECT) -> None:
        """Start it. Logs and reports go to `folder`; `project` is the checkout, or a copy, whose code and DAGs run."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("TAGLOOM_", "AIRFLOW", "DBT_"))
        }
        variables = {"TAGLOOM_HOME": str(folder / "server"), "TAGLOOM_IDENTITY_KEY": KEY, "TAGLOOM_THREADS": "2"}
        path = os.pathsep.join([str(project / "plugins"), str(project)])
        self._chains: list[Chain] = []
        self._lock = threading.Lock()
        self._log = (folder / "server.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, str(project / Path(__file__).relative_to(PROJECT))],
            env=kept | variables | {"PYTHONPATH": path},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def start(self, home: Path, name: str, steps: list[dict], **variables: str) -> Chain:
        """Begin a chain of steps in a process of its own."""
        command = {"home": str(home), "name": name, "steps": steps, "variables": variables}
        with self._lock:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        assert answer, f"the server of the DAG runs ended:\n{Path(self._log.name).read_text()[-4000:]}"
        try:
            process = psutil.Process(int(answer))
        except psutil.NoSuchProcess:
            process = None
        chain = Chain(home, name, process)
        self._chains.append(chain)
        return chain

    def close(self) -> None:
        """Kill what still runs, then let the server go."""
        for chain in self._chains:
            chain.end()
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._log.close()


def serve() -> None:
    """Fork a child for every line of stdin and print its process id."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _use_environment()
    _warm_up()
    # Children that end are gone at once; nobody has to wait for them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        command = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _child(**command)
        print(pid, file=answers, flush=True)


def _use_environment(**variables: str) -> None:
    """Set Airflow's environment anew from the settings."""
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "DBT_"))]:
        del os.environ[name]
    os.environ.update(variables)
    from tagloom.environment import airflow_environment
    from tagloom.settings import load_settings

    os.environ.update(airflow_environment(load_settings()))


def _warm_up() -> None:
    """Import what every run needs and build the API that tasks talk to: seconds that each child then saves."""
    for module in (
        "dbt.adapters.duckdb",
        "dbt.cli.main",
        "soda_core.contracts",
        "soda_duckdb.common.data_sources.duckdb_data_source",
        "tagloom.orchestration.build",
        "tagloom.orchestration.ingest",
    ):
        importlib.import_module(module)
    importlib.import_module("tests.parsed_once").share_parsing()
    from airflow.sdk.execution_time.supervisor import in_process_api_server

    _ = in_process_api_server().app
    # What is imported lives as long as the children; none of them has to look through it for garbage.
    gc.freeze()


def _child(home: str, name: str, steps: list[dict], variables: dict[str, str]) -> None:
    """Do the steps and end the process; the report says how far it came."""
    try:
        folder = Path(home).parent
        log = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        for setting in [setting for setting in os.environ if setting.startswith("TAGLOOM_")]:
            if setting not in ("TAGLOOM_IDENTITY_KEY", "TAGLOOM_THREADS"):
                del os.environ[setting]
        _use_environment(TAGLOOM_HOME=home, **variables)
        from airflow import settings

        settings.configure_vars()
        settings.configure_orm()
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as report:
            for step in steps:
                began, started = time.time(), time.monotonic()
                result = _do(step)
                result["seconds"] = round(time.monotonic() - started, 2)
                if "part" in step:
                    result |= {"part": step["part"], "began": began, "ended": time.time()}
                print(json.dumps(result), file=report, flush=True)
            print(json.dumps({"done": True}), file=report, flush=True)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _do(step: dict) -> dict:
    if "copy" in step:
        shutil.copy(*step["copy"])
        return {}
    if "remove" in step:
        Path(step["remove"]).unlink()
        return {}
    if "call" in step:
        module, _, function = step["call"].partition(":")
        return {"returned": getattr(importlib.import_module(module), function)(**step.get("with", {}))}
    if "variables" in step:
        _use_environment(**step["variables"])
        return {}
    if "unit_tests" in step:
        return _unit_tests(step["unit_tests"])
    from tagloom.orchestration import foreground_run
    from tagloom.publish import current_version
    from tagloom.settings import load_settings

    dag_id = step.get("dag") or step["resume"]
    if "only" in step:
        state = _run_only(dag_id, step["conf"], step["only"])
    else:
        state = foreground_run(dag_id, step["conf"]) if "dag" in step else _resume(dag_id)
    settings = load_settings()
    version = current_version(settings)
    return {
        "dag": dag_id,
        "state": state,
        "version": version.name if version else None,
        "waiting_mails": _waiting_mails(settings.alert_book),
    }


def _run_only(dag_id: str, conf: dict, task_ids: list[str]) -> str:
    from airflow.dag_processing.dagbag import DagBag

    dag = DagBag(PROJECT / "dags").get_dag(dag_id)
    for task in dag.tasks:
        task.retries = 0
    # As in foreground_run: Airflow 3.3.2 cannot run such a DAG without a scheduler.
    dag.deadline = None
    others = "|".join(re.escape(task_id) for task_id in dag.task_ids if task_id not in task_ids)
    return str(dag.test(run_conf=conf, mark_success_pattern=others).state)


def _waiting_mails(alert_book: Path) -> int:
    from tagloom.alerting.book import open_book, waiting

    with open_book(alert_book) as book:
        return len(waiting(book, datetime.now(UTC)))


def _unit_tests(as_of_date: str) -> dict:
    from datetime import date

    from tagloom.settings import load_settings
    from tagloom.transform import TransformError, run_dbt

    try:
        nodes = run_dbt(load_settings(), ["test", "--select", "test_type:unit"], date.fromisoformat(as_of_date))
    except TransformError as error:
        return {"problem": str(error), "passed": []}
    return {"problem": "", "passed": [node.name for node in nodes if node.status == "pass"]}


def _resume(dag_id: str) -> str:
    """Do what people do after a task was killed: Airflow has marked it as failed, they clear it and it runs again."""
    from airflow import settings
    from airflow.dag_processing.dagbag import DagBag
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import clear_task_instances
    from airflow.sdk.definitions.dag import _run_task
    from sqlalchemy import select

    dag = DagBag(PROJECT / "dags").get_dag(dag_id)
    session = settings.Session()
    run = session.scalars(select(DagRun).where(DagRun.dag_id == dag_id).order_by(DagRun.id.desc()).limit(1)).one()
    unfinished = [instance for instance in run.get_task_instances(session=session) if instance.state != "success"]
    for instance in unfinished:
        if instance.state in ("queued", "running"):
            instance.state = "failed"
    clear_task_instances(unfinished, session, dag_run_state="running")
    session.commit()
    for task in dag.topological_sort():
        session.expire_all()
        instance = run.get_task_instance(task.task_id, session=session)
        if instance.state == "success":
            continue
        instance.try_number += 1
        instance.state = "scheduled"
        session.commit()
        _run_task(ti=instance, task=task)
        session.expire_all()
        if run.get_task_instance(task.task_id, session=session).state != "success":
            return "failed"
    return "success"


if __name__ == "__main__":
    serve()
