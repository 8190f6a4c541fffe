"""What all tags cost, against hand-written minimal scans of the same facts, pandas, more persons, and a single day.

`make bench-tags`. `tag_world` lands the systems of a retailer; the models of dbt_project build facts and tags from it.
Each way runs in a process of its own; counted are seconds of processor time (without the imports) and the largest size
of the process. `tags_by_hand` computes from the same facts the numbers behind all tags, in few passes, and
`tags_in_pandas` ten of the tags; both must have found what the tags say. Then a day is added on which 1 % of the
persons are active, and facts and tags are brought up to date as build_tags does it.

`make bench-tags PERSONS="62500 250000 1000000"` measures other sizes. 1,000,000 persons have 100 million order lines
and events and need 30 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tagloom import day_build
from tagloom.lineage import load_manifest
from tagloom.settings import Settings, load_settings
from tagloom.transform import NodeResult, run_dbt
from tagloom.warehouse import open_warehouse

from tests.benchmarks import tags_by_hand
from tests.benchmarks.tag_world import AS_OF_DATE, NEXT_DAY, add_next_day, count_facts, make_world

TARGETS = {
    "all tags' CPU / minimal scans'": ("<=", 1.5),
    "ten tags: pandas' CPU / ours": (">=", 10.0),
    "exponent of growth": ("<=", 1.1),
    "memory, GB": ("<=", 8.0),
    "a day, share of a full run": ("<=", 0.1),
}

JUDGED_FROM = 1_000_000
"""Persons; with fewer of them what each process and each model costs is the larger part, so ratios are only shown."""

PANDAS_UNTIL = 62_500
"""Persons; a function per person takes pandas minutes then."""

MEMORY_LIMIT = "5GB"
"""Of DuckDB; Python, dbt and what DuckDB does not count come on top."""

KEY = "benchmark-key-0123456789-0123456789-0123456789"

PREPARED = (
    "int_categories_bought",
    "int_category_baselines",
    "int_category_months",
    "int_order_history",
    "int_product_months",
    "int_products_bought",
    "int_store_months",
)
"""Facts that only tags are added up from: what they cost counts as theirs, as it does by hand."""

WIDE = ("person", "household", "product", "store")
"""Folders of tag_integration with the wide tables."""

SHOWN = 15
"""Models of which seconds are printed, the slowest first."""


def main() -> int:
    """Measure and print; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("persons", nargs="*", type=int, default=[62_500, 250_000, 1_000_000])
    parser.add_argument("--keep", type=Path, help="folder for the warehouses (default: deleted)")
    arguments = parser.parse_args()
    reached = True
    costs: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory(prefix="bench-tags-") as name:
        folder = arguments.keep or Path(name)
        for persons in arguments.persons:
            home = folder / str(persons)
            facts, measured = measure(home, persons)
            costs.append((facts, measured["facts"]["cpu"] + measured["tags"]["cpu"]))
            reached &= report(persons, measured)
            if not arguments.keep:
                shutil.rmtree(home)
    if len(costs) > 1:
        reached &= say(
            "exponent of growth", math.log(costs[-1][1] / costs[0][1]) / math.log(costs[-1][0] / costs[0][0])
        )
    return 0 if reached else 1


def measure(home: Path, persons: int) -> tuple[int, dict[str, dict]]:
    """Number of order lines and events, and what each way took: name -> cpu, seconds, megabytes, models."""
    facts = run("world", home, persons)["facts"]
    print(f"\n{persons:,} persons, {facts:,} order lines and events", flush=True)
    print(f"  {'':34}{'CPU s':>8}{'wall s':>8}{'MB':>8}", flush=True)
    measured = {}
    for way, what in WAYS.items():
        if way in ("ten", "pandas") and persons > PANDAS_UNTIL:
            continue
        measured[way] = run(way, home, persons)
        show(what, measured[way])
    return facts, measured


WAYS = {
    "facts": "facts (intermediate)",
    "tags": "all tags, with wide tables",
    "hand": "minimal scans, with a wide table",
    "ten": "ten of the tags",
    "pandas": "the same ten in pandas",
    "records": "statistics and history",
    "tests": "laws across all of it",
    "day": "a day later, facts and tags",
}
"""In this order: each finds what those before it have made."""


