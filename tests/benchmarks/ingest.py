"""What landing costs: rows per second with every check on, against DuckDB reading the same file into a bare table.

`make bench-ingest`. Both read 20 million events, from CSV and from Parquet, each in a process and a database of its
own, alternating, best of three; the ratio of processor time is shown too, because other work on the machine distorts it
less. Then the same CSV with a bad row in every hundred thousand, which are looked for in a second reading. At last a
file ten times as large as DuckDB's memory limit is landed, and the process's largest size is shown.
"""

from __future__ import annotations

import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
from tagloom.landing.land import land_source
from tagloom.settings import Settings, load_settings
from tagloom.sources import Source
from tagloom.warehouse import open_warehouse

ROWS = 20_000_000
ROUNDS = 3
DAY = date(2017, 7, 1)
BAD_ROW_EVERY = 100_003
"""In the file with bad rows; a prime, so that they fall everywhere."""

TARGET = 0.6

EVENTS = """
select
    case when {bad} and i % {every} = 1 then null else 'E' || lpad(cast(i as varchar), 9, '0') end as event_id,
    'W' || lpad(cast(hash(i) % 600000 as varchar), 6, '0') as web_user_id,
    case hash(i + 1) % 4 when 0 then 'search' when 1 then 'add_to_cart' when 2 then 'purchase' else 'product_view' end
        as event,
    case hash(i + 2) % 3 when 0 then 'desktop' when 1 then 'mobile' else 'tablet' end as platform,
    case hash(i + 3) % 4 when 0 then 'direct' when 1 then 'email' when 2 then 'paid_search' else 'organic' end
        as channel,
    timestamp '2017-07-01' + to_seconds(i // 240) as occurred_at,
    cast(hash(i + 5) % 10000 / 100 as decimal(8, 2)) as amount
from range({rows}) as numbers(i)
"""

BARE = {
    "csv": "create table events as select * from read_csv('{file}')",
    "parquet": "create table events as select * from read_parquet('{file}')",
}


def declaration(file_format: str) -> Source:
    """The events, with a check on nearly every column."""
    columns = [
        {"name": "event_id", "type": "text", "required": True, "pattern": "E[0-9]{9}"},
        {"name": "web_user_id", "type": "text", "required": True, "pattern": "W[0-9]{6}"},
        {"name": "event", "type": "text", "required": True},
        {"name": "platform", "type": "text", "required": True, "pattern": "desktop|mobile|tablet"},
        {"name": "channel", "type": "text", "required": True},
        {"name": "occurred_at", "type": "timestamp", "required": True},
        {"name": "amount", "type": "decimal(8,2)"},
    ]
    table = {
        "name": "events",
        "title": "Events",
        "reader": {"kind": "files", "format": file_format, "path": f"{{date}}.{file_format}"},
        "grain": "event",
        "primary_key": ["event_id"],
        "event_time": "occurred_at",
        "columns": columns,
    }
    words = {"title": "Bench", "title_zh": "基准", "owner": "bench@example.com", "party": "first"}
    return Source.model_validate(
        {"name": "bench", **words, "consent_basis": "none", "licence": "none", "tables": [table]}
    )


def main() -> int:
    """Measure and print; 1 when the target is missed."""
    if len(sys.argv) > 1:
        return child(*sys.argv[1:])
    # Opening a warehouse needs a key; nothing is hashed here.
    os.environ.setdefault("TAGLOOM_IDENTITY_KEY", secrets.token_hex(32))
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as name:
        folder = Path(name)
        print(f"Writing {ROWS:,} events as CSV and Parquet", flush=True)
        files = write_events(folder)
        reached = True
        for name, file in files.items():
            runs: dict[str, list[dict]] = {"bare": [], "landing": []}
            for _ in range(ROUNDS):
                for what in runs:
                    measured = run(what, file)
                    runs[what].append(measured)
                    times = f"{measured['seconds']:6.1f} s {measured['cpu']:6.1f} CPU s"
                    print(f"  {name:17} {what:8} {times}  {measured['said']}", flush=True)
            bare, landing = (min(run["seconds"] for run in runs[what]) for what in runs)
            ratio = bare / landing
            of_cpu = min(run["cpu"] for run in runs["bare"]) / min(run["cpu"] for run in runs["landing"])
            wanted = ""
            if name in BARE:
                reached &= ratio >= TARGET
                wanted = f" (wanted: {TARGET} or more)"
            print(
                f"{name}: {ROWS / landing / 1e6:.2f} million rows/s landed, {ROWS / bare / 1e6:.2f} into a bare "
                f"table, ratio {ratio:.2f}{wanted}, {of_cpu:.2f} in processor time",
                flush=True,
            )
        size = files["csv"].stat().st_size / 2**20
        limit = max(int(size / 10), 64)
        measured = run("landing", files["csv"], memory_limit=f"{limit}MB")
        print(
            f"memory: {size:,.0f} MB of CSV with DuckDB's memory limit at {limit} MB: {measured['seconds']:.1f} s, "
            f"process at most {measured['megabytes']:,.0f} MB"
        )
        return 0 if reached else 1


def write_events(folder: Path) -> dict[str, Path]:
    """Name of the case -> file; each is alone in the landing folder of its own."""
    files = {
        "csv": folder / "clean_csv" / "bench" / f"{DAY}.csv",
        "parquet": folder / "clean_parquet" / "bench" / f"{DAY}.parquet",
        "csv with bad rows": folder / "bad_csv" / "bench" / f"{DAY}.csv",
    }
    with duckdb.connect() as connection:
        for name, file in files.items():
            file.parent.mkdir(parents=True)
            query = EVENTS.format(rows=ROWS, bad="bad" in name, every=BAD_ROW_EVERY)
            options = "format parquet" if file.suffix == ".parquet" else "header"
            connection.execute(f"copy ({query}) to '{file}' ({options})")
    return files


def run(what: str, file: Path, memory_limit: str = "") -> dict:
    """Measure one load in a process of its own."""
    command = [sys.executable, __file__, what, str(file), memory_limit]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    if outcome.returncode:
        raise SystemExit(outcome.stderr)
    return json.loads(outcome.stdout)


def child(what: str, file: str, memory_limit: str) -> int:
    """Load once and print what it took as JSON."""
    # DuckDB looks for both before it reads from an Arrow stream. Tasks are forked from a scheduler that has them.
    import pandas  # noqa: F401
    import pyarrow.dataset  # noqa: F401

    file_format = Path(file).suffix[1:]
    with tempfile.TemporaryDirectory(prefix="bench-home-", dir=Path(file).parents[2]) as home:
        settings = replace(load_settings(), home=Path(home), landing=Path(file).parents[1])
        settings = replace(settings, memory_limit=memory_limit) if memory_limit else settings
        started, cpu = time.monotonic(), time.process_time()
        said = bare(settings, file_format, file) if what == "bare" else land(settings, file_format)
        seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "said": said, "megabytes": size}))
    return 0


def bare(settings: Settings, file_format: str, file: str) -> str:
    """What DuckDB does by itself: it guesses the types and checks nothing."""
    with open_warehouse(settings) as connection:
        (rows,) = connection.execute(BARE[file_format].format(file=file)).fetchall()[0]
    return f"{rows:,} rows"


def land(settings: Settings, file_format: str) -> str:
    """What a run does."""
    with open_warehouse(settings) as connection:
        (landing,) = land_source(connection, settings, declaration(file_format), DAY, date(2017, 7, 2), "bench")
    return f"{landing.rows_landed:,} rows, {landing.rows_quarantined:,} in quarantine"


if __name__ == "__main__":
    sys.exit(main())
