"""The scheduled service: its processes are stood in for by small programs, but for the last tests."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tagloom import service
from tagloom.service import ServiceError, down, prepare_metadata, status, up
from tagloom.settings import Settings, SettingsError, load_settings

SLEEP = "import time; time.sleep(600)"
SERVE = """
import http.server, json, sys

class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        part = lambda name: {"status": "healthy", f"latest_{name}_heartbeat": "2999-01-01T00:00:00+00:00"}
        body = {name: part(name) for name in ("metadatabase", "scheduler", "dag_processor", "triggerer")}
        self.send_response(200 if self.path in ("/health", "/api/v2/monitor/health") else 404)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Health).serve_forever()
"""
FORK = "import os, time; os.fork(); time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
DIE = "print('first'); print('cannot go on'); raise SystemExit(3)"

DAG = '''
"""One task, which tells what it found imported when it began."""
import sys
from datetime import datetime
from airflow.sdk import dag, task

@dag(schedule="@once", start_date=datetime(2020, 1, 1))
def look_around():
    @task(pool="warehouse")
    def look():
        found = "dbt.cli.main" in sys.modules
        begin = __import__("time").perf_counter()
        from dbt.cli.main import dbtRunner
        return {"found": found, "seconds": __import__("time").perf_counter() - begin}
    look()

look_around()
'''


DECLARATION = """
{name: web, title: Web, title_zh: Web, owner: web@example.com, party: first, consent_basis: consent, licence: own,
 tables: [{name: events, title: Events, reader: %s, grain: event, primary_key: [event_id],
           columns: [{name: event_id, type: text}]}]}
"""
ALL = [*service.PROCESSES, service.COLLECTOR]
KEY = "a-key-that-only-the-tests-use"


def _declare(folder: Path, reader: str) -> None:
    (folder / "web.yml").write_text(DECLARATION % reader, encoding="utf-8")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in list(os.environ):
        if name.startswith(("AIRFLOW", "TAGLOOM_", "DBT_")):
            del os.environ[name]
    os.environ["TAGLOOM_HOME"] = str(tmp_path)
    os.environ["TAGLOOM_PORT"] = str(_free_port())
    os.environ["TAGLOOM_IDENTITY_KEY"] = os.urandom(32).hex()
    os.environ["TAGLOOM_SOURCES"] = str(tmp_path / "sources")
    (tmp_path / "sources").mkdir()
    _declare(tmp_path / "sources", "{kind: pushed}")
    os.environ["TAGLOOM_COLLECTOR_KEYS"] = f"web:{KEY}"
    os.environ["TAGLOOM_COLLECTOR_PORT"] = str(_free_port())
    settings = load_settings()
    yield settings
    down(settings, report=lambda line: None)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What stands in for the processes; a test may put another program in."""
    programs = {"api-server": SERVE, "scheduler": SLEEP, "dag-processor": SLEEP, "triggerer": SLEEP, "collector": SERVE}
    monkeypatch.setattr(service, "_command", lambda name, port: [sys.executable, "-c", programs[name], str(port)])
    monkeypatch.setattr(service, "prepare_metadata", lambda settings, report: None)
    monkeypatch.setattr(service, "STOP_SECONDS", 2)
    return programs


