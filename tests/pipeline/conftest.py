"""Homes in which the DAGs really run, over a tiny world. They run side by side and are shared by all tests here.

clean: every ingest and build_tags once. again: the same home later, run again, to a past day, with deliveries that are
broken and repaired, and back. killed: the same as clean, but its processes are killed again and again; at its end dbt's
unit tests run there.
"""

from __future__ import annotations

import csv
import os
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from aiosmtpd.controller import Controller
from tagloom.publish import table_hash
from tagloom.service import prepare_metadata
from tagloom.settings import PROJECT, Settings, load_settings
from tagloom.sources import load_sources

from sample_data.landing import last_local_day, write_landing, write_truth
from sample_data.small import small_world
from tests.pipeline.dag_runs import KEY, Chain, Server, has_text

LAYERS_WITH_TABLES = ("identity_mapping", "intermediate", "tag_category", "tag_integration", "serving")

CARDS = "loyalty/cards_2017-01-11.csv"
"""The delivery that is broken and repaired."""

DAYS = {"first_day": "2017-01-02", "end_day": "2017-01-13"}
"""UTC days of the world's files; the last one holds the last evening in New York."""

PAST_DAY = date(2017, 1, 6)
"""Five days before the last one."""

INGESTS = [{"dag": f"ingest_{source.name}", "conf": DAYS} for source in load_sources(PROJECT / "sources")]

DOCUMENT = {"dag": "document_models", "conf": {}}

DBT_LOG = {"DBT_LOG_LEVEL_FILE": "debug"}
"""dbt's log then says when it begins a model: the moment to kill it."""

SENDER = "alerts@tagloom.example"


@dataclass
class History:
    """A home and what came of its steps."""

    settings: Settings
    world: dict[str, pd.DataFrame]
    results: list[dict] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)


class MailBox:
    """Handler of a real SMTP server: keeps what arrives."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.received: list[tuple[float, EmailMessage]] = []
        """The same with the moment (seconds of the clock) at which each came."""

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.received.append((time.time(), self.mails[-1]))
        return "250 OK"


@pytest.fixture(scope="session")
def mail_box() -> Iterator[tuple[MailBox, str]]:
    """A mail server on this machine: what arrived, and the TAGLOOM_SMTP_URL of the server."""
    box = MailBox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield box, f"smtp://127.0.0.1:{controller.port}/?from={SENDER}"
    controller.stop()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the homes and their logs are."""
    return tmp_path_factory.mktemp("pipeline")


@pytest.fixture(scope="session")
def dag_server(folder: Path) -> Iterator[Server]:
    """The process that forks the DAG runs."""
    server = Server(folder)
    yield server
    server.close()


@pytest.fixture(scope="session")
def seed(folder: Path, dag_server: Server) -> History:
    """A home with deliveries and Airflow's database, in which nothing has run."""
    settings = settings_of(folder / "seed")
    settings.make_folders()
    world = small_world()
    assert last_local_day(world) == date(2017, 1, 11), "the days of this module follow from the world"
    write_landing(world, settings.landing, load_sources(settings.sources))
    write_truth(world, settings.home / "truth")
    with house_environment(settings.home):
        prepare_metadata(settings)
    return History(settings, world)


@pytest.fixture(scope="session")
def killing(seed: History, folder: Path, dag_server: Server) -> Iterator[tuple[History, threading.Thread, list]]:
    """Begins `killed` in a thread, so that it uses the second core."""
    history = History(settings_of(copy_home(seed, folder / "killed")), seed.world)
    problems: list[BaseException] = []

    def run() -> None:
        try:
            history.results = _kill_again_and_again(history.settings.home, dag_server)
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield history, thread, problems
    thread.join()


@pytest.fixture(scope="session")
def clean(seed: History, folder: Path, dag_server: Server, killing: object) -> History:
    """All sources landed and everything built and published once, undisturbed."""
    home = copy_home(seed, folder / "again")
    chain = dag_server.start(home, "clean_run", [*INGESTS, {"dag": "build_tags", "conf": {}}, DOCUMENT])
    history = finished(chain, seed)
    # What is read is a copy, so that `again` can go on where the files are that landed.
    return replace(history, settings=settings_of(copy_home(history, folder / "clean")))


