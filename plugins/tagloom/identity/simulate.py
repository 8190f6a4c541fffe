"""Tries another policy, or decisions, on a copy of the warehouse and says what they would change. Touches nothing else.

Both sides are built from the same rows for the same day, so that every difference is the policy's: when the warehouse
is not what a build would make of it now, the copy is first built with the policy that holds.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from tagloom import layer_state
from tagloom.identity import decisions as deciding
from tagloom.identity.decisions import DecisionError, Draft
from tagloom.identity.identifiers import IdentifierError, find_identifier, find_person, masked
from tagloom.identity.policy import Policy, policy_files
from tagloom.operations import create_operations_tables
from tagloom.settings import PROJECT, Settings, identity_key
from tagloom.sources import load_sources
from tagloom.text_table import text_table
from tagloom.transform import LAYERS, run_dbt
from tagloom.warehouse import open_warehouse

if TYPE_CHECKING:
    from types import FrameType

FOLDER = ".simulation-"
"""Begin of the name of the folder in the home that a simulation works in; its process id follows."""

SHOWN = 15
"""Rows of each list that the report prints."""

IDENTITY = LAYERS[1]


class SimulationError(ValueError):
    """A simulation that cannot be done; the message says what to do first."""


@dataclass(frozen=True)
class Persons:
    """How the persons differ."""

    before: int
    after: int
    merged: int
    """Persons of before that are one with others after."""
    merged_into: int
    """Persons that they became."""
    split: int
    """Persons of before whose identifiers are of several persons after."""
    split_into: int
    gone: int
    """Persons of before none of whose identifiers is anybody's after."""
    new: int
    """Persons after none of whose identifiers was anybody's."""
    moved_identifiers: int
    """Identifiers that are of another person, of somebody or of nobody after."""


@dataclass(frozen=True)
class Change:
    """How a number differs."""

    name: str
    before: float | None
    after: float | None
    entered: int = 0
    """Of an audience: members that were none before."""
    left: int = 0