def report(persons: int, measured: dict[str, dict]) -> bool:
    """Print the ratios; False when one that counts is outside its target."""
    full = sum(measured[way]["cpu"] for way in ("facts", "tags", "records", "tests"))
    outcomes = [
        say("all tags' CPU / minimal scans'", measured["tags"]["cpu"] / measured["hand"]["cpu"]),
        say("a day, share of a full run", measured["day"]["cpu"] / full),
    ]
    if "ten" in measured:
        ten, pandas = measured["ten"]["cpu"], measured["pandas"]
        outcomes.append(say("ten tags: pandas' CPU / ours", pandas["cpu"] / ten) or persons < PANDAS_UNTIL)
        print(f"  {'ten tags: pandas without functions / ours':42}{pandas['whole_columns'] / ten:7.2f}", flush=True)
    memory = say("memory, GB", max(outcome["megabytes"] for way, outcome in measured.items() if way != "pandas") / 1000)
    return memory and (all(outcomes) or persons < JUDGED_FROM)


def say(what: str, value: float) -> bool:
    """Print a ratio beside its target; whether it is inside."""
    sign, target = TARGETS[what]
    reached = value >= target if sign == ">=" else value <= target
    print(f"  {what:42}{value:7.2f}  (wanted: {sign} {target}){'' if reached else '  MISSED'}", flush=True)
    return reached


def show(what: str, outcome: dict) -> None:
    """Print what one way took, and its slowest models."""
    print(f"  {what:34}{outcome['cpu']:8.1f}{outcome['seconds']:8.1f}{outcome['megabytes']:8.0f}", flush=True)
    for line in outcome.get("notes", ()):
        print(f"      {line}", flush=True)
    slowest = sorted(outcome.get("models", {}).items(), key=lambda pair: -pair[1])[:SHOWN]
    if slowest:
        print(f"      {', '.join(f'{name} {seconds:.1f}' for name, seconds in slowest)}", flush=True)


