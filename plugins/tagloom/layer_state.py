"""Remembers what each layer was last built from, so that a repeated run skips what would come out the same.

A fingerprint has two parts: `<definitions>-<inputs>`. The first changes with the SQL and the settings that give values
their meaning, the second with anything that a build depends on.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tagloom.settings import PROJECT, Settings, identity_key
from tagloom.transform import LAYERS

if TYPE_CHECKING:
    import duckdb

DEFINITIONS = (
    ("dbt_project", ("*.sql", "*.py", "*.yml", "*.csv")),
    ("plugins/tagloom/identity", ("components.py", "partition.py", "households.py")),
)
"""Files that say what a value means."""

CODE = (*DEFINITIONS, ("plugins/tagloom", ("*.py",)), ("soda/contracts", ("*.yml",)), ("soda/skeleton", ("*.yml",)))

ENGINES = ("dbt-core", "dbt-duckdb", "duckdb", "numpy", "pandas", "splink")
"""Packages of which another version may give another value."""

UPDATED = "updated"
"""Second part of a fingerprint whose layer was changed by an update: no build gives it, so the next build is done."""

_TABLE = """
create schema if not exists operations;
create table if not exists operations.layer_state (layer varchar primary key, fingerprint varchar, as_of_date date);
create table if not exists operations.update_state (
    source varchar, table_name varchar, covered_until timestamp, covered_day date, primary key (source, table_name)
);
create table if not exists operations.layer_failures (layer varchar primary key, as_of_date date, run_id varchar);
"""


def inputs_fingerprint(connection: duckdb.DuckDBPyConnection, settings: Settings, as_of_date: date) -> str:
    """Hash of everything that a build depends on: the day, the landed rows, the code, the settings, the engines."""
    digest = hashlib.sha256(as_of_date.isoformat().encode())
    _add_files(digest, CODE)
    landed = connection.execute(
        "select source, table_name, first_day, end_day, fingerprint, logged_at from operations.landing_log "
        "where status = 'landed' order by all"
    ).fetchall()
    digest.update(str(landed).encode())
    return f"{definitions_fingerprint(settings)}-{digest.hexdigest()}"


def definitions_fingerprint(settings: Settings) -> str:
    """Hash of what gives values their meaning: the dbt project, the settings that it reads, the engines."""
    digest = hashlib.sha256()
    for fact in _facts(settings):
        digest.update(fact.encode() + b"\0")
    _add_files(digest, DEFINITIONS)
    return digest.hexdigest()[:16]


def is_current(connection: duckdb.DuckDBPyConnection, step: str, fingerprint: str) -> bool:
    """Whether the step was finished from just these inputs and nothing was begun since."""
    connection.execute(_TABLE)
    found = connection.execute("select fingerprint from operations.layer_state where layer = ?", [step]).fetchall()
    return found == [(fingerprint,)]


def begin(connection: duckdb.DuckDBPyConnection, step: str) -> None:
    """Forget the step and all that stands on it, before anything is changed: a kill then leaves nothing half true.

    Before identity mapping, the first layer of tables, is built, it is noted up to which row the build reaches: what
    lands later is left to the updates (`microbatch`).
    """
    connection.execute(_TABLE)
    connection.execute(
        "delete from operations.layer_state where list_contains($steps, layer)",
        {"steps": list(LAYERS[LAYERS.index(step) :])},
    )
    if step == LAYERS[1]:
        cover_what_landed(connection)


def finish(connection: duckdb.DuckDBPyConnection, step: str, fingerprint: str, as_of_date: date) -> None:
    """Remember that the step is built from these inputs and has passed its checks."""
    connection.execute(
        "insert or replace into operations.layer_state values (?, ?, ?)", [step, fingerprint, as_of_date]
    )


def note_checks(
    connection: duckdb.DuckDBPyConnection, layer: str, as_of_date: date, run_id: str, *, passed: bool
) -> None:
    """Remember whether the last checks of a layer, or of `landing`, have passed: until they do, nothing reads it."""
    connection.execute(_TABLE)
    if passed:
        connection.execute("delete from operations.layer_failures where layer = ?", [layer])
    else:
        connection.execute(
            "insert or replace into operations.layer_failures values (?, ?, ?)", [layer, as_of_date, run_id]
        )


def failed_checks(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """A sentence for every layer whose last checks have failed; none when all may be read."""
    connection.execute(_TABLE)
    rows = connection.execute(
        "select layer, as_of_date, run_id from operations.layer_failures order by layer"
    ).fetchall()
    return [
        f"Checks of {layer.replace('_', ' ')} for {day} have failed in run {run_id} and not passed since."
        for layer, day, run_id in rows
    ]


def reasons_not_to_publish(connection: duckdb.DuckDBPyConnection, as_of_date: date) -> list[str]:
    """Why the tables are no whole, checked version of that day, a sentence each; none when they are.

    Every layer must have been built and have passed its checks, and for the same day. An update may have taken
    identity mapping on to a later one since.
    """
    reasons = failed_checks(connection)
    built = last_build(connection)
    missing = [layer for layer in LAYERS if layer not in built]
    if missing:
        reasons.append(f"Not built, or not checked, since something below changed: {', '.join(missing)}.")
    others = {layer: built[layer][1] for layer in LAYERS if layer in built and built[layer][1] != as_of_date}
    if others.get(LAYERS[1], as_of_date) > as_of_date:
        del others[LAYERS[1]]
    reasons += [f"The tables of {layer} are of {day}, not of {as_of_date}." for layer, day in others.items()]
    return reasons


def last_build(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, date]]:
    """Layer -> definitions it was built with and the day it was built for; a layer that is not finished is missing."""
    connection.execute(_TABLE)
    rows = connection.execute("select layer, fingerprint, as_of_date from operations.layer_state").fetchall()
    return {layer: (fingerprint.partition("-")[0], day) for layer, fingerprint, day in rows}


def note_update(
    connection: duckdb.DuckDBPyConnection, layer: str | None = None, as_of_date: date | None = None
) -> None:
    """Say that an update changes tables of every layer: none is any more what a build would make of the same inputs.

    With a layer and a day: that this layer, built as a whole by an update, is now the one of that day.
    """
    connection.execute(
        "update operations.layer_state set fingerprint = concat(split_part(fingerprint, '-', 1), '-', $updated), "
        "as_of_date = if(layer = $layer, $day, as_of_date)",
        {"updated": UPDATED, "layer": layer or "", "day": as_of_date},
    )


def cover_what_landed(connection: duckdb.DuckDBPyConnection) -> None:
    """Note up to which row of each raw table the build that begins now reaches."""
    connection.execute(_TABLE)
    raw_tables = connection.execute(
        "select table_schema, table_name from information_schema.columns "
        "where column_name = '_landed_at' and starts_with(table_schema, 'raw_')"
    ).fetchall()
    connection.execute("delete from operations.update_state")
    connection.execute("drop table if exists operations.identity_before")
    for schema, name in raw_tables:
        connection.execute(
            f'insert into operations.update_state select $source, $name, max(_landed_at), null from {schema}."{name}"',
            {"source": schema.removeprefix("raw_"), "name": name},
        )
    # Updates move the table above; the next build goes on from where this one reaches.
    connection.execute("create or replace table operations.coming_coverage as from operations.update_state")


def _add_files(digest: hashlib._Hash, patterns: tuple) -> None:
    for path in _code_files(PROJECT, patterns):
        digest.update(path.relative_to(PROJECT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")


def _facts(settings: Settings) -> Iterator[str]:
    yield settings.time_zone
    yield os.environ.get("TAGLOOM_COUNTRY_CODE", "")
    yield hashlib.sha256(b"layer state" + identity_key()).hexdigest()
    yield from (
        f"{package} {version(package)}" for package in ("dbt-core", "dbt-duckdb", "duckdb", "numpy", "pandas", "splink")
    )


def _code_files(project: Path, wanted: tuple) -> list[Path]:
    return sorted(
        {path for folder, patterns in wanted for pattern in patterns for path in (project / folder).rglob(pattern)}
    )
