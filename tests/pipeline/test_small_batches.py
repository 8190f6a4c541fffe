"""The real service: events that are posted and files that are dropped show in the published tags by themselves."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest
from tagloom.environment import airflow_environment
from tagloom.publish import open_current
from tagloom.service import _family, down, up
from tagloom.settings import PROJECT, Settings, load_settings
from tagloom.warehouse import open_warehouse

from tests.pipeline.conftest import History, airflow_rows, copy_home, free_port, house_environment, rows_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

KEY = "a-collector-key-that-only-this-test-uses"

SECONDS = 240
"""How long something may take on a busy machine."""

TAG = "web_searches_365d"

ORDERS = """
name: orders
title: Orders of a shop, in a database
title_zh: 订单
owner: orders@example.com
party: first
consent_basis: contract
licence: own data
tables:
  - name: orders
    title: Orders
    reader: {kind: database, connection: orders_database, table: orders, watermark: changed_at}
    grain: event
    primary_key: [order_id]
    event_time: changed_at
    columns:
      - {name: order_id, type: integer, required: true}
      - {name: changed_at, type: timestamp, required: true}
"""

FIRST_DAY, DAYS = date(2017, 3, 1), 4


@dataclass(frozen=True)
class Running:
    """A service that runs over the tiny world, all of which is landed, built and published."""

    settings: Settings
    collector: str
    accounts: list[tuple[str, int]]
    """Web accounts, each of another person."""


@pytest.fixture(scope="module")
def running(clean: History, folder: Path) -> Iterator[Running]:
    home = copy_home(clean, folder / "arrivals")
    with house_environment(home), pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", os.environ.copy())
        for name in [name for name in os.environ if name.startswith("DBT_")]:
            del os.environ[name]
        shutil.copytree(PROJECT / "sources", home / "sources")
        (home / "sources" / "orders.yml").write_text(ORDERS, encoding="utf-8")
        os.environ |= {
            "TAGLOOM_SOURCES": str(home / "sources"),
            "TAGLOOM_THREADS": "2",
            "TAGLOOM_PORT": str(free_port()),
            "TAGLOOM_COLLECTOR_PORT": str(free_port()),
            "TAGLOOM_COLLECTOR_KEYS": f"web:{KEY}",
            "AIRFLOW_CONN_ORDERS_DATABASE": json.dumps({"conn_type": "sqlite", "host": str(_orders_database(home))}),
        }
        settings = load_settings()
        accounts = _accounts_with_persons(settings)
        service = up(settings, report=lambda line: None)
        try:
            yield Running(settings, service.collector, accounts)
        finally:
            down(settings, report=lambda line: None)


def _orders_database(home: Path) -> Path:
    """Two orders on each day and on the days around, one of them in its last second."""
    file = home / "orders.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("create table orders (order_id integer, changed_at text)")
        for number in range(-1, DAYS + 1):
            day = FIRST_DAY + timedelta(days=number)
            connection.execute("insert into orders values (?, ?)", [10 * number + 10, f"{day} 00:00:00"])
            connection.execute("insert into orders values (?, ?)", [10 * number + 11, f"{day} 23:59:59"])
    return file


def _accounts_with_persons(settings: Settings) -> list[tuple[str, int]]:
    with open_warehouse(settings) as connection:
        return connection.execute(
            """
            select min(events.web_user_id), sessions.person_id
            from intermediate.int_web_sessions as sessions
            inner join raw_web.events as events on sessions.web_session_id = events.event_id
            where sessions.person_id is not null
            group by sessions.person_id
            order by sessions.person_id
            limit 3
            """
        ).fetchall()


def test_a_posted_event_shows_in_the_published_tags(running: Running) -> None:
    (account, person), *_ = running.accounts
    before = searches(running, person)
    body = json.dumps([search("posted", account)]).encode()
    request = urllib.request.Request(running.collector, data=body)
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {KEY}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 202
    wait_until(lambda: searches(running, person) == before + 1, "an event that was posted shows in person_tags")


def test_a_dropped_file_shows_in_the_published_tags(running: Running) -> None:
    _, (account, person), *_ = running.accounts
    before = searches(running, person)
    drop(running, "by_hand.jsonl", search("dropped", account))
    wait_until(lambda: searches(running, person) == before + 1, "a file that was dropped shows in person_tags")


def test_what_arrives_while_the_triggerer_is_dead_is_taken_up_when_it_lives_again(running: Running) -> None:
    *_, (account, person) = running.accounts
    before = searches(running, person)
    for process in _family(running.settings, "triggerer"):
        process.kill()
    drop(running, "unseen.jsonl", search("unseen", account))
    up(running.settings, report=lambda line: None)
    wait_until(lambda: searches(running, person) == before + 1, "a file that nobody saw coming shows in person_tags")


def test_nothing_is_landed_twice_and_nothing_goes_on_for_ever(running: Running) -> None:
    runs = "select count(*) from dag_run where dag_id in ('ingest_web', 'update_tags')"
    unfinished = f"{runs} and state in ('queued', 'running')"
    wait_until(lambda: airflow_rows(running.settings, unfinished) == [(0,)], "every run has ended")
    before = airflow_rows(running.settings, runs)
    time.sleep(10)
    assert airflow_rows(running.settings, runs) == before
    with open_warehouse(running.settings) as connection:
        landed = connection.execute(
            "select event_id, count(*) from raw_web.events where event_id in ('posted', 'dropped', 'unseen') "
            "group by event_id order by event_id"
        ).fetchall()
    assert landed == [("dropped", 1), ("posted", 1), ("unseen", 1)]


def test_a_backfill_fetches_and_lands_exactly_the_interval_of_each_run(running: Running) -> None:
    last_day = FIRST_DAY + timedelta(days=DAYS - 1)
    backfill = ["backfill", "create", "--dag-id", "ingest_orders", "--max-active-runs", "3"]
    days = ["--from-date", FIRST_DAY.isoformat(), "--to-date", last_day.isoformat()]
    pause_all_but("ingest_orders", running.settings)
    environment = os.environ | airflow_environment(running.settings)
    environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] += "?timeout=60"
    unfinished = (
        "select (select count(*) from dag_run where state in ('queued', 'running')) "
        "+ (select count(*) from backfill where completed_at is null)"
    )
    for _ in range(5):
        # SQLite may refuse a second writer at once, whatever the timeout: before the command, and before it is given
        # again for the days that are left, every run has to end and the backfill that was cut short with them.
        wait_until(lambda: airflow_rows(running.settings, unfinished) == [(0,)], "every other run has ended")
        outcome = subprocess.run(
            [sys.executable, "-m", "airflow", *backfill, *days],
            env=environment,
            cwd=running.settings.airflow_home,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if "database is locked" not in outcome.stdout + outcome.stderr:
            break
    assert outcome.returncode == 0, outcome.stdout[-3000:] + outcome.stderr[-3000:]
    ended = (
        "select count(*) from dag_run where dag_id = 'ingest_orders' and run_type = 'backfill' and state = 'success'"
    )
    wait_until(lambda: airflow_rows(running.settings, ended) == [(DAYS,)], "every run of the backfill has ended")
    rows = rows_of(
        running.settings,
        "select _interval, list(order_id order by order_id) from raw_orders.orders group by 1 order by 1",
    )
    assert rows == [
        (FIRST_DAY + timedelta(days=number), [10 * number + 10, 10 * number + 11]) for number in range(DAYS)
    ]
    intervals = rows_of(
        running.settings,
        "select first_day, end_day, rows_read, rows_landed from operations.landing_log "
        "where source = 'orders' and status = 'landed' and first_day < date '2018-01-01' order by first_day",
    )  # without the run that the schedule itself began with the service
    assert intervals == [
        (FIRST_DAY + timedelta(days=number), FIRST_DAY + timedelta(days=number + 1), 2, 2) for number in range(DAYS)
    ]
    pools = airflow_rows(
        running.settings, "select distinct task_id, pool from task_instance where dag_id = 'ingest_orders' order by 1"
    )
    assert pools == [("fetch", "default_pool"), ("land", "warehouse")]


def search(event_id: str, account: str) -> dict[str, str]:
    """A search in the web shop on the world's last day."""
    return {
        "event_id": event_id,
        "occurred_at": "2017-01-11T15:00:00",
        "web_user_id": account,
        "event": "search",
        "platform": "mobile",
        "channel": "email",
    }


def drop(running: Running, name: str, event: dict[str, str]) -> None:
    """Put a delivered file in place as a whole."""
    folder = running.settings.landing / "web" / "events" / "2017-01-11"
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{name}"
    draft.write_text(json.dumps(event) + "\n", encoding="utf-8")
    draft.replace(folder / name)


def searches(running: Running, person: int) -> int:
    """What readers see."""
    with open_current(running.settings) as connection:
        ((number,),) = connection.execute(
            f"select {TAG} from tag_integration.person_tags where person_id = ?", [person]
        ).fetchall()
    return number


def pause_all_but(dag_id: str, settings: Settings) -> None:
    """Let no run of another DAG begin."""
    with closing(sqlite3.connect(settings.airflow_home / "airflow.db", timeout=60)) as connection, connection:
        connection.execute("update dag set is_paused = 1 where dag_id <> ?", [dag_id])


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not so within {SECONDS} s: {what}"
        time.sleep(0.5)