def _running(settings: Settings) -> dict[str, int]:
    leaders = {name: service._leader(settings, name) for name in ALL}
    return {name: leader.pid for name, leader in leaders.items() if leader}


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.usefixtures("programs")
class TestStandIns:
    def test_up_says_where_the_service_is_and_down_ends_it(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        started = up(settings)
        printed = capsys.readouterr().out
        events = f"http://localhost:{os.environ['TAGLOOM_COLLECTOR_PORT']}/v1/events"
        for part in (f"http://localhost:{os.environ['TAGLOOM_PORT']}", "admin", started.password, events, "make down"):
            assert part in printed
        pids = _running(settings)
        assert set(pids) == set(ALL)
        holders = [name for name, pid in pids.items() if "TAGLOOM_COLLECTOR_KEYS" in psutil.Process(pid).environ()]
        assert holders == ["collector"]
        assert status(settings)
        down(settings)
        assert not [pid for pid in pids.values() if _alive(pid)]
        assert not status(settings)

    def test_up_again_leaves_it_alone(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        first = up(settings)
        pids = _running(settings)
        capsys.readouterr()
        assert up(settings) == first
        assert "is running already" in capsys.readouterr().out
        assert _running(settings) == pids

    def test_up_starts_only_what_was_killed(self, settings: Settings) -> None:
        up(settings)
        before = _running(settings)
        os.kill(before["scheduler"], signal.SIGKILL)
        assert not status(settings)
        up(settings)
        after = _running(settings)
        assert after.pop("scheduler") != before.pop("scheduler")
        assert after == before

    def test_down_ends_what_a_killed_process_left_behind(self, settings: Settings, programs: dict[str, str]) -> None:
        programs["scheduler"] = FORK
        up(settings)
        family = service._family(settings, "scheduler")
        while len(family) < 2:
            time.sleep(0.05)
            family = service._family(settings, "scheduler")
        killed = _running(settings)["scheduler"]
        os.kill(killed, signal.SIGKILL)
        # The signal is sent, not yet delivered.
        deadline = time.monotonic() + 10
        while _alive(killed) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len([process for process in family if _alive(process.pid)]) == 1
        down(settings)
        assert not [process for process in family if _alive(process.pid)]

    def test_down_kills_what_does_not_listen(self, settings: Settings, programs: dict[str, str]) -> None:
        programs["triggerer"] = DEAF
        up(settings)
        pid = _running(settings)["triggerer"]
        down(settings)
        assert not _alive(pid)

    def test_down_twice_and_without_up_says_so(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        down(settings)
        up(settings)
        down(settings)
        down(settings)
        assert capsys.readouterr().out.count("The service is not running.") == 2

    def test_a_stranger_with_the_same_number_is_never_ended(self, settings: Settings) -> None:
        up(settings)
        record = settings.home / "run" / "scheduler.json"
        content = json.loads(record.read_text(encoding="utf-8"))
        down(settings)
        with subprocess.Popen([sys.executable, "-c", FORK], start_new_session=True) as stranger:
            try:
                for change in (
                    {"pid": stranger.pid, "started": content["started"] - 3600},
                    {"pid": stranger.pid, "started": psutil.Process(stranger.pid).create_time(), "boot": "another"},
                ):
                    record.write_text(json.dumps(content | change), encoding="utf-8")
                    assert "scheduler" not in _running(settings)
                    down(settings)
                    assert stranger.poll() is None
            finally:
                os.killpg(stranger.pid, signal.SIGKILL)

    def test_a_process_that_ends_while_starting_is_shown_and_the_others_are_stopped(
        self, settings: Settings, programs: dict[str, str]
    ) -> None:
        programs["dag-processor"] = DIE
        with pytest.raises(ServiceError, match=r"The dag-processor ended while starting(?s:.)*cannot go on"):
            up(settings)
        assert _running(settings) == {}

    def test_a_part_that_does_not_get_healthy_is_named(
        self, settings: Settings, programs: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        programs["api-server"] = SERVE.replace("2999", "1999")
        monkeypatch.setattr(service, "START_SECONDS", 1)
        with pytest.raises(ServiceError, match="Not healthy after 1 s: scheduler, dag-processor, triggerer"):
            up(settings)
        assert _running(settings) == {}

    @pytest.mark.parametrize("variable", ["TAGLOOM_PORT", "TAGLOOM_COLLECTOR_PORT"])
    def test_a_taken_port_is_one_sentence_and_nothing_is_started(self, variable: str, settings: Settings) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", int(os.environ[variable])))
            listener.listen()
            with pytest.raises(ServiceError, match=rf"Port {os.environ[variable]} .* set {variable} "):
                up(settings)
        assert _running(settings) == {}

    def test_without_an_identity_key_nothing_is_started(self, settings: Settings) -> None:
        del os.environ["TAGLOOM_IDENTITY_KEY"]
        with pytest.raises(SettingsError, match="TAGLOOM_IDENTITY_KEY is not set"):
            up(settings)
        assert _running(settings) == {}

    def test_the_collector_runs_only_when_a_source_takes_events(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _declare(settings.sources, "{kind: files, format: jsonl, path: '*.jsonl'}")
        del os.environ["TAGLOOM_COLLECTOR_KEYS"]
        assert up(settings).collector is None
        assert set(_running(settings)) == set(service.PROCESSES)
        assert status(settings)
        assert "Collector" not in capsys.readouterr().out

        _declare(settings.sources, "{kind: pushed}")
        assert not status(settings), "one is missing now"
        os.environ["TAGLOOM_COLLECTOR_KEYS"] = f"web:{KEY}"
        before = _running(settings)
        up(settings)
        after = _running(settings)
        assert after.pop("collector")
        assert after == before

        # A declaration that is broken by now must not keep anybody from seeing and stopping what runs.
        (settings.sources / "web.yml").write_text("name: [", encoding="utf-8")
        assert status(settings)
        down(settings)
        assert _running(settings) == {}

    def test_without_keys_for_the_collector_nothing_is_started(self, settings: Settings) -> None:
        del os.environ["TAGLOOM_COLLECTOR_KEYS"]
        with pytest.raises(SettingsError, match=r"TAGLOOM_COLLECTOR_KEYS is not set.*openssl rand"):
            up(settings)
        assert _running(settings) == {}

    def test_a_collector_that_is_not_healthy_is_named(
        self, settings: Settings, programs: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        programs["collector"] = SERVE.replace('"/health", ', '"/healthy", ')
        monkeypatch.setattr(service, "START_SECONDS", 1)
        with pytest.raises(ServiceError, match="Not healthy after 1 s: collector"):
            up(settings)
        assert _running(settings) == {}

    def test_two_at_a_time_do_not_tread_on_each_other(self, settings: Settings) -> None:
        with service._only_one_at_a_time(settings), pytest.raises(ServiceError, match="is at work; wait"):
            up(settings)

    def test_the_password_is_kept_from_others_and_can_be_chosen(self, settings: Settings) -> None:
        generated = up(settings).password
        file = settings.airflow_home / "simple_auth_manager_passwords.json.generated"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert len(generated) >= 16
        assert up(settings).password == generated
        os.environ["TAGLOOM_ADMIN_PASSWORD"] = "chosen"
        assert up(settings).password == "chosen"
        assert json.loads(file.read_text(encoding="utf-8")) == {"admin": "chosen"}

    def test_a_large_log_is_set_aside(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(service, "LOG_BYTES", 10)
        log = settings.home / "logs" / "scheduler.log"
        log.parent.mkdir(parents=True)
        log.write_text("more than ten bytes", encoding="utf-8")
        up(settings)
        assert log.with_name("scheduler.log.1").read_text(encoding="utf-8") == "more than ten bytes"
        assert log.read_text(encoding="utf-8") == ""


def test_a_database_that_cannot_be_reached_is_explained(settings: Settings) -> None:
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = "sqlite:////proc/none/airflow.db"
    with pytest.raises(ServiceError, match=r"could not prepare its metadata database(?s:.)*unable to open"):
        prepare_metadata(settings)


def _call(path: str, token: str | None = None, body: dict[str, str] | None = None) -> tuple[int, dict]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{os.environ['TAGLOOM_PORT']}{path}",
        data=json.dumps(body).encode() if body else None,
        headers={"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {}),
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, {}


@pytest.mark.slow
def test_airflow_itself(settings: Settings, tmp_path: Path) -> None:
    """The real processes: they run a task, take an event, let nobody in without a password, leave nothing behind."""
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "look_around.py").write_text(DAG, encoding="utf-8")
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(dags)
    started = up(settings)

    begin = time.monotonic()
    prepare_metadata(settings)
    assert time.monotonic() - begin < 1, "a prepared database costs no time"

    assert _call("/api/v2/dags")[0] == 401
    assert _call("/auth/token", body={"username": "admin", "password": "wrong"})[0] == 401
    state, answer = _call("/auth/token", body={"username": started.user, "password": started.password})
    assert state == 201
    token = answer["access_token"]
    assert _call("/api/v2/dags", token)[0] == 200
    assert _call("/api/v2/pools/warehouse", token)[1]["slots"] == 1

    headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
    request = urllib.request.Request(started.collector or "", b'[{"event_id": "1"}]', headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 202

    family = [process for name in ALL for process in service._family(settings, name)]
    listening = {
        address.laddr.ip for process in family for address in process.net_connections("inet") if not address.raddr
    }
    assert listening == {"127.0.0.1"}

    result = _result_of_the_run(token)
    assert result["found"], "the task should find dbt imported by the scheduler"
    assert result["seconds"] < 0.5

    down(settings)
    assert not [process for process in family if _alive(process.pid)]
    (sealed,) = settings.landing.glob("web/events/*/*")
    assert sealed.suffix == ".jsonl"
    with pytest.raises(urllib.error.URLError, match="refused"):
        _call("/api/v2/monitor/health")


def _result_of_the_run(token: str) -> dict:
    """Wait until the only run of the DAG has ended and return what its task gave back."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        runs = _call("/api/v2/dags/look_around/dagRuns", token)[1].get("dag_runs", [])
        if runs and runs[0]["state"] in ("success", "failed"):
            assert runs[0]["state"] == "success"
            task = f"/api/v2/dags/look_around/dagRuns/{runs[0]['dag_run_id']}/taskInstances/look"
            return _call(f"{task}/xcomEntries/return_value?deserialize=true", token)[1]["value"]
        time.sleep(1)
    raise AssertionError("the DAG did not run within two minutes")
