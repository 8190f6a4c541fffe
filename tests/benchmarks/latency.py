"""How long an event takes from POST /v1/events until published tags show it, in the real service with its collector.

`make bench-latency`, after `make demo`, in a copy of the demo's home. Single events of known web accounts are posted at
random moments, each for another person, and person_tags is watched in the published version, as readers see it. The
baseline is a full scheduled build_tags in the same service: so long would the event take without micro-batches, were
the build started at once.

    python tests/benchmarks/latency.py [events] [minutes]
"""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import socket
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles

from tagloom.environment import airflow_environment
from tagloom.publish import current_version, open_current
from tagloom.service import Service, down, up
from tagloom.settings import Settings, load_settings
from tagloom.warehouse import open_warehouse

from sample_data.run import AS_OF_DATE, prepare
from tests.benchmarks.scheduled_run import _request, _token

TARGET_SECONDS = 60.0
"""What 95 of 100 events must stay below."""

GIVE_UP_SECONDS = 180.0
"""How long is waited for the last event."""

TAG = "web_searches_365d"
"""The tag that each event, a search in the web shop, makes larger by one."""

OCCURRED_AT = f"{AS_OF_DATE.isoformat()}T17:00:00"
"""On the last day of the demo, so that no other tag is another one tomorrow."""


@dataclass
class Posted:
    """One event and when it came how far, in seconds since 1970."""

    event_id: str
    person_id: int
    at: float
    sealed: float = 0.0
    """The collector handed the segment with it over."""
    landed: float = 0.0
    """Its row was being landed."""
    seen: float = 0.0
    """A published version showed it."""


def main() -> int:
    """Print the figures; 1 when an event was lost or the target is missed."""
    settings = prepare()
    if current_version(settings) is None:
        print("The demo has not run yet: `make demo` first.", file=sys.stderr)
        return 1
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
    with tempfile.TemporaryDirectory(prefix="bench-", dir=settings.home) as folder:
        key = secrets.token_hex(24)
        copy = _copied_home(settings, Path(folder), key)
        first, *accounts = _accounts_with_persons(copy, events + 1)
        service = up(copy, report=lambda text: None)
        try:
            token = _token(service.url, service.user, service.password)
            _wait_until_idle(service, token)
            # Not counted: the home is a copy, in another place, for which dbt parses the whole project once.
            _post_and_watch(copy, service, key, [first], 0.0)
            _wait_until_idle(service, token)
            posted = _post_and_watch(copy, service, key, accounts, minutes * 60 / events)
            _wait_until_idle(service, token)
            full_build = _full_build_seconds(service, token)
        finally:
            down(copy, report=lambda text: None)
        _find_steps(copy, posted)
    return _report(posted, full_build)


def _copied_home(settings: Settings, folder: Path, key: str) -> Settings:
    shutil.copy2(settings.warehouse, folder / settings.warehouse.name)
    for name in ("published", "arrivals", "dbt"):
        shutil.copytree(settings.home / name, folder / name)
    (folder / "landing").mkdir()
    for source in settings.landing.iterdir():
        # Only the web shop's folder is written to.
        if source.name == "web":
            shutil.copytree(source, folder / "landing" / source.name)
        elif not source.name.startswith("."):
            (folder / "landing" / source.name).symlink_to(source)
    for name in list(os.environ):
        if name.startswith(("AIRFLOW", "DBT_", "TAGLOOM_COLLECTOR_")) or name in (
            "TAGLOOM_LANDING",
            "TAGLOOM_WAREHOUSE",
            "TAGLOOM_BASE_URL",
        ):
            del os.environ[name]
    os.environ |= {
        "TAGLOOM_HOME": str(folder),
        # Away from the defaults, so that a service of the developer's can go on.
        "TAGLOOM_PORT": str(_free_port()),
        "TAGLOOM_COLLECTOR_PORT": str(_free_port()),
        "TAGLOOM_COLLECTOR_KEYS": f"web:{key}",
    }
    copy = load_settings()
    os.environ.update(airflow_environment(copy))
    return copy


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _accounts_with_persons(settings: Settings, number: int) -> list[tuple[str, int]]:
    """Web accounts, each of another person, in an order that is the same every time."""
    with open_warehouse(settings) as connection:
        found = connection.execute(
            """
            select min(events.web_user_id), sessions.person_id
            from intermediate.int_web_sessions as sessions
            inner join raw_web.events as events on sessions.web_session_id = events.event_id
            where sessions.person_id is not null
            group by sessions.person_id
            order by md5(sessions.person_id::varchar)
            limit ?
            """,
            [number],
        ).fetchall()
    if len(found) < number:
        raise RuntimeError(f"Only {len(found)} persons have a web account; ask for fewer events.")
    return found