@pytest.fixture(scope="session")
def again(clean: History, folder: Path, dag_server: Server, mail_box: tuple[MailBox, str]) -> History:
    """The clean home: run again as it is, then to a past day, then with a bad delivery, with another one while
    no mail can be sent, and after all is repaired for the last day again.
    """
    home = folder / "again"
    good, delivered = home / "landing" / CARDS, home / "good_cards.csv"
    shutil.copy(good, delivered)
    header, *cards = read_rows(good)
    surname = header.index("surname")
    write_rows(home / "half_of_the_cards.csv", [header, *cards[::2]])
    other = [[*card[:surname], "Somebody", *card[surname + 1 :]] for card in cards[::2]]
    write_rows(home / "doubled_cards.csv", [header, *cards, *other])
    ingest_cards = {"dag": "ingest_loyalty", "conf": DAYS}
    build = {"dag": "build_tags", "conf": {}}
    _, server_url = mail_box
    steps = [
        *INGESTS,
        build,
        {"copy": [str(home / "warehouse.duckdb"), str(home / "repeated.duckdb")]},
        {"dag": "build_tags", "conf": {"as_of_date": PAST_DAY.isoformat()}},
        {"copy": [str(home / "warehouse.duckdb"), str(home / "past.duckdb")]},
        {"copy": [str(home / "half_of_the_cards.csv"), str(good)]},
        ingest_cards,
        build,
        {"variables": {"TAGLOOM_SMTP_URL": f"smtp://127.0.0.1:{free_port()}/?from={SENDER}"}},
        {"copy": [str(home / "doubled_cards.csv"), str(good)]},
        ingest_cards,
        {"variables": {"TAGLOOM_SMTP_URL": server_url}},
        {"copy": [str(delivered), str(good)]},
        ingest_cards,
        build,
    ]
    return finished(dag_server.start(home, "again_run", steps, TAGLOOM_SMTP_URL=server_url), clean)


@pytest.fixture(scope="session")
def killed(killing: tuple[History, threading.Thread, list]) -> History:
    """Like `clean`, with four of its processes killed on the way."""
    history, thread, problems = killing
    thread.join()
    if problems:
        raise problems[0]
    history.hashes = hashes_of(history.settings)
    return history


def _kill_again_and_again(home: Path, dag_server: Server) -> list[dict]:
    dbt_log, write_ahead_log = home / "dbt" / "logs" / "dbt.log", home / "warehouse.duckdb.wal"
    resume = {"resume": "build_tags"}
    sales = next(ingest for ingest in INGESTS if ingest["dag"] == "ingest_pos")
    chain = dag_server.start(home, "kill_1", [sales])
    chain.kill_when(lambda chain: write_ahead_log.exists())
    assert chain.results() == [], "the sales had landed before the process was killed"
    dag_server.start(home, "kill_2", [*INGESTS, {"dag": "build_tags", "conf": {}}], **DBT_LOG).kill_when(
        lambda chain: has_text(dbt_log, "Began running node model.tagloom.identity_edges")
    )
    dag_server.start(home, "kill_3", [resume], **DBT_LOG).kill_when(
        lambda chain: has_text(dbt_log, "Began running node model.tagloom.tag_value__rfm")
    )
    dag_server.start(home, "kill_4", [resume]).kill_when(lambda chain: any((home / "published").glob(".draft-*")))
    return dag_server.start(home, "kill_5", [resume, {"unit_tests": "2017-01-11"}]).wait()


def finished(chain: Chain, before: History) -> History:
    """Wait for a chain and gather what came of it."""
    results = chain.wait()
    settings = settings_of(chain.home)
    return History(settings, before.world, results, hashes_of(settings))


def copy_home(history: History, target: Path) -> Path:
    """Copy a home; Airflow's database goes along."""
    shutil.copytree(history.settings.home, target)
    return target


def settings_of(home: Path) -> Settings:
    """Settings of a home, whatever the environment says."""
    with house_environment(home):
        return replace(load_settings(), threads=2)


@contextmanager
def house_environment(home: Path) -> Iterator[None]:
    """The environment of a home and nothing else of Tagloom's and Airflow's, for code that reads it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("TAGLOOM_", "AIRFLOW"))]:
            patch.delenv(name)
        patch.setenv("TAGLOOM_HOME", str(home))
        patch.setenv("TAGLOOM_IDENTITY_KEY", KEY)
        yield


def hashes_of(settings: Settings, file: Path | None = None) -> dict[str, str]:
    """Hash of every table of the warehouse, or a copy of it, from identity mapping on, by schema.table."""
    with duckdb.connect(str(file or settings.warehouse), read_only=True) as connection:
        tables = connection.execute(
            """
            select schema_name, table_name from duckdb_tables()
            where schema_name in (select unnest($layers))
            order by all
            """,
            {"layers": list(LAYERS_WITH_TABLES)},
        ).fetchall()
        return {f"{schema}.{name}": table_hash(connection, schema, name) for schema, name in tables}


def rows_of(settings: Settings, query: str, file: Path | None = None) -> list[tuple]:
    """What a query over the warehouse, or a copy of it, gives."""
    with duckdb.connect(str(file or settings.warehouse), read_only=True) as connection:
        return connection.execute(query).fetchall()


def airflow_rows(settings: Settings, query: str) -> list[tuple]:
    """What a query over Airflow's database gives."""
    with closing(sqlite3.connect(settings.airflow_home / "airflow.db")) as connection:
        return connection.execute(query).fetchall()


def read_rows(file: Path) -> list[list[str]]:
    """Lines of a CSV file below its header, and the header first."""
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def write_rows(file: Path, rows: list[list[str]]) -> None:
    """Write a CSV file."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