def run(way: str, home: Path, persons: int) -> dict:
    """One way in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TAGLOOM_", "DBT_"))}
    environment |= {
        "TAGLOOM_HOME": str(home),
        "TAGLOOM_MEMORY_LIMIT": MEMORY_LIMIT,
        "TAGLOOM_IDENTITY_KEY": KEY,
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, __file__, "--child", way, str(persons)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if outcome.returncode:
        raise SystemExit(f"{' '.join(command)}\n{outcome.stdout[-3000:]}{outcome.stderr[-3000:]}")
    return json.loads(outcome.stdout.splitlines()[-1])


@contextmanager
def counted(outcome: dict) -> Iterator[None]:
    """Put CPU and wall seconds of a block, and the size of the process after it, into the outcome."""
    cpu, seconds = time.process_time(), time.monotonic()
    yield
    outcome["cpu"] = outcome.get("cpu", 0) + time.process_time() - cpu
    outcome["seconds"] = outcome.get("seconds", 0) + time.monotonic() - seconds
    outcome["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def child(way: str, persons: int) -> None:
    """Do one way and print what it took as JSON."""
    ways: dict[str, Callable[[Settings, int], dict]] = {
        "world": world, "facts": facts, "tags": tags, "records": records, "tests": tests,
        "hand": hand, "ten": ten, "pandas": pandas, "day": day,
    }  # fmt: skip
    # Imports are paid once by a process that does more than this.
    import dbt.cli.main  # noqa: F401
    import pandas as _  # noqa: F401

    logging.disable(logging.INFO)
    print(json.dumps(ways[way](load_settings(), persons)))


def world(settings: Settings, persons: int) -> dict:
    """What landed and who is who; kept from an earlier run when it is there."""
    settings.make_folders()
    if not settings.warehouse.exists():
        with open_warehouse(settings) as connection:
            make_world(connection, persons)
    with open_warehouse(settings) as connection:
        return {"facts": count_facts(connection)}


def facts(settings: Settings, persons: int) -> dict:
    """The facts, over staging views; what those and the seeds cost is not counted."""
    del persons
    run_dbt(
        settings,
        ["build", "--select", "path:models/staging", "path:seeds", "person_common_places", *_WITHOUT_TESTS],
        AS_OF_DATE,
    )
    return _built(settings, [name for name in _models(settings, "intermediate") if name not in PREPARED])


def tags(settings: Settings, persons: int) -> dict:
    """All tag models and the wide tables of all objects."""
    del persons
    return _built(settings, [*PREPARED, "path:models/tag_category", *_wide_tables(settings)])


def records(settings: Settings, persons: int) -> dict:
    """What a full build keeps about the tags: catalogue, statistics, history. Then the build is finished."""
    del persons
    others = [name for name in _models(settings, "tag_integration") if name not in _wide_tables(settings)]
    outcome = _built(settings, others)
    with open_warehouse(settings) as connection:
        day_build.finish(connection, settings, AS_OF_DATE)
    return outcome


def tests(settings: Settings, persons: int) -> dict:
    """The laws across tables that a full build runs with its models."""
    del persons
    layers = [f"path:models/{layer}" for layer in day_build.LAYERS]
    outcome: dict = {}
    with counted(outcome):
        run_dbt(settings, ["test", "--select", *[f"{layer},test_type:singular" for layer in layers]], AS_OF_DATE)
    return outcome


def day(settings: Settings, persons: int) -> dict:
    """Facts, tags, statistics and history for NEXT_DAY with their laws, as build_tags goes on from a build."""
    with open_warehouse(settings) as connection:
        add_next_day(connection, persons)
    outcome: dict = {"models": {}, "notes": []}
    with counted(outcome):
        for layer in day_build.LAYERS:
            built = day_build.build_layer_of_day(settings, layer, NEXT_DAY)
            if built.plan.is_full:
                raise SystemExit(f"{layer} was built in full: {built.plan.reason}")
            outcome["models"] |= _seconds(built.nodes)
            outcome["notes"].append(f"{layer}: {built.persons:,} persons; for everybody: {', '.join(built.whole)}")
    return outcome


def hand(settings: Settings, persons: int) -> dict:
    """The minimal scans; what they found must be what the tags say."""
    del persons
    outcome: dict = {}
    with open_warehouse(settings) as connection:
        with counted(outcome):
            tags_by_hand.fill(connection, AS_OF_DATE)
        _agree(tags_by_hand.differences(connection))
        connection.execute(f"drop schema {tags_by_hand.SCHEMA} cascade")
    return outcome


def ten(settings: Settings, persons: int) -> dict:
    """Ten of the tags by the SQL of their models, which is asked for these columns alone."""
    del persons
    from tests.benchmarks.tags_in_pandas import BEHIND, TAGS

    nodes = {node["name"]: node for node in load_manifest(settings.dbt_target / "manifest.json")["nodes"].values()}
    outcome: dict = {}
    with open_warehouse(settings) as connection, counted(outcome):
        for model in (*BEHIND, *TAGS):
            compiled = settings.dbt_target / "compiled" / "tagloom" / nodes[model]["original_file_path"]
            columns = f"person_id, {TAGS[model]}" if model in TAGS else "*"
            connection.execute(f"create temp table ten_{model} as select {columns} from ({compiled.read_text()})")
    return outcome


def pandas(settings: Settings, persons: int) -> dict:
    """The same ten tags in pandas, with and without functions per person."""
    del persons
    from tests.benchmarks import tags_in_pandas

    folder = settings.home / "parquet"
    folder.mkdir(exist_ok=True)
    with open_warehouse(settings) as connection:
        tags_in_pandas.export(connection, folder)
    whole: dict = {}
    with counted(whole):
        found = tags_in_pandas.ten_tags(folder, AS_OF_DATE, whole_columns=True)
    with open_warehouse(settings) as connection:
        _agree(tags_in_pandas.differences(connection, found))
    outcome = {"whole_columns": whole["cpu"], "notes": [f"without a function per person: {whole['cpu']:.1f} CPU s"]}
    with counted(outcome):
        tags_in_pandas.ten_tags(folder, AS_OF_DATE, whole_columns=False)
    shutil.rmtree(folder)
    return outcome


_WITHOUT_TESTS = ("--exclude-resource-type", "unit_test", "--exclude-resource-type", "test")


def _built(settings: Settings, selection: list[str]) -> dict:
    """Build models without their data tests."""
    outcome: dict = {}
    with counted(outcome):
        nodes = run_dbt(settings, ["build", "--select", *selection, *_WITHOUT_TESTS], AS_OF_DATE)
    return outcome | {"models": _seconds(nodes)}


def _seconds(nodes: list[NodeResult]) -> dict[str, float]:
    return {node.name: node.seconds for node in nodes if node.kind == "model"}


def _models(settings: Settings, layer: str) -> list[str]:
    nodes = load_manifest(settings.dbt_target / "manifest.json")["nodes"].values()
    return [node["name"] for node in nodes if node["resource_type"] == "model" and node["schema"] == layer]


def _wide_tables(settings: Settings) -> list[str]:
    objects = tuple(f"{name}_tags" for name in WIDE)
    return [
        name
        for name in _models(settings, "tag_integration")
        if name.startswith(objects) and not name.endswith("_history")
    ]


def _agree(differences: list[str]) -> None:
    if differences:
        raise SystemExit("\n".join(differences))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(main())