def _post_and_watch(
    settings: Settings, service: Service, key: str, accounts: list[tuple[str, int]], mean_gap: float
) -> list[Posted]:
    """Post an event per account and wait until all are seen."""
    chance = random.Random(20171231)
    before = _tag_values(settings)
    waiting: list[Posted] = []
    posted: list[Posted] = []
    version = current_version(settings).name
    next_at = time.time()
    rest = list(accounts)
    while rest or waiting:
        if rest and time.time() >= next_at:
            account, person_id = rest.pop(0)
            event = Posted(f"latency-{person_id}", person_id, time.time())
            _post(service, key, event.event_id, account)
            posted.append(event)
            waiting.append(event)
            next_at = time.time() + chance.expovariate(1.0) * mean_gap
        current = current_version(settings).name
        if current != version:
            values, now, version = _tag_values(settings), time.time(), current
            for event in [event for event in waiting if values[event.person_id] > before[event.person_id]]:
                event.seen = now
                waiting.remove(event)
        if not rest and waiting and time.time() - waiting[-1].at > GIVE_UP_SECONDS:
            break
        time.sleep(0.1)
    return posted


def _post(service: Service, key: str, event_id: str, account: str) -> None:
    event = {
        "event_id": event_id,
        "occurred_at": OCCURRED_AT,
        "web_user_id": account,
        "event": "search",
        "platform": "mobile",
        "channel": "email",
    }
    request = urllib.request.Request(service.collector, data=json.dumps([event]).encode())
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        if answer.status != 202:
            raise RuntimeError(f"The collector answered {answer.status}: {answer.read().decode()}")


def _tag_values(settings: Settings) -> dict[int, int]:
    with open_current(settings) as connection:
        return dict(connection.execute(f"select person_id, {TAG} from tag_integration.person_tags").fetchall())


def _wait_until_idle(service: Service, token: str) -> None:
    """The DAGs that start with the service are not what is measured."""
    address = f"{service.url}/api/v2/dags/~/dagRuns?state=queued&state=running&limit=1"
    quiet_since = time.time()
    while time.time() - quiet_since < 5:
        if _request(address, token)["total_entries"]:
            quiet_since = time.time()
        time.sleep(1)


def _full_build_seconds(service: Service, token: str) -> float:
    """Seconds from the trigger of build_tags until it has published."""
    started = time.time()
    conf = {"as_of_date": AS_OF_DATE.isoformat(), "rebuild": True}
    run = _request(f"{service.url}/api/v2/dags/build_tags/dagRuns", token, {"logical_date": None, "conf": conf})
    address = f"{service.url}/api/v2/dags/build_tags/dagRuns/{run['dag_run_id']}"
    while (state := _request(address, token)["state"]) in ("queued", "running"):
        time.sleep(1)
    if state != "success":
        raise RuntimeError(f"The full build ended as {state}; see {address}")
    ended = _request(f"{address}/taskInstances/publish", token)["end_date"]
    return datetime.fromisoformat(ended).timestamp() - started


def _find_steps(settings: Settings, posted: list[Posted]) -> None:
    with open_warehouse(settings) as connection:
        rows = connection.execute(
            "select event_id, _source_file, _landed_at from raw_web.events where starts_with(event_id, 'latency-')"
        ).fetchall()
    events = {event.event_id: event for event in posted}
    for event_id, file, landed_at in rows:
        if event_id not in events:
            continue
        # A rename changes nothing of a file but the time of its last change of state.
        events[event_id].sealed = (settings.landing / file).stat().st_ctime
        events[event_id].landed = landed_at.replace(tzinfo=UTC).timestamp()


def _report(posted: list[Posted], full_build: float) -> int:
    seen = [event for event in posted if event.seen]
    lost = len(posted) - len(seen)
    if not seen:
        print(f"None of {lost} events was seen within {GIVE_UP_SECONDS:.0f} s.", file=sys.stderr)
        return 1
    parts = {
        "from POST to published tags": [event.seen - event.at for event in seen],
        "  until its segment is sealed": [event.sealed - event.at for event in seen],
        "  until it is landed": [event.landed - event.sealed for event in seen],
        "  until it is published": [event.seen - event.landed for event in seen],
    }
    print(f"{len(posted)} events, {lost} not seen; {os.cpu_count()} processors\n")
    print(f"{'seconds':32}{'p50':>8}{'p95':>8}{'max':>8}")
    for name, values in parts.items():
        print(f"{name:32}{median(values):8.1f}{_percentile(values, 95):8.1f}{max(values):8.1f}")
    worst = _percentile(parts["from POST to published tags"], 95)
    print(f"\na full scheduled build until it has published: {full_build:.1f} s")
    print(f"ratio of p50 to it: {median(parts['from POST to published tags']) / full_build:.2f}")
    verdict = "below" if worst < TARGET_SECONDS else "NOT below"
    print(f"p95 {worst:.1f} s is {verdict} the target of {TARGET_SECONDS:.0f} s")
    return int(lost > 0 or worst >= TARGET_SECONDS)


def _percentile(values: list[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


if __name__ == "__main__":
    sys.exit(main())
