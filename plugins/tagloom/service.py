"""Start, stop and watch the scheduled service on one machine: Airflow's four processes, reachable from here only.

When a source has a table that events are pushed to, the collector is the fifth.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from tagloom.collector.settings import collector_port, load_collector_settings, pushed_tables
from tagloom.environment import airflow_environment, base_url, service_port
from tagloom.settings import Settings, identity_key
from tagloom.sources import SourceError, load_sources
from tagloom.warehouse import POOL

HOST = "127.0.0.1"
"""Nothing here listens on any other address, unless TAGLOOM_COLLECTOR_HOST sends the collector elsewhere."""

USER = "admin"

PORTAL_PATH = "/tagloom/"
"""Where the portal is below the address of Airflow."""

START_SECONDS = 240
"""How long the service may take until it is healthy: about 20 s on a quiet machine, minutes on a busy one."""

STOP_SECONDS = 20
"""How long processes may take to end by themselves before they are killed."""

REPORT_SECONDS = 10
"""How often the wait for the start is reported even when nothing has changed."""

LOG_BYTES = 20_000_000
"""A log that is larger than this when the service starts is set aside as <name>.log.1."""

CLOCK_SECONDS = 2.0
"""How far two readings of one process's start time may differ."""

PROCESSES: dict[str, tuple[str, ...]] = {
    # The scheduler and the triggerer would otherwise serve logs on all interfaces; the API server reads the files.
    "api-server": ("api-server", "--host", HOST),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
"""Name of each process of Airflow -> its `airflow` command; the API server's port is added when it starts."""

COLLECTOR = "collector"
"""Name of the process that takes pushed events."""

_PREPARE = f"""
from airflow.cli.cli_parser import get_parser

for command in (
    ["db", "migrate"],
    ["pools", "set", "{POOL}", "1", "Tasks that write to the warehouse file: one at a time"],
):
    arguments = get_parser().parse_args(command)
    arguments.func(arguments)
"""
"""Two commands in one process: importing Airflow takes longer than either of them."""


class ServiceError(RuntimeError):
    """The service could not be started or stopped; the message says why and what to do."""


@dataclass(frozen=True)
class Service:
    """Where the running service is and how to get in."""

    url: str
    user: str
    password: str
    logs: Path
    collector: str | None
    """Where systems send their events; None when no source takes any."""

    def __str__(self) -> str:
        collector = f"Collector    {self.collector}\n" if self.collector else ""
        return (
            f"Portal       {self.url}{PORTAL_PATH}\n"
            f"Airflow      {self.url}\n"
            f"user         {self.user}\n"
            f"password     {self.password}\n"
            f"{collector}"
            f"logs         {self.logs}\n"
            "stop it with make down"
        )


@dataclass(frozen=True)
class _Started:
    """What is remembered of a process that was started, enough never to mistake another one for it."""

    pid: int
    started: float
    """Its start time, seconds since 1970."""
    boot: str
    """The start of the machine it ran on: after a restart of the machine, numbers mean other processes."""
    port: int
    """The port that it listens on: the UI's, but for the collector."""


def up(settings: Settings, report: Callable[[str], None] = print) -> Service:
    """Start what does not run yet, wait until everything is healthy, and report where the service is.

    Safe to call again: processes that run are left alone and missing ones are started. `report` gets a line at a time.
    Raises SettingsError for a wrong setting, SourceError for a wrong declaration, and ServiceError when a port is
    taken, when a process ends while starting (with the end of its log) or when the service is not healthy after
    START_SECONDS. After a failure nothing that this call started is left running.
    """
    identity_key()
    names = _names(settings)
    settings.make_folders()
    with _only_one_at_a_time(settings):
        running = {name for name in names if _leader(settings, name)}
        missing = [name for name in names if name not in running]
        ports = _ports(settings, names)
        if not missing:
            report("The service is running already.")
        for name, variable in (("api-server", "TAGLOOM_PORT"), (COLLECTOR, "TAGLOOM_COLLECTOR_PORT")):
            if name in missing:
                _stop(settings, [name])
                _require_free(ports[name], variable)
        environment = os.environ | airflow_environment(settings)
        if missing:
            prepare_metadata(settings, report)
        collector = f"http://localhost:{ports[COLLECTOR]}/v1/events" if COLLECTOR in names else None
        service = Service(base_url(settings), USER, admin_password(settings), _logs(settings), collector)
        try:
            if missing:
                _stop(settings, missing)
                report(f"Starting {', '.join(missing)} ...")
            for name in missing:
                _start(settings, name, ports[name], _environment_of(name, environment))
            _wait_until_healthy(settings, names, report)
        except BaseException:
            _stop(settings, missing)
            raise
    report(str(service))
    return service


def down(settings: Settings, report: Callable[[str], None] = print) -> None:
    """Stop the service and everything its processes started, also what is left when some of them were killed.

    Running tasks are ended; each is safe to be run again, and Airflow does so at the next start when it has retries.
    Raises ServiceError when a process survives even SIGKILL.
    """
    if not _records(settings).is_dir():
        report("The service is not running.")
        return
    with _only_one_at_a_time(settings):
        stopped = _stop(settings, [*PROCESSES, COLLECTOR])
    report(f"Stopped {', '.join(stopped)}." if stopped else "The service is not running.")


def status(settings: Settings, report: Callable[[str], None] = print) -> bool:
    """Report the state of each process and the address of the UI; return whether all are running and healthy."""
    try:
        names = list(PROCESSES) + [COLLECTOR] * _takes_events(settings)
    except SourceError:
        # What runs can be told all the same.
        names = list(PROCESSES) + [COLLECTOR] * (_leader(settings, COLLECTOR) is not None)
    for name in names:
        process = _leader(settings, name)
        report(f"{name:14} {f'running, process {process.pid}' if process else 'not running'}")
    port = _running_port(settings, "api-server")
    unhealthy = _unhealthy(settings, names)
    if port:
        report(f"{'health':14} {'not healthy: ' + ', '.join(unhealthy) if unhealthy else 'healthy'}")
        report(f"{'address':14} {base_url(settings)}")
    report(f"{'logs':14} {_logs(settings)}")
    return not unhealthy


def prepare_metadata(settings: Settings, report: Callable[[str], None] = print) -> None:
    """Bring Airflow's metadata database to the installed version and create the pool `warehouse` with one slot.

    Takes no time when this version of Airflow has prepared this database before. Raises ServiceError with the end of
    Airflow's output when the database cannot be migrated.
    """
    settings.make_folders()
    environment = os.environ | airflow_environment(settings)
    database = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    stamp = settings.airflow_home / "prepared.json"
    wanted = {"airflow": version("apache-airflow-core"), "database": hashlib.sha256(database.encode()).hexdigest()}
    if _read_json(stamp) == wanted and _sqlite_exists(database):
        return
    report("Preparing Airflow's metadata database ...")
    outcome = subprocess.run(
        [sys.executable, "-c", _PREPARE],
        env=environment,
        cwd=settings.airflow_home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if outcome.returncode:
        raise ServiceError(
            "Airflow could not prepare its metadata database (AIRFLOW__DATABASE__SQL_ALCHEMY_CONN). "
            f"The end of its output:\n{_last_lines(outcome.stdout)}"
        )
    _write_json(stamp, wanted)


def _names(settings: Settings) -> list[str]:
    """Return the processes that the service is made of; raises SettingsError when the collector could not start."""
    if not _takes_events(settings):
        return list(PROCESSES)
    load_collector_settings(load_sources(settings.sources))
    return [*PROCESSES, COLLECTOR]


def _takes_events(settings: Settings) -> bool:
    return bool(pushed_tables(load_sources(settings.sources)))


def _environment_of(name: str, environment: dict[str, str]) -> dict[str, str]:
    """Leave the senders' keys out of what Airflow and its tasks can see."""
    return {key: value for key, value in environment.items() if name == COLLECTOR or key != "TAGLOOM_COLLECTOR_KEYS"}


def _ports(settings: Settings, names: list[str]) -> dict[str, int]:
    """Return the port of each process: the one it listens on already, else the one that the settings give it."""
    ui = _running_port(settings, "api-server") or service_port()
    ports = dict.fromkeys(names, ui)
    if COLLECTOR in ports:
        ports[COLLECTOR] = _running_port(settings, COLLECTOR) or collector_port()
    return ports


def _sqlite_exists(database: str) -> bool:
    scheme, _, path = database.partition(":///")
    return not scheme.startswith("sqlite") or Path(path).exists()


def _records(settings: Settings) -> Path:
    return settings.home / "run"


def _logs(settings: Settings) -> Path:
    return settings.home / "logs"


@contextmanager
def _only_one_at_a_time(settings: Settings) -> Iterator[None]:
    """Hold the lock of this home: two `up`, or `up` and `down`, would tread on each other."""
    _records(settings).mkdir(parents=True, exist_ok=True)
    with (_records(settings) / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServiceError("Another `make up` or `make down` is at work; wait until it has ended.") from error
        yield


def _start(settings: Settings, name: str, port: int, environment: dict[str, str]) -> None:
    """Start one process as the leader of a session of its own, so that all it starts can be found again."""
    _logs(settings).mkdir(parents=True, exist_ok=True)
    log = _log(settings, name)
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
    with log.open("ab") as output:
        process = subprocess.Popen(
            _command(name, port),
            env=environment,
            cwd=settings.airflow_home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    record = _Started(process.pid, psutil.Process(process.pid).create_time(), _boot(), port)
    _write_json(_record(settings, name), asdict(record))


def _command(name: str, port: int) -> list[str]:
    if name == COLLECTOR:
        return [sys.executable, "-m", "tagloom", "collect"]
    command = [sys.executable, "-m", "airflow", *PROCESSES[name]]
    return [*command, "--port", str(port)] if name == "api-server" else command


def _stop(settings: Settings, names: list[str]) -> list[str]:
    """End these processes with all their descendants; return the names of those that had any left."""
    found = {name: _family(settings, name) for name in names}
    # Without their leader they wait for it for ever, and do not listen.
    orphans = [process for name in names if not _leader(settings, name) for process in found[name]]
    for process in orphans:
        _signal(process, signal.SIGKILL)
    # Tasks report their end to the API server, so it goes last.
    for group in ([name for name in names if name != "api-server"], [name for name in names if name == "api-server"]):
        _end([process for name in group for process in found[name]])
    for name in names:
        # Again: what was forked between looking and killing.
        _end(_family(settings, name))
        _record(settings, name).unlink(missing_ok=True)
    return [name for name in names if found[name]]


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        _signal(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=STOP_SECONDS)
    for process in alive:
        _signal(process, signal.SIGKILL)
    _, alive = psutil.wait_procs(alive, timeout=STOP_SECONDS)
    if alive:
        raise ServiceError(f"These processes do not end: {', '.join(str(process.pid) for process in alive)}.")


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _leader(settings: Settings, name: str) -> psutil.Process | None:
    """Return the process that was started under this name, or None when it does not run any more."""
    record = _read_record(settings, name)
    if record is None or record.boot != _boot():
        return None
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.started) < CLOCK_SECONDS
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _family(settings: Settings, name: str) -> list[psutil.Process]:
    """Return the process and everything it started, also when it is gone itself and left orphans behind."""
    record = _read_record(settings, name)
    if record is None or record.boot != _boot():
        return []
    if _leader(settings, name) is None and _number_is_taken(record.pid):
        return []  # The system gave the number to a stranger, which it does only when the whole session is gone.
    members = [process for process in psutil.process_iter() if _is_member(process, record)]
    # A command that a task runs may have a session of its own.
    family = {process.pid: process for member in members for process in [member, *_children(member)]}
    return list(family.values())


def _is_member(process: psutil.Process, record: _Started) -> bool:
    try:
        return (
            os.getsid(process.pid) == record.pid
            and process.create_time() > record.started - CLOCK_SECONDS
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except (ProcessLookupError, PermissionError, psutil.Error):
        return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _number_is_taken(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _boot() -> str:
    """Identify this start of the machine; Linux has a name for it, elsewhere its time serves."""
    identifier = Path("/proc/sys/kernel/random/boot_id")
    if identifier.exists():
        return identifier.read_text(encoding="utf-8").strip()
    return str(round(psutil.boot_time() / 60))


def _record(settings: Settings, name: str) -> Path:
    return _records(settings) / f"{name}.json"


def _log(settings: Settings, name: str) -> Path:
    return _logs(settings) / f"{name}.log"


def _read_record(settings: Settings, name: str) -> _Started | None:
    try:
        return _Started(**_read_json(_record(settings, name)))
    except TypeError:
        return None


def _read_json(file: Path) -> object:
    """Return the file's content, or None when it is missing or was cut off while being written."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _write_json(file: Path, content: object, mode: int = 0o644) -> None:
    draft = file.with_name(f"{file.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:
        json.dump(content, stream)
    draft.replace(file)


def _running_port(settings: Settings, name: str) -> int | None:
    record = _read_record(settings, name)
    return record.port if record and _leader(settings, name) else None


def _require_free(port: int, variable: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise ServiceError(
                f"Port {port} of {HOST} cannot be used ({error.strerror}). "
                f"Stop the program that holds it, or set {variable} to another port."
            ) from error


def admin_password(settings: Settings) -> str:
    """Return the password of the user `admin`: TAGLOOM_ADMIN_PASSWORD, else the kept one, else a new one.

    It stands where Airflow's simple auth manager looks for it, in a file that only the owner can read.
    """
    file = settings.airflow_home / "simple_auth_manager_passwords.json.generated"
    kept = _read_json(file)
    passwords = kept if isinstance(kept, dict) else {}
    password = os.environ.get("TAGLOOM_ADMIN_PASSWORD") or passwords.get(USER) or secrets.token_urlsafe(12)
    if passwords.get(USER) != password:
        _write_json(file, {**passwords, USER: password}, mode=0o600)
    return password


def _wait_until_healthy(settings: Settings, names: list[str], report: Callable[[str], None]) -> None:
    begin = time.monotonic()
    reported: list[str] = []
    next_report = 0.0
    while True:
        for name in names:
            if _leader(settings, name) is None:
                raise ServiceError(
                    f"The {name} ended while starting. The end of {_log(settings, name)}:\n"
                    f"{_last_lines(_log(settings, name).read_text(encoding='utf-8', errors='replace'))}"
                )
        waiting = _unhealthy(settings, names)
        seconds = time.monotonic() - begin
        if not waiting:
            return
        if seconds > START_SECONDS:
            raise ServiceError(
                f"Not healthy after {START_SECONDS} s: {', '.join(waiting)}. The logs are in {_logs(settings)}."
            )
        if waiting != reported or seconds > next_report:
            report(f"  {seconds:3.0f} s  waiting for {', '.join(waiting)}")
            reported, next_report = waiting, seconds + REPORT_SECONDS
        time.sleep(0.5)


def _unhealthy(settings: Settings, names: list[str]) -> list[str]:
    """Return the parts of the service that are not healthy; only the API server can tell of Airflow's others."""
    unhealthy = _unhealthy_airflow(settings)
    if COLLECTOR in names and _health(settings, COLLECTOR, "/health") is None:
        unhealthy.append(COLLECTOR)
    return unhealthy


def _unhealthy_airflow(settings: Settings) -> list[str]:
    if _running_port(settings, "api-server") is None:
        return list(PROCESSES)
    health = _health(settings, "api-server", "/api/v2/monitor/health")
    if health is None:
        return ["api-server"]
    unhealthy = [] if health["metadatabase"]["status"] == "healthy" else ["metadata database"]
    for name in PROCESSES:
        part = name.replace("-", "_")
        if name != "api-server" and not _is_alive(settings, name, health.get(part), f"latest_{part}_heartbeat"):
            unhealthy.append(name)
    return unhealthy


def _health(settings: Settings, name: str, path: str) -> dict | None:
    """Return the health page of a process, or None when it has none to show or says that something is wrong."""
    port = _running_port(settings, name)
    if port is None:
        return None
    host = os.environ.get("TAGLOOM_COLLECTOR_HOST") if name == COLLECTOR else HOST
    if host in (None, "", "0.0.0.0", "::"):
        host = HOST
    # No proxy from the environment: this is a call to the machine itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{f'[{host}]' if ':' in host else host}:{port}{path}", timeout=10) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return None


def _is_alive(settings: Settings, name: str, state: dict[str, str | None] | None, heartbeat: str) -> bool:
    """Tell whether this very process is healthy: for 30 s the health page still speaks of one that was killed."""
    record = _read_record(settings, name)
    if not state or state["status"] != "healthy" or not record or not _leader(settings, name):
        return False
    return datetime.fromisoformat(state[heartbeat] or "1970-01-01T00:00:00Z").timestamp() > record.started


def _last_lines(text: str, number: int = 15) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()[-number:])
