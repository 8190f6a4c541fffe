"""Publishes the checked tables as one read-only DuckDB file a version; one atomic rename points readers to it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
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

PERSONS = "tag_integration.person_tags"
"""The table with one row per person."""

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
    computed_at: str = ""
    """When it was published, ISO 8601 in UTC; empty for a version that an older Tagloom published."""


@dataclass(frozen=True)
class Model:
    """What dbt's manifest says of a table about publishing, under `meta` of the model: published, sort_key, enums."""

    published: bool | None = None
    """False: stays behind. True: goes along, although it is of a layer that is not published, as serving.<name>."""
    sorted_by: tuple[str, ...] = ()
    """Columns that readers look for; without them the key."""
    enums: tuple[str, ...] = ()
    """Columns of few words."""


@dataclass(frozen=True)
class _Table:
    source: str
    """Where it is in the warehouse, schema.name in double quotes."""
    schema: str
    name: str
    """Where it goes to."""
    sorted_by: tuple[str, ...]
    enums: tuple[str, ...]


def publish(settings: Settings, as_of_date: date, computed_at: datetime | None = None) -> Version:
    """Copy tag_integration and serving into tags-<version>.duckdb and make it the current version.

    Views, such as the wide tables over their parts, become tables: a reader opens one file and computes nothing. Tags
    with a fixed set of values become enums. What a model says under `meta` decides about it, see `Model`.

    The version's name holds a hash of the content: publishing the same content again changes nothing, not even
    `computed_at` (now, unless given). A file that has its name is never written again, because a process that has the
    old one open would go on to see that one. Files are removed when they have been out of use for settings.keep_days.

    Raises duckdb.Error or OSError; the version that was current before then stays current.
    """
    with open_warehouse(settings) as connection:
        return publish_from(connection, settings, as_of_date, computed_at, _models(settings))


