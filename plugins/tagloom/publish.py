"""Publishes the checked tables as one read-only DuckDB file a version; one atomic rename points readers to it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import duckdb

from tagloom.lineage import load_manifest
from tagloom.settings import Settings
from tagloom.warehouse import open_warehouse

POINTER = "CURRENT.json"

OF_THE_RUN = ("_landed_at", "logged_at", "run_seconds", "cost", "quality")
"""Columns that are others each time the same is built; cost and quality of a tag follow from its run_seconds."""

STORAGE_VERSION = "v1.4.0"
"""Format of the published file: older than DuckDB 2's own, so that other tools of the house can open it."""

PUBLISHED_SCHEMAS = ("tag_integration", "serving")
"""Schemas whose tables readers see. Nothing in them is personal data in the clear but serving.export_* (not copied)."""


@dataclass(frozen=True)
class Version:
    """One published version."""

    name: str
    file: str
    as_of_date: str
    tables: dict[str, int]
    """Table (schema.name) -> rows."""


def publish(settings: Settings, as_of_date: date) -> Version:
    """Copy tag_integration and serving into tags-<version>.duckdb and make it the current version.

    Views, such as the wide tables over their parts, become tables: a reader opens one file and computes nothing.
    Models that say `meta: {published: false}` in dbt's manifest stay behind.

    The version's name holds a hash of the content: publishing the same content again changes nothing. A reader that has
    an older version open keeps it; files are removed when they have been out of use for settings.keep_days days.

    Raises duckdb.Error or OSError; the version that was current before then stays current.
    """
    settings.published.mkdir(parents=True, exist_ok=True)
    draft = settings.published / f".draft-{os.getpid()}.duckdb"
    draft.unlink(missing_ok=True)
    try:
        with open_warehouse(settings) as connection:
            tables = _tables(connection, _unpublished(settings))
            content = hashlib.sha256()
            connection.execute(f"attach '{draft}' as version (storage_version '{STORAGE_VERSION}')")
            for schema, name, key in tables:
                connection.execute(f"create schema if not exists version.{schema}")
                order = f" order by {key}" if key else " order by all"
                connection.execute(f'create table version.{schema}."{name}" as from {schema}."{name}"{order}')
                # Of the copy: a view is computed once.
                hashed = table_hash(connection, schema, name, "version")
                content.update(f"{schema}.{name} {hashed}\n".encode())
            rows = {
                f"{schema}.{name}": connection.execute(f'select count(*) from version.{schema}."{name}"').fetchall()[0][
                    0
                ]
                for schema, name, _ in tables
            }
            label = f"{as_of_date:%Y%m%d}-{content.hexdigest()[:8]}"
            version = Version(label, f"tags-{label}.duckdb", as_of_date.isoformat(), rows)
            connection.execute(
                "create table version.main.version as select $name as name, $day::date as as_of_date",
                {"name": label, "day": version.as_of_date},
            )
            connection.execute("checkpoint version")
            connection.execute("detach version")
        draft.replace(settings.published / version.file)
    finally:
        draft.unlink(missing_ok=True)
    _point_to(settings, version)
    _remove_old(settings, version)
    return version


def current_version(settings: Settings) -> Version | None:
    """The version that readers use now, None before the first publish."""
    try:
        return Version(**json.loads((settings.published / POINTER).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def open_current(settings: Settings) -> duckdb.DuckDBPyConnection:
    """Open the current version read-only, with no way out to files or the network.

    Raises FileNotFoundError before the first publish.
    """
    version = current_version(settings)
    if version is None:
        raise FileNotFoundError(f"Nothing is published in {settings.published} yet; run build_tags first.")
    return duckdb.connect(
        str(settings.published / version.file),
        read_only=True,
        config={"enable_external_access": False, "lock_configuration": True, "threads": settings.threads},
    )


def table_hash(connection: duckdb.DuckDBPyConnection, schema: str, name: str, database: str | None = None) -> str:
    """Hash of a table's columns and rows, whatever the order of the rows.

    Columns that say when something ran, how long it took, or follow from that (OF_THE_RUN) do not count. `database` is
    the name of an attached one; without it, the connection's own.
    """
    columns = connection.execute(
        "select column_name, data_type from duckdb_columns() "
        "where database_name = coalesce(?, current_database()) "
        "and schema_name = ? and table_name = ? and not list_contains(?, column_name) "
        "order by column_index",
        [database, schema, name, list(OF_THE_RUN)],
    ).fetchall()
    listed = ", ".join(f'"{column}"' for column, _ in columns)
    # A renamed or retyped column is new content too: readers that have the old version open must not mix the two up.
    declared = hashlib.sha256(str(columns).encode()).hexdigest()[:16]
    # Sums of two halves of a row's md5: order does not matter, and two equal rows do not cancel each other out.
    row = f"md5(row({listed})::varchar)"
    halves = [f"sum(('0x' || substr({row}, {start}, 15))::bigint::hugeint)" for start in (1, 17)]
    first, second, rows = connection.execute(
        f"""
        select {", ".join(halves)}, count(*)
        from {f"{database}." if database else ""}{schema}."{name}"
        """
    ).fetchall()[0]
    return f"{declared}-{first}-{second}-{rows}"


def _unpublished(settings: Settings) -> list[str]:
    """Schema.name of the models that stay behind."""
    nodes = load_manifest(settings.dbt_target / "manifest.json").get("nodes", {}).values()
    return sorted(
        f"{node['schema']}.{node.get('alias') or node['name']}"
        for node in nodes
        if node.get("config", {}).get("meta", {}).get("published") is False
    )


def _tables(connection: duckdb.DuckDBPyConnection, unpublished: list[str]) -> list[tuple[str, str, str | None]]:
    """Schema, name and sort key of what is published; sorted by its key a single person is found fast."""
    tables = connection.execute(
        """
        select schema_name, table_name,
            first(column_name order by column_index) filter (column_name like '%\\_id' escape '\\')
        from duckdb_columns()
        where schema_name in (select unnest($schemas)) and not starts_with(table_name, 'export_')
            and database_name = current_database()
            and not list_contains($unpublished, concat(schema_name, '.', table_name))
        group by all
        order by all
        """,
        {"schemas": list(PUBLISHED_SCHEMAS), "unpublished": unpublished},
    ).fetchall()
    if not tables:
        raise RuntimeError(f"No table in {', '.join(PUBLISHED_SCHEMAS)}: there is nothing to publish yet.")
    return tables


def _point_to(settings: Settings, version: Version) -> None:
    replaced = current_version(settings)
    if replaced is not None and replaced.file != version.file:
        # The days out of use are counted from this moment, not from the day it was published.
        with suppress(FileNotFoundError):
            os.utime(settings.published / replaced.file)
    pointer = settings.published / POINTER
    draft = pointer.with_suffix(f".{os.getpid()}")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(asdict(version), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(pointer)


def _remove_old(settings: Settings, current: Version) -> None:
    limit = time.time() - settings.keep_days * 86_400
    for file in settings.published.glob("tags-*.duckdb"):
        if file.name != current.file and file.stat().st_mtime < limit:
            file.unlink()
    for leftover in [*settings.published.glob(".draft-*"), *settings.published.glob("CURRENT.[0-9]*")]:
        _unlink_if_dead(leftover)


def _unlink_if_dead(leftover: Path) -> None:
    """Remove what a killed run left behind, not what a running one is writing."""
    if time.time() - leftover.stat().st_mtime > 3_600:
        leftover.unlink(missing_ok=True)
