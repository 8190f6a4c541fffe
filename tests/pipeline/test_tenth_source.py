"""A new kind of source takes a YAML and a staging SQL and nothing else: the two that stand in docs/add-a-source.md.

They are put into a copy of the checkout; the rest is what any newcomer would do: `tagloom tags`, a delivery, the DAG.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from tagloom.settings import PROJECT

from tests.pipeline.dag_runs import KEY

PAGE = PROJECT / "docs" / "add-a-source.md"

WRITTEN_BY_HAND = ["sources/parking.yml", "dbt_project/models/staging/parking/stg_parking__stays.sql"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

STEPS = """
import json
from datetime import date
from tagloom.landing.land import land_source
from tagloom.orchestration import foreground_run
from tagloom.service import prepare_metadata
from tagloom.settings import load_settings
from tagloom.sources import load_sources
from tagloom.transform import build_layer
from tagloom.warehouse import open_warehouse

settings = load_settings()
settings.make_folders()
prepare_metadata(settings)
days = {"first_day": "2017-12-31", "end_day": "2018-01-01"}
states = [foreground_run("ingest_parking", days) for _ in range(2)]
with open_warehouse(settings) as connection:
    # The other sources have delivered nothing, but their tables must be there for the views over them.
    for source in load_sources(settings.sources):
        land_source(connection, settings, source, date(2017, 12, 31), date(2018, 1, 1), "nothing")
layers = ("staging", "identity_mapping")
nodes = [node for layer in layers for node in build_layer(settings, layer, date(2017, 12, 31))]
print("RESULT " + json.dumps({"states": states, "built": [node.name for node in nodes]}))
"""


@dataclass(frozen=True)
class Newcomer:
    """A copy of the checkout after a newcomer has followed the page."""

    checkout: Path
    home: Path
    touched: list[str]
    """What `tagloom tags` said it wrote."""
    result: dict
    printed: dict[str, str]
    """Command -> what it printed."""

    def rows(self, query: str) -> list[tuple]:
        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(query).fetchall()


def block_after(text: str) -> str:
    """The first block of code of the page behind a text."""
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(text) >= 1, f"docs/add-a-source.md no longer says {text}"
    return re.search(r"^```\w*\n(.*?)^```$", page[page.index(text) :], re.DOTALL | re.MULTILINE).group(1)


def block_after_command(command: str) -> str:
    """What the page shows below a command, down to the end of the block."""
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(command) == 1, f"docs/add-a-source.md no longer shows {command}"
    return page.partition(command)[2].partition("```")[0]


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory) -> Newcomer:
    folder = tmp_path_factory.mktemp("tenth")
    checkout, home = folder / "checkout", folder / "home"
    for part in ("alerts", "plugins", "dags", "dbt_project", "identity", "monitors", "sources", "soda"):
        shutil.copytree(PROJECT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__", "target", "logs"))
    before = files_of(checkout)
    for name in WRITTEN_BY_HAND:
        target = checkout / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block_after(f"`{name}`"), encoding="utf-8")
    assert files_of(checkout) - before == set(WRITTEN_BY_HAND)

    delivery = home / "landing" / "parking" / "stays" / "2017-12-31.csv.gz"
    delivery.parent.mkdir(parents=True)
    delivery.write_bytes(gzip.compress(block_after("`stays.csv`").encode("gb18030")))

    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("TAGLOOM", "AIRFLOW", "DBT"))
    }
    variables |= {
        "PYTHONPATH": str(checkout / "plugins"),
        "TAGLOOM_HOME": str(home),
        "TAGLOOM_IDENTITY_KEY": KEY,
        "TAGLOOM_THREADS": "2",
    }

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=folder, env=variables, capture_output=True, text=True, timeout=400
        )
        assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    sample = ["tagloom", "source", "infer", str(delivery), "--name", "parking", "--table", "stays", "--print"]
    printed = {"source infer": run(*sample)}
    touched = run("tagloom", "tags").splitlines()
    run("tagloom", "tags", "--check")
    printed["source check"] = run("tagloom", "source", "check")
    printed["source preview parking"] = run("tagloom", "source", "preview", "parking")
    output = run("tagloom.environment", sys.executable, "-c", STEPS)
    result = json.loads(output.rpartition("RESULT ")[2].splitlines()[0])
    printed["quarantine list --source parking"] = run("tagloom", "quarantine", "list", "--source", "parking")
    return Newcomer(checkout, home, touched, result, printed)


def test_the_rest_is_written_by_the_command(newcomer):
    assert newcomer.touched == [
        "wrote models/identity_mapping/identity_observations.sql",
        "wrote models/staging/parking/_parking__sources.yml",
        "wrote soda/skeleton/landing/parking/stays.yml",
    ]


@pytest.mark.parametrize("command", ["source preview parking", "quarantine list --source parking"])
def test_the_page_shows_what_is_printed(newcomer, command):
    shown = block_after_command(f"$ tagloom {command}\n")
    # How many bytes the file has depends on the program that compressed it.
    assert re.sub(r"[0-9]+ bytes", "227 bytes", newcomer.printed[command]) == shown


def test_the_page_shows_lines_of_the_draft(newcomer):
    shown = block_after_command("/2017-12-31.csv.gz --name parking --table stays\n").splitlines()
    assert len(shown) == 7
    assert set(shown) <= set(newcomer.printed["source infer"].splitlines())


def test_the_page_shows_how_many_declarations_are_in_order(newcomer):
    assert f"$ tagloom source check\n{newcomer.printed['source check']}" in PAGE.read_text(encoding="utf-8")


def test_the_dag_runs_and_runs_again(newcomer):
    assert newcomer.result["states"] == ["success", "success"]


def test_good_rows_land_typed_and_in_utc(newcomer):
    assert newcomer.rows(
        "select ticket_number, card_number, store_id, left_at::varchar, fee::varchar, _line from raw_parking.stays "
        "order by ticket_number"
    ) == [
        ("P000301", "623462547620", "406", "2017-12-31 10:43:00", "2.00", 2),
        ("P000302", "628300607023", "367", "2017-12-31 05:57:00", "2.00", 3),
        ("P000303", None, "32004", "2017-12-31 12:33:00", "3.50", 4),
        ("P000306", "623462547620", "367", "2017-12-31 14:02:00", "2.00", 7),
    ]


def test_bad_rows_are_in_quarantine_with_their_reason(newcomer):
    assert newcomer.rows(
        "select line, column_name, reason from operations.quarantine where source = 'parking' order by line"
    ) == [(5, "card_number", "does not match [0-9]{12}"), (6, "left_at", "is no timestamp")]


def test_every_row_is_accounted_for(newcomer):
    logged = newcomer.rows(
        "select rows_read, rows_landed, rows_quarantined, duplicates from operations.landing_log "
        "where source = 'parking' and status = 'landed'"
    )
    assert logged == [(6, 4, 2, 0)]


def test_staging_shows_them_in_our_words(newcomer):
    assert "stg_parking__stays" in newcomer.result["built"]
    assert newcomer.rows("select count(*), sum(fee_amount)::varchar from staging.stg_parking__stays") == [(4, "9.50")]


def test_identity_mapping_picks_its_identifiers_up(newcomer):
    assert newcomer.rows(
        "select identifier_type, records, is_blocked from identity_mapping.identity_observations "
        "where source = 'parking' order by records"
    ) == [("loyalty_card", 1, False), ("loyalty_card", 2, False)]


def test_whoever_shows_a_card_is_a_person(newcomer):
    assert newcomer.rows("select count(*), count(person_id) from identity_mapping.identity_map") == [(2, 2)]