def publish_from(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    as_of_date: date,
    computed_at: datetime | None = None,
    models: Mapping[str, Model] | None = None,
) -> Version:
    """The same from an open connection; `models` has what is said of tables, by schema.name."""
    settings.published.mkdir(parents=True, exist_ok=True)
    draft = settings.published / f".draft-{os.getpid()}.duckdb"
    draft.unlink(missing_ok=True)
    draft.with_name(f"{draft.name}.wal").unlink(missing_ok=True)
    moment = (computed_at or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    try:
        tables = _tables(connection, models or {})
        content = hashlib.sha256()
        connection.execute(f"attach '{draft}' as version (storage_version '{STORAGE_VERSION}')")
        try:
            rows = {}
            for table in tables:
                _copy(connection, table, _values_of_tags(connection, table))
                # Of the copy: a view is computed once.
                hashed = table_hash(connection, table.schema, table.name, "version")
                content.update(f"{table.schema}.{table.name} {hashed}\n".encode())
                counted = f'select count(*) from version.{table.schema}."{table.name}"'
                rows[f"{table.schema}.{table.name}"] = connection.execute(counted).fetchall()[0][0]
            label = f"{as_of_date:%Y%m%d}-{content.hexdigest()[:8]}"
            version = Version(label, f"tags-{label}.duckdb", as_of_date.isoformat(), rows, moment.isoformat())
            connection.execute(
                """
                create table version.main.version as
                select $name as name, $day::date as as_of_date, $moment::timestamp as computed_at,
                    $persons::bigint as persons
                """,
                {
                    "name": label,
                    "day": version.as_of_date,
                    "moment": moment.replace(tzinfo=None),
                    "persons": rows.get(PERSONS, 0),
                },
            )
            connection.execute("checkpoint version")
        finally:
            connection.execute("detach version")
        current = current_version(settings)
        is_known = (settings.published / version.file).exists()
        if not is_known:
            draft.replace(settings.published / version.file)
    finally:
        draft.unlink(missing_ok=True)
    if is_known and current is not None and current.name == label:
        version = current
    else:
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
    return open_version(settings, version)


def open_version(settings: Settings, version: Version) -> duckdb.DuckDBPyConnection:
    """Open a version read-only, with no way out to files or the network.

    Always with the same settings: DuckDB refuses a file that the process has open with others.
    """
    return duckdb.connect(
        str(settings.published / version.file),
        read_only=True,
        config={
            "enable_external_access": False,
            "lock_configuration": True,
            "threads": settings.threads,
            "memory_limit": settings.memory_limit,
        },
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
    # A renamed or retyped column is new content too: readers that have the old version open must not mix the two up.
    declared = hashlib.sha256(str(columns).encode()).hexdigest()[:16]
    # An enum is hashed by its word: a vector of numbers would give two words one hash when the type changes.
    listed = ", ".join(
        f'"{column}"::varchar' if data_type.startswith("ENUM") else f'"{column}"' for column, data_type in columns
    )
    # Sums over the rows: order does not matter, and two equal rows do not cancel each other out.
    first, second, rows = connection.execute(
        f"""
        select sum(row_hash::hugeint), sum(hash(row_hash, 1)::hugeint), count(*)
        from (select hash({listed or 0}) as row_hash from {f"{database}." if database else ""}{schema}."{name}")
        """
    ).fetchall()[0]
    return f"{declared}-{first}-{second}-{rows}"


def _copy(connection: duckdb.DuckDBPyConnection, table: _Table, values: Mapping[str, Sequence[str]]) -> None:
    """Copy a table into the attached version: sorted, and words of a fixed set as enums."""
    connection.execute(f"create schema if not exists version.{table.schema}")
    order = ", ".join(f'"{column}"' for column in table.sorted_by) or "all"
    target = f'version.{table.schema}."{table.name}"'
    try:
        connection.execute(f"create table {target} as {_select(table, values)} order by {order}")
    except duckdb.ConversionException:
        # A value that no twin declares: better in the open than a version of yesterday.
        declared = {column: words for column, words in values.items() if not _others(connection, table, column, words)}
        connection.execute(f"create table {target} as {_select(table, declared)} order by {order}")


def _select(table: _Table, values: Mapping[str, Sequence[str]]) -> str:
    casts = ", ".join(
        f'"{column}"::enum ({", ".join(_quoted(word) for word in words)}) as "{column}"'
        for column, words in values.items()
    )
    replaced = f" replace ({casts})" if casts else ""
    return f"select *{replaced} from {table.source}"


def _others(
    connection: duckdb.DuckDBPyConnection, table: _Table, column: str, words: Sequence[str]
) -> list[tuple[str]]:
    return connection.execute(
        f'select "{column}" from {table.source} where not list_contains(?, "{column}") limit 1', [list(words)]
    ).fetchall()


def _values_of_tags(connection: duckdb.DuckDBPyConnection, table: _Table) -> dict[str, list[str]]:
    """Column -> its words: of tags as their twins have them, of a table's own enums those that occur."""
    values = {
        column: [
            word
            for (word,) in connection.execute(
                f'select distinct "{column}" from {table.source} where "{column}" is not null order by all'
            ).fetchall()
        ]
        for column in table.enums
    }
    if table.schema == "tag_integration" and table.name.endswith("_tags"):
        columns = connection.execute(
            "select column_name from duckdb_columns() where database_name = current_database() "
            "and schema_name = 'tag_integration' and table_name = 'tag_catalog'"
        ).fetchall()
        if ("value_titles",) in columns:
            found = connection.execute(
                "select tag, value_titles from tag_integration.tag_catalog "
                "where object = ? and status = 'published' and value_titles is not null",
                [table.name.removesuffix("_tags")],
            ).fetchall()
            present = {
                name for (name,) in connection.execute(f"select column_name from (describe {table.source})").fetchall()
            }
            values |= {tag: list(json.loads(titles)) for tag, titles in found if tag in present}
    return {column: words for column, words in values.items() if words}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _models(settings: Settings) -> dict[str, Model]:
    """What dbt's manifest says of the models, by schema.name."""
    nodes = load_manifest(settings.dbt_target / "manifest.json").get("nodes", {}).values()
    models = {}
    for node in nodes:
        meta = node.get("config", {}).get("meta", {})
        models[f"{node['schema']}.{node.get('alias') or node['name']}"] = Model(
            published=meta.get("published"),
            sorted_by=tuple(meta.get("sort_key", ())),
            enums=tuple(meta.get("enums", ())),
        )
    return models


def _tables(connection: duckdb.DuckDBPyConnection, models: Mapping[str, Model]) -> list[_Table]:
    """What is published; sorted by its key a single person is found fast."""
    along = [name for name, model in models.items() if model.published]
    behind = [name for name, model in models.items() if model.published is False]
    found = connection.execute(
        """
        select schema_name, table_name,
            first(column_name order by column_index) filter (column_name like '%\\_id' escape '\\')
        from duckdb_columns()
        where (schema_name in (select unnest($schemas)) or list_contains($along, concat(schema_name, '.', table_name)))
            and not starts_with(table_name, 'export_')
            and database_name = current_database()
            and not list_contains($behind, concat(schema_name, '.', table_name))
        group by all
        order by all
        """,
        {"schemas": list(PUBLISHED_SCHEMAS), "along": along, "behind": behind},
    ).fetchall()
    if not found:
        raise RuntimeError(f"No table in {', '.join(PUBLISHED_SCHEMAS)}: there is nothing to publish yet.")
    tables = []
    for schema, name, key in found:
        model = models.get(f"{schema}.{name}", Model())
        goes_to = schema if schema in PUBLISHED_SCHEMAS else "serving"
        sorted_by = model.sorted_by or ((key,) if key else ())
        tables.append(_Table(f'{schema}."{name}"', goes_to, name, sorted_by, model.enums))
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
