"""Tries another policy, or decisions, on a copy of the warehouse and says what they would change. Touches nothing else.

Both sides are built from the same rows for the same day, so that every difference is the policy's: when the warehouse
is not what a build would make of it now, the copy is first built with the policy that holds.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb

from tagloom import layer_state
from tagloom.identity import decisions as deciding
from tagloom.identity.decisions import DecisionError, Draft
from tagloom.identity.differences import IDENTITY, Simulation, compare, keep_before
from tagloom.identity.identifiers import IdentifierError, find_identifier, find_person
from tagloom.identity.policy import Policy, policy_files
from tagloom.operations import create_operations_tables
from tagloom.scratch import StopWatch, scratch_folder
from tagloom.settings import PROJECT, Settings, identity_key
from tagloom.sources import load_sources
from tagloom.transform import LAYERS, run_dbt
from tagloom.warehouse import open_warehouse

FOLDER = ".simulation-"
"""Begin of the name of the folder in the home that a simulation works in; its process id follows."""


class SimulationError(ValueError):
    """A simulation that cannot be done; the message says what to do first."""


def simulate(
    settings: Settings,
    policy: Policy,
    decisions: Path | None = None,
    *,
    only_identity: bool = False,
    say: Callable[[str], None] = lambda _text: None,
) -> Simulation:
    """Build a copy of the warehouse with this policy and these decisions, and compare it with what is.

    decisions: file with one decision a line, as on the command line: `never-link key:12 key:99`, `withdraw 3`.
    say: is told about every step.

    Raises SimulationError when no build is finished or the policy does not know a type that sources deliver,
    WarehouseBusyError when another process keeps the warehouse, DecisionError and IdentifierError for a line of
    decisions that cannot be tried, TransformError when a model fails.
    """
    _check_types(settings, policy)
    watch = StopWatch(say)
    with scratch_folder(settings.home, FOLDER) as folder:
        copy = replace(settings, home=folder)
        day, is_current = _copy_warehouse(settings, copy)
        watch.lap(f"copied the warehouse ({copy.warehouse.stat().st_size / 1e6:,.0f} MB), tags are of {day}")
        selection = _selection(only_identity)
        if not is_current:
            run_dbt(copy, selection, day)
            watch.lap("built the copy as a build would make it now: rows, decisions or definitions are newer")
        with open_warehouse(copy) as connection:
            keep_before(connection, only_identity)
            if decisions:
                _try_decisions(connection, decisions, policy)
        project = folder / "dbt_project"
        shutil.copytree(PROJECT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs"))
        for path, content in policy_files(policy).items():
            (project / path).write_text(content, encoding="utf-8")
        run_dbt(copy, selection, day, project=project)
        watch.lap(f"built it with policy {policy.version}")
        with open_warehouse(copy) as connection:
            found = compare(connection, day, only_identity)
        watch.lap("compared")
    return found


def _check_types(settings: Settings, policy: Policy) -> None:
    delivered = {
        identifier_type
        for source in load_sources(settings.sources)
        for table in source.tables
        for identifier_type in table.identifiers.values()
    }
    unknown = sorted(delivered - set(policy.identifier_types))
    if unknown:
        raise SimulationError(f"The policy does not know {', '.join(unknown)}, which sources deliver; add the entry.")


def _copy_warehouse(settings: Settings, copy: Settings) -> tuple[date, bool]:
    """Copy the file while nobody else can write it; the day of its tags, and whether a build now would change nothing.

    Raises SimulationError when no build is finished.
    """
    if not settings.warehouse.exists():
        raise SimulationError("Nothing is built yet; run `make demo` or build_tags first.")
    with open_warehouse(settings) as connection:
        layers = layer_state.last_build(connection)
        missing = [layer for layer in LAYERS if layer not in layers]
        if missing:
            raise SimulationError(
                f"No build is finished ({', '.join(missing)} missing): one is under way or has failed. Try again when "
                "build_tags is done."
            )
        connection.execute("checkpoint")
        needed, free = 2 * settings.warehouse.stat().st_size, shutil.disk_usage(copy.home).free
        if needed > free:
            raise SimulationError(
                f"The copy needs about {needed / 1e9:,.1f} GB in {settings.home}, where {free / 1e9:,.1f} GB are free."
            )
        shutil.copyfile(settings.warehouse, copy.warehouse)
    day = layers[IDENTITY][1]
    with open_warehouse(copy) as connection:
        create_operations_tables(connection)
        fingerprint = layer_state.inputs_fingerprint(connection, settings, day)
        return day, all(layer_state.is_current(connection, layer, fingerprint) for layer in LAYERS)


def _selection(only_identity: bool) -> list[str]:
    layers = LAYERS[:2] if only_identity else LAYERS
    paths = ["path:seeds", *(f"path:models/{layer}" for layer in layers)]
    return ["build", "--select", *paths, "--exclude-resource-type", "unit_test", "test", "--no-write-json"]


def _try_decisions(connection: duckdb.DuckDBPyConnection, file: Path, policy: Policy) -> None:
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        words = shlex.split(line, comments=True)
        if not words:
            continue
        try:
            if words[0] == "withdraw" and len(words) == 2 and words[1].isdecimal():
                deciding.withdraw(connection, int(words[1]), "simulation")
            else:
                deciding.write(connection, _drafts(connection, words, policy), "simulation", "simulation")
        except (DecisionError, IdentifierError) as error:
            raise type(error)(f"{file.name}, line {number}: {error}") from error


def _drafts(connection: duckdb.DuckDBPyConnection, words: list[str], policy: Policy) -> list[Draft]:
    verb, *texts = words
    if verb == "split" and len(texts) >= 2:
        person = find_person(connection, texts[0])
        return deciding.split(connection, person, [_found(connection, text, policy) for text in texts[1:]])
    makers = {"link": (2, deciding.link), "never-link": (2, deciding.never_link), "block": (1, deciding.block)}
    expected, make = makers.get(verb, (0, None))
    if make is None or len(texts) != expected:
        raise DecisionError(
            "Write link A B, never-link A B, block A, split PERSON A or withdraw BATCH; quote values with spaces."
        )
    return make(*(_found(connection, text, policy) for text in texts))


def _found(connection: duckdb.DuckDBPyConnection, text: str, policy: Policy):
    return find_identifier(connection, text, policy, identity_key())
