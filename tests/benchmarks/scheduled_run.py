"""What scheduling costs: build_tags in the real service against a bare `dbt build` plus the same checks, in one run.

`make bench-schedule`, after `make demo`. Both build everything again from what has landed, each in a copy of the demo's
home. The ratio is from the start of the DAG run to the end of its layer `serving`, in wall seconds.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime
from pathlib import Path

from tagloom.environment import airflow_environment
from tagloom.publish import current_version
from tagloom.service import down, up
from tagloom.settings import Settings, load_settings

from sample_data.run import AS_OF_DATE, prepare

PORT = "18480"
"""Away from the default, so that a service of the developer's can go on."""

BARE = """
import os, sys, time
from datetime import date
from tagloom.environment import airflow_environment
from tagloom.settings import load_settings
settings = load_settings()
os.environ.update(airflow_environment(settings))
from tagloom.quality import check_layer, record_results
from tagloom.settings import PROJECT
from tagloom.transform import LAYERS, run_dbt
from tagloom.warehouse import open_warehouse
day = date.fromisoformat(sys.argv[1])
run_dbt(settings, ["build", "--exclude", "path:models,test_type:generic", "--exclude-resource-type", "unit_test"], day)
with open_warehouse(settings) as connection:
    for layer in ("landing", *LAYERS):
        record_results(connection, check_layer(connection, PROJECT / "soda" / "contracts", layer, "bare", day))
"""
"""One process, started afresh: what somebody without a scheduler would run."""


def main() -> int:
    """Measure both, alternating, and print seconds and ratio."""
    settings = prepare()
    if current_version(settings) is None:
        print("The demo has not run yet: `make demo` first.", file=sys.stderr)
        return 1
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory(prefix="bench-", dir=settings.home) as folder:
        copy = _copied_home(settings, Path(folder))
        # The collector is part of the service; its port and key are this run's own.
        os.environ |= {"TAGLOOM_COLLECTOR_PORT": "18490", "TAGLOOM_COLLECTOR_KEYS": f"web:{secrets.token_hex(24)}"}
        service = up(copy, report=lambda text: None)
        try:
            token = _token(service.url, service.user, service.password)
            pairs = []
            for number in range(1, rounds + 1):
                bare = _bare_seconds()
                scheduled = _scheduled_seconds(service.url, token)
                pairs.append((bare, scheduled))
                print(f"round {number}: bare {bare:.1f} s, scheduled {scheduled:.1f} s, ratio {scheduled / bare:.2f}")
        finally:
            down(copy, report=lambda text: None)
    bare, scheduled = (min(values) for values in zip(*pairs, strict=True))
    print(f"best of {rounds}: bare {bare:.1f} s, scheduled {scheduled:.1f} s, ratio {scheduled / bare:.2f}")
    return 0


def _copied_home(settings: Settings, folder: Path) -> Settings:
    shutil.copy2(settings.warehouse, folder / settings.warehouse.name)
    (folder / "landing").symlink_to(settings.landing)
    for name in list(os.environ):
        if name.startswith(("AIRFLOW", "DBT_")) or name in ("TAGLOOM_LANDING", "TAGLOOM_WAREHOUSE", "TAGLOOM_BASE_URL"):
            del os.environ[name]
    os.environ |= {"TAGLOOM_HOME": str(folder), "TAGLOOM_PORT": PORT}
    copy = load_settings()
    os.environ.update(airflow_environment(copy))
    return copy


def _bare_seconds() -> float:
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", BARE, AS_OF_DATE.isoformat()],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.monotonic() - started


def _scheduled_seconds(url: str, token: str) -> float:
    conf = {"as_of_date": AS_OF_DATE.isoformat(), "rebuild": True}
    run = _request(f"{url}/api/v2/dags/build_tags/dagRuns", token, {"logical_date": None, "conf": conf})
    address = f"{url}/api/v2/dags/build_tags/dagRuns/{run['dag_run_id']}"
    while (state := _request(address, token)["state"]) in ("queued", "running"):
        time.sleep(2)
    if state != "success":
        raise RuntimeError(f"The DAG run ended as {state}; see {address}")
    serving = _request(f"{address}/taskInstances/serving", token)
    started = datetime.fromisoformat(_request(address, token)["start_date"])
    return (datetime.fromisoformat(serving["end_date"]) - started).total_seconds()


def _token(url: str, user: str, password: str) -> str:
    return _request(f"{url}/auth/token", None, {"username": user, "password": password})["access_token"]


def _request(address: str, token: str | None, body: dict | None = None) -> dict:
    request = urllib.request.Request(address, data=json.dumps(body).encode() if body is not None else None)
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


if __name__ == "__main__":
    sys.exit(main())