@dataclass(frozen=True)
class Simulation:
    """What another policy or decisions would change."""

    as_of_date: date
    policy_before: str
    policy_after: str
    persons: Persons
    examples: tuple[tuple[str, str, str], ...]
    """What happens, with which identifiers, why."""
    tags: tuple[tuple[str, int], ...] | None
    """Tag and persons whose value differs, most first; None when tags were not compared."""
    audiences: tuple[Change, ...] | None
    metrics: tuple[Change, ...]
    """Those that differ."""
    seconds: dict[str, float] = field(default_factory=dict)


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
    watch = _StopWatch(say)
    with _working_folder(settings.home) as folder:
        copy = replace(settings, home=folder)
        day, is_current = _copy_warehouse(settings, copy)
        watch.lap(f"copied the warehouse ({copy.warehouse.stat().st_size / 1e6:,.0f} MB), tags are of {day}")
        selection = _selection(only_identity)
        if not is_current:
            run_dbt(copy, selection, day)
            watch.lap("built the copy as a build would make it now: rows, decisions or definitions are newer")
        with open_warehouse(copy) as connection:
            _keep_before(connection, only_identity)
            if decisions:
                _try_decisions(connection, decisions, policy)
        project = folder / "dbt_project"
        shutil.copytree(PROJECT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs"))
        for path, content in policy_files(policy).items():
            (project / path).write_text(content, encoding="utf-8")
        run_dbt(copy, selection, day, project=project)
        watch.lap(f"built it with policy {policy.version}")
        with open_warehouse(copy) as connection:
            found = _compare(connection, day, only_identity)
        watch.lap("compared")
    return replace(found, seconds=watch.seconds)


def report(found: Simulation) -> str:
    """The differences as text."""
    persons = found.persons
    same_policy = found.policy_before == found.policy_after
    parts = [
        f"Policy {found.policy_before}"
        + (", with the decisions tried," if same_policy else f" -> {found.policy_after}")
        + f" for {found.as_of_date}. Nothing was changed.",
        text_table(
            ("persons", "number"),
            [
                ("before", persons.before),
                ("after", persons.after),
                (f"merged (into {persons.merged_into:,})", persons.merged),
                (f"split (into {persons.split_into:,})", persons.split),
                ("gone", persons.gone),
                ("new", persons.new),
                ("identifiers that move", persons.moved_identifiers),
            ],
        ),
    ]
    if found.examples:
        parts.append(text_table(("for example", "identifiers", "why"), found.examples, widest=90))
    if found.tags is not None:
        parts.append(_tags_table(found.tags))
    if found.audiences is not None:
        rows = [(one.name, one.before, one.after, one.entered, one.left) for one in found.audiences]
        parts.append(text_table(("audience", "before", "after", "entered", "left"), rows, widest=60))
    if found.metrics:
        rows = [(one.name, _number(one.before), _number(one.after)) for one in found.metrics]
        parts.append(text_table(("metric", "before", "after"), rows, widest=60))
    return "\n\n".join(parts)


def _tags_table(tags: tuple[tuple[str, int], ...]) -> str:
    if not tags:
        return "No tag of a person who is there before and after changes."
    table = text_table(("tag", "persons whose value changes"), tags[:SHOWN], widest=60)
    rest = len(tags) - SHOWN
    return table + (f"\n{rest:,} more tags change." if rest > 0 else "")


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value == int(value) else f"{value:.4f}"


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


@contextmanager
def _working_folder(home: Path) -> Iterator[Path]:
    """A folder that is gone afterwards, also after Ctrl-C and after the signal that a service manager stops with."""
    for leftover in home.glob(f"{FOLDER}*"):
        if not _is_alive(leftover.name.removeprefix(FOLDER)):
            shutil.rmtree(leftover, ignore_errors=True)
    folder = home / f"{FOLDER}{os.getpid()}"
    with _interrupted_by_termination():
        try:
            folder.mkdir(parents=True)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _interrupted_by_termination() -> Iterator[None]:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = None
    # Only the main thread may set a handler; elsewhere nobody sends signals to us.
    with suppress(ValueError):
        before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


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


def _keep_before(connection: duckdb.DuckDBPyConnection, only_identity: bool) -> None:
    connection.execute("drop schema if exists before cascade")
    connection.execute("create schema before")
    tables = [(IDENTITY, "identity_map"), (IDENTITY, "identity_metrics"), ("seeds", "identity_policy")]
    if not only_identity:
        tables += [("tag_integration", "person_tags"), *(("serving", name) for name in _audiences(connection))]
    for schema, name in tables:
        connection.execute(f'create table before."{name}" as from {schema}."{name}"')
    connection.execute(
        "create table before.last_run as "
        f"select coalesce(max(run_number), 0) as run_number from {IDENTITY}.identity_changes"
    )


def _audiences(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute(
        "select table_name from duckdb_tables() where schema_name = 'serving' "
        "and starts_with(table_name, 'audience_') order by table_name"
    ).fetchall()
    return [name for (name,) in rows]


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


def _compare(connection: duckdb.DuckDBPyConnection, day: date, only_identity: bool) -> Simulation:
    versions = [
        connection.execute(f"select max(policy_version) from {schema}.identity_policy").fetchall()[0][0]
        for schema in ("before", "seeds")
    ]
    return Simulation(
        day,
        *versions,
        persons=compare_persons(connection),
        examples=_examples(connection),
        tags=None if only_identity else compare_tags(connection),
        audiences=None
        if only_identity
        else tuple(_compare_audience(connection, name) for name in _audiences(connection)),
        metrics=_compare_metrics(connection, day),
    )


def compare_persons(connection: duckdb.DuckDBPyConnection) -> Persons:
    """Compare before.identity_map with identity_mapping.identity_map, by their identifiers."""
    row = connection.execute(
        f"""
        with pairs as (
            select before.person_id as old, mapped.person_id as new, count(*) as identifiers
            from before.identity_map as before
            full join {IDENTITY}.identity_map as mapped using (identifier_key)
            group by all
        ),
        olds as (
            select old, count(new) as parts from pairs where old is not null group by old
        ),
        news as (
            select new, count(old) as parts from pairs where new is not null group by new
        )
        select
            (select count(*) from olds),
            (select count(*) from news),
            (select count(distinct old) from pairs where new in (select new from news where parts > 1)),
            (select count(*) from news where parts > 1),
            (select count(*) from olds where parts > 1),
            (select count(distinct new) from pairs where old in (select old from olds where parts > 1)),
            (select count(*) from olds where parts = 0),
            (select count(*) from news where parts = 0),
            (select coalesce(sum(identifiers), 0)::bigint from pairs where old is distinct from new)
        """
    ).fetchall()[0]
    return Persons(*row)


def compare_tags(connection: duckdb.DuckDBPyConnection) -> tuple[tuple[str, int], ...]:
    """Tags whose values differ for persons that are in before.person_tags and in tag_integration.person_tags."""
    columns = [
        name
        for (name,) in connection.execute(
            """
            select column_name from duckdb_columns()
            where schema_name in ('before', 'tag_integration') and table_name = 'person_tags'
                and column_name <> 'person_id'
            group by column_name having count(*) = 2 order by column_name
            """
        ).fetchall()
    ]
    counts = ", ".join(f'count_if(one."{name}" is distinct from other."{name}")' for name in columns)
    row = connection.execute(
        f"select {counts} from before.person_tags as one inner join tag_integration.person_tags as other "
        "using (person_id)"
    ).fetchall()[0]
    changed = [(name, number) for name, number in zip(columns, row, strict=True) if number]
    return tuple(sorted(changed, key=lambda one: (-one[1], one[0])))


def _compare_audience(connection: duckdb.DuckDBPyConnection, name: str) -> Change:
    [(key,)] = connection.execute(
        "select first(column_name order by column_index) from duckdb_columns() "
        "where schema_name = 'serving' and table_name = ?",
        [name],
    ).fetchall()
    row = connection.execute(
        f"""
        select count(one."{key}"), count(other."{key}"), count_if(one."{key}" is null), count_if(other."{key}" is null)
        from before."{name}" as one full join serving."{name}" as other on one."{key}" = other."{key}"
        """
    ).fetchall()[0]
    return Change(name.removeprefix("audience_"), *row)


def _compare_metrics(connection: duckdb.DuckDBPyConnection, day: date) -> tuple[Change, ...]:
    rows = connection.execute(
        f"""
        select metric, one.value, other.value
        from (from before.identity_metrics where as_of_date = $day) as one
        full join (from {IDENTITY}.identity_metrics where as_of_date = $day) as other using (metric)
        where one.value is distinct from other.value
            -- These count what happened on the day: in the copy the simulation itself happened, too.
            and not starts_with(metric, 'changes_') and metric <> 'churn'
        order by metric
        """,
        {"day": day},
    ).fetchall()
    return tuple(Change(*row) for row in rows)


def _examples(connection: duckdb.DuckDBPyConnection) -> tuple[tuple[str, str, str], ...]:
    """The largest merges and splits, as identity mapping wrote them down in the copy."""
    rows = connection.execute(
        f"""
        select kind, person_id, other_person_id, identifiers, left_key, right_key, because
        from {IDENTITY}.identity_changes
        where run_number > (select run_number from before.last_run) and kind in ('merge', 'split', 'reassign')
        qualify row_number() over (partition by kind order by identifiers desc, person_id, other_person_id) <= 5
        order by kind, identifiers desc, person_id, other_person_id
        """
    ).fetchall()
    names = {
        key: f"{identifier_type} key:{key} ({masked(hashed)})"
        for key, identifier_type, hashed in connection.execute(
            f"select identifier_key, identifier_type, identifier_hash from {IDENTITY}.identity_registry "
            "where list_contains($keys, identifier_key)",
            {"keys": [key for row in rows for key in row[4:6] if key is not None]},
        ).fetchall()
    }
    return tuple(
        (
            f"{kind} person {person}"
            + (f" and {other}" if other is not None else "")
            + f", {identifiers:,} identifiers",
            " - ".join(names[key] for key in (left, right) if key in names),
            because or "",
        )
        for kind, person, other, identifiers, left, right, because in rows
    )


class _StopWatch:
    """Says what was done and how long it took."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._say = say
        self._last = time.monotonic()

    def lap(self, text: str) -> None:
        now = time.monotonic()
        self.seconds[text] = round(now - self._last, 1)
        self._say(f"[{now - self._last:6.1f} s] {text}")
        self._last = now
