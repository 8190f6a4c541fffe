"""Landing is killed at random moments, and two processes land one interval at once: the tables come out the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from tagloom.publish import table_hash
from tagloom.settings import Settings, load_settings
from tagloom.sources import Source

KILLS = 30
ROWS = 60_000

WORKER = """
import os, sys
from dataclasses import replace
from datetime import date
from pathlib import Path
import pyarrow, pyarrow.csv, pandas, openpyxl
from tagloom.landing.land import land_source
from tagloom.settings import load_settings
from tagloom.warehouse import open_warehouse
from tests.plugins.landing.test_landing_survives import declaration

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        home, landing = line.strip().split("|")
        settings = replace(load_settings(), home=Path(home), landing=Path(landing))
        print(f"begun {os.getpid()}", flush=True)
        with open_warehouse(settings) as connection:
            land_source(connection, settings, declaration(), date(2017, 1, 1), date(2017, 1, 4), str(os.getpid()))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(f"ended {os.waitstatus_to_exitcode(status)}", flush=True)
"""
"""Imports once and forks a process per landing, so that a kill falls into the landing and not into imports."""


def declaration() -> Source:
    """One source with an event, a snapshot and a change table."""
    columns = [
        {"name": "id", "type": "text", "required": True, "pattern": "[0-9]+"},
        {"name": "amount", "type": "decimal(8,2)"},
        {"name": "at", "type": "timestamp"},
    ]

    def table(name: str, grain: str, **more: object) -> dict:
        reader = {"kind": "files", "format": "csv", "path": f"{name}_{{date}}.csv"}
        key = {"primary_key": ["id"], "event_time": "at"}
        return {"name": name, "title": name, "reader": reader, "grain": grain, **key, "columns": columns, **more}

    changes = [*columns, {"name": "op", "type": "text"}]
    return Source.model_validate(
        {
            "name": "till",
            "title": "Till",
            "title_zh": "收银",
            "owner": "till@example.com",
            "party": "first",
            "consent_basis": "contract",
            "licence": "own data",
            "schedule": "on arrival",
            "tables": [
                table("sales", "event"),
                table("stores", "snapshot"),
                table("prices", "change", operation="op", columns=changes),
            ],
        }
    )


@pytest.fixture(scope="module")
def landing_zone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    (folder / "till").mkdir()
    chance = random.Random(1)
    for day in (1, 2, 3):
        lines = [f"{day}{i},{chance.randrange(10**6) / 100},2017-01-0{day} 10:00:00" for i in range(ROWS)]
        lines[10] = "x,1.00,"
        lines[20] = lines[19]
        text = "id,amount,at\n" + "\n".join(lines) + "\n"
        (folder / "till" / f"sales_2017-01-0{day}.csv").write_text(text)
        stores = [f"{i},{chance.randrange(3)},2017-01-0{day} 10:00:00" for i in range(3_000) if chance.random() < 0.9]
        (folder / "till" / f"stores_2017-01-0{day}.csv").write_text("id,amount,at\n" + "\n".join(stores) + "\n")
        prices = [
            f"{chance.randrange(500)},{i},2017-01-0{day} 10:{i % 60:02}:00,{'D' if i % 9 == 0 else 'U'}"
            for i in range(3_000)
        ]
        (folder / "till" / f"prices_2017-01-0{day}.csv").write_text("id,amount,at,op\n" + "\n".join(prices) + "\n")
    return folder


class Worker:
    """The process that forks landings."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def begin(self, settings: Settings) -> int:
        """Start a landing; its process id."""
        self.process.stdin.write(f"{settings.home}|{settings.landing}\n")
        self.process.stdin.flush()
        return self._number_behind("begun")

    def end(self) -> int:
        """Wait for the landing; its exit code."""
        return self._number_behind("ended")

    def _number_behind(self, word: str) -> int:
        """Of the next line that begins so: on a slow machine DuckDB's progress bar writes between them."""
        line = next(line for line in self.process.stdout if word in line)
        return int(line.split(word)[1])

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


def home(folder: Path, name: str, landing_zone: Path) -> Settings:
    settings = replace(load_settings(), home=folder / name, landing=landing_zone)
    settings.make_folders()
    return settings


def tables(settings: Settings) -> dict[str, object]:
    """Everything that a reader may see, but not who landed it when."""
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        names = connection.execute("select table_name from duckdb_tables() where schema_name = 'raw_till'").fetchall()
        found: dict[str, object] = {name: table_hash(connection, "raw_till", name) for (name,) in names}
        found["quarantine"] = connection.execute(
            "select quarantine_id, source_file, line, reason, raw from operations.quarantine order by all"
        ).fetchall()
        found["files"] = connection.execute(
            "select source_file, bytes, rows_quarantined from operations.landed_files order by all"
        ).fetchall()
    found["told to the watcher"] = (settings.home / "arrivals" / "till.json").read_text()
    return found


@pytest.mark.slow
def test_a_landing_killed_at_any_moment_and_run_again_gives_the_same_tables(tmp_path, landing_zone, worker):
    undisturbed = home(tmp_path, "undisturbed", landing_zone)
    worker.begin(undisturbed)
    begun = time.monotonic()
    assert worker.end() == 0
    whole = time.monotonic() - begun
    expected = tables(undisturbed)
    assert len(expected["quarantine"]) == 3
    moments = random.Random(30)
    killed = 0
    for number in range(KILLS):
        settings = home(tmp_path, f"killed_{number}", landing_zone)
        process = worker.begin(settings)
        time.sleep(moments.uniform(0.05, 0.95) * whole)
        with suppress(ProcessLookupError):  # it was faster than the first one
            os.kill(process, signal.SIGKILL)
        killed += worker.end() == -signal.SIGKILL
        worker.begin(settings)
        assert worker.end() == 0
        assert tables(settings) == expected, f"kill {number}"
    assert killed >= KILLS * 2 // 3, "most kills must fall into the landing"


def test_two_schedulers_that_land_the_same_interval_leave_one_result(tmp_path, landing_zone, worker):
    alone, shared = home(tmp_path, "alone", landing_zone), home(tmp_path, "shared", landing_zone)
    worker.begin(alone)
    assert worker.end() == 0
    second = Worker()
    worker.begin(shared)
    second.begin(shared)
    assert (worker.end(), second.end()) == (0, 0)
    second.close()
    assert tables(shared) == tables(alone)
    with duckdb.connect(str(shared.warehouse), read_only=True) as connection:
        runs = connection.execute(
            "select table_name, count(*) from operations.landing_log group by all order by all"
        ).fetchall()
    assert runs == [("prices", 1), ("sales", 1), ("stores", 1)], "the second one found that all had landed"
