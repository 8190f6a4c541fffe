"""Remembers what each layer was last built from, so that a repeated run skips what would come out the same."""

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

STEPS = (*LAYERS, "document")
"""The layers and what follows from them, in order: when one is built again, what stands on it is forgotten."""

CODE = (
    ("dbt_project", ("*.sql", "*.py", "*.yml", "*.csv")),
    ("plugins/tagloom", ("*.py",)),
    ("soda/contracts", ("*.yml",)),
)

_TABLE = """
create schema if not exists operations;
create table if not exists operations.layer_state (layer varchar primary key, fingerprint varchar, as_of_date date);
"""


def inputs_fingerprint(connection: duckdb.DuckDBPyConnection, settings: Settings, as_of_date: date) -> str:
    """Hash of everything that a build depends on: the day, the landed rows, the code, the settings, the engines."""
    digest = hashlib.sha256()
    for fact in _facts(settings, as_of_date):
        digest.update(fact.encode() + b"\0")
    for path in _code_files(PROJECT):
        digest.update(path.relative_to(PROJECT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    landed = connection.execute(
        "select source, table_name, first_day, end_day, fingerprint, logged_at from operations.landing_log "
        "where status = 'landed' order by all"
    ).fetchall()
    digest.update(str(landed).encode())
    return digest.hexdigest()


def is_current(connection: duckdb.DuckDBPyConnection, step: str, fingerprint: str) -> bool:
    """Whether the step was finished from just these inputs and nothing was begun since."""
    connection.execute(_TABLE)
    found = connection.execute("select fingerprint from operations.layer_state where layer = ?", [step]).fetchall()
    return found == [(fingerprint,)]


def begin(connection: duckdb.DuckDBPyConnection, step: str) -> None:
    """Forget the step and all that stands on it, before anything is changed: a kill then leaves nothing half true."""
    connection.execute(_TABLE)
    connection.execute(
        "delete from operations.layer_state where list_contains($steps, layer)",
        {"steps": list(STEPS[STEPS.index(step) :])},
    )


def finish(connection: duckdb.DuckDBPyConnection, step: str, fingerprint: str, as_of_date: date) -> None:
    """Remember that the step is built from these inputs and has passed its checks."""
    connection.execute(
        "insert or replace into operations.layer_state values (?, ?, ?)", [step, fingerprint, as_of_date]
    )


def _facts(settings: Settings, as_of_date: date) -> Iterator[str]:
    yield as_of_date.isoformat()
    yield settings.time_zone
    yield os.environ.get("TAGLOOM_COUNTRY_CODE", "")
    yield hashlib.sha256(b"layer state" + identity_key()).hexdigest()
    yield from (f"{package} {version(package)}" for package in ("dbt-core", "dbt-duckdb", "duckdb", "numpy", "pandas"))


def _code_files(project: Path) -> list[Path]:
    return sorted(
        path for folder, patterns in CODE for pattern in patterns for path in (project / folder).rglob(pattern)
    )
