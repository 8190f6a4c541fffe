"""A home that is built once and copied for each breakage, and the project's files beside it, to be broken as well.

The world is the small one with more baskets and visits a day, so that a day can be held against the days before.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
from aiosmtpd.controller import Controller
from tagloom.service import prepare_metadata
from tagloom.settings import PROJECT, Settings
from tagloom.sources import Source

from sample_data.contacts import Rates
from sample_data.landing import write_landing
from sample_data.scores import ScoreRuns
from sample_data.small import BAD_ROWS, FIRST_DAY, LISTS, SHARES, small_inputs
from sample_data.visits import VisitScale
from sample_data.world import World, make_world
from tests.pipeline.conftest import SENDER, MailBox, free_port, house_environment, settings_of

PERSONS = 60

MINUTES = 25
"""How long a chain may take on a busy machine; it is minutes of processor time."""

BASKETS_A_DAY, VISITS_A_DAY = 32, 220
"""About so many there are, however long the world is."""

COPIED = ("alerts", "dags", "dbt_project", "identity", "monitors", "plugins", "sample_data", "soda", "sources")
"""What runs need of the checkout, but for the tests' own modules."""

NOT_COPIED = shutil.ignore_patterns("node_modules", "frontend", "dbt_packages", "target", "logs")

AT_ONCE = "tell_owners: true\nwarnings: at once\n"
"""alerts/routing.yml of the tests: what is told must not depend on the hour at which they run."""


def busy_world(days: int, seed: int = 11, persons: int = PERSONS) -> World:
    """The small world with many more baskets and web visits of the same persons, and without rows that are wrong."""
    inputs = small_inputs(persons, days, seed)
    baskets = inputs.transactions["basket_id"].nunique()
    more = [
        small_inputs(persons, days, seed + number) for number in range(1, math.ceil(BASKETS_A_DAY * days / baskets))
    ]
    trips = [
        one.transactions.assign(basket_id=one.transactions["basket_id"] + number * 1_000_000)
        for number, one in enumerate(more, start=1)
    ]
    visits = pd.concat([inputs.web_events, *(one.web_events for one in more)])
    times = math.ceil(VISITS_A_DAY * days / int((visits["event"] == "home").sum()))
    steps = [timedelta(days=number * days // times) for number in range(times)]
    since_begin = visits["timestamp"] - FIRST_DAY
    again = [visits.assign(timestamp=FIRST_DAY + (since_begin + step) % timedelta(days=days)) for step in steps]
    inputs = replace(
        inputs,
        transactions=pd.concat([inputs.transactions, *trips]).sort_values(
            ["transaction_timestamp", "basket_id", "product_id"], ignore_index=True
        ),
        web_events=pd.concat(again).sort_values("timestamp", kind="stable", ignore_index=True),
    )
    return make_world(
        inputs,
        seed=seed,
        rates=Rates(),
        shares=SHARES,
        visits=VisitScale(persons=0.3, trips=0.2, passers_by=10 * days, busy_days=0, broken_lines=0),
        bad_rows=BAD_ROWS,
        runs=ScoreRuns(every_days=7, known_days=7, before_end=3),
        lists=LISTS,
    )


def write_deliveries(world: World, landing: Path, sources: list[Source], snapshot_days: list[date]) -> None:
    """Write every delivery; a snapshot of a day knows the rows that have their event time until its end."""
    snapshots = {f"{source.name}.{table.name}": table for source in sources for table in source.tables}
    snapshots = {name: table for name, table in snapshots.items() if table.grain == "snapshot"}
    write_landing({name: frame for name, frame in world.items() if name not in snapshots}, landing, sources)
    for day in snapshot_days:
        end = pd.Timestamp(day) + timedelta(days=1)
        known = {
            name: world[name] if table.event_time is None else world[name][world[name][table.event_time] < end]
            for name, table in snapshots.items()
        }
        write_landing(known, landing, sources, snapshot_date=day)


def copy_project(folder: Path) -> Path:
    """Copy what runs need of the checkout, so that a test may break it and nobody's edits disturb its runs."""
    for name in COPIED:
        shutil.copytree(PROJECT / name, folder / name, ignore=NOT_COPIED)
    shutil.copytree(PROJECT / "tests" / "pipeline", folder / "tests" / "pipeline")
    shutil.copy(PROJECT / "tests" / "parsed_once.py", folder / "tests")
    (folder / "alerts" / "routing.yml").write_text(AT_ONCE, encoding="utf-8")
    return folder


def prepare_home(home: Path) -> Settings:
    """A home with Airflow's database, in which nothing has run."""
    settings = settings_of(home)
    settings.make_folders()
    with house_environment(home):
        prepare_metadata(settings)
    return settings


@contextmanager
def mail_server() -> Iterator[tuple[MailBox, str]]:
    """A mail server on this machine: what arrived, and the TAGLOOM_SMTP_URL of the server."""
    box = MailBox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield box, f"smtp://127.0.0.1:{controller.port}/?from={SENDER}"
    finally:
        controller.stop()
