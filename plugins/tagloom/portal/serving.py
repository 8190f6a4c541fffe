"""What the portal reads: the published version in use, as one frozen snapshot per request.

A version is a file that never changes; the pointer beside it says which one is in use. `Serving` looks at the pointer
for every request and opens each version once. A request asks for one `Snapshot` and takes everything from it, so its
counts, its total and the name of its version belong together, whatever is published meanwhile. The file of an old
version is closed when the last request that uses it is done.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any

import duckdb

from tagloom.publish import POINTER, current_version, open_version
from tagloom.settings import Settings

SECONDS = 10.0
"""How long a query may take unless its caller says otherwise."""

DATA_TYPES = ("boolean", "integer", "decimal", "date", "timestamp", "text")
"""Kinds of values that rules and charts tell apart."""

log = logging.getLogger(__name__)


class NothingPublishedError(RuntimeError):
    """No version can be read: none was published yet, or its file is damaged."""


class QueryTooLongError(RuntimeError):
    """A query took longer than it may and was stopped."""


@dataclass(frozen=True)
class Tag:
    """A customer tag as the catalogue of a version has it."""

    name: str
    object: str
    """person, household, product or store."""
    title: str
    title_zh: str
    description: str
    category: str
    """Path in the tree, levels separated by a slash: value/rfm."""
    kind: str
    """fact, statistic, rule, preference, rfm, lifecycle, habit, sequence, score, prediction, import ..."""
    data_type: str
    """One of DATA_TYPES."""
    sql_type: str
    """As declared: decimal(14,2)."""
    values: tuple[str, ...] | None
    """All values it may have, in their order; None when they are not listed."""
    value_titles: Mapping[str, str]
    """Value -> its Chinese name, empty where values are not listed."""
    owner: str
    unit: str
    """What a value counts, empty where it is a word or a yes."""
    if_missing: str
    """null, zero or false."""
    personal_data: str
    """none, indirect or direct."""
    status: str
    """draft, published or retired; only published tags have a column."""
    history: bool
    """Whether tag_history keeps its values."""
    version: int
    since: date | None
    changed_on: date | None
    refresh: str
    valid_days: int
    model: str
    sql_path: str
    sql: str
    """SQL of its model, empty when no build wrote it down."""
    upstream_sources: str
    upstream_columns: str
    used_by: str

    def label(self, language: str = "en") -> str:
        """Its title in a language."""
        return (self.title_zh if language == "zh" else self.title) or self.name

    def value_label(self, value: object, language: str = "en") -> str:
        """A value as people of a language read it."""
        text = str(value)
        return self.value_titles.get(text, text) if language == "zh" else text


@dataclass(frozen=True)
class Snapshot:
    """One published version; all that a request shows comes from one of these."""

    name: str
    as_of_date: date
    """Data through this day."""
    computed_at: datetime
    """When it was published, UTC without a zone."""
    persons: int
    objects: Mapping[str, Mapping[str, Tag]]
    """Object -> name -> published tag, in the order of the catalogue."""
    catalogue: tuple[Tag, ...]
    """Every tag of any status."""
    _connection: duckdb.DuckDBPyConnection = field(repr=False, compare=False)

    @property
    def tags(self) -> Mapping[str, Tag]:
        """Published tags of persons."""
        return self.objects.get("person", MappingProxyType({}))

    def rows(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), seconds: float | None = None
    ) -> list[dict[str, Any]]:
        """Rows of a query, as dictionaries. Values belong into `parameters` (? or $name), never into the SQL.

        May be called by several threads at a time. Raises QueryTooLongError after `seconds` (SECONDS unless given) and
        duckdb.Error for SQL that is wrong.
        """
        names, values = self._run(sql, parameters, seconds)
        return [dict(zip(names, row, strict=True)) for row in values]

    def row(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), seconds: float | None = None
    ) -> dict[str, Any] | None:
        """The first row of a query, None when it has none."""
        names, values = self._run(sql, parameters, seconds)
        return dict(zip(names, values[0], strict=True)) if values else None

    def value(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), seconds: float | None = None) -> Any:
        """The first column of the first row, None when there is no row."""
        _, values = self._run(sql, parameters, seconds)
        return values[0][0] if values else None

    @cached_property
    def tables(self) -> frozenset[str]:
        """Tables of this version, as schema.name: pages leave out what an older version does not have."""
        _, rows = self._run("select concat(schema_name, '.', table_name) from duckdb_tables()", (), None)
        return frozenset(name for (name,) in rows)

    def _run(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any], seconds: float | None
    ) -> tuple[list[str], list[tuple]]:
        limit = SECONDS if seconds is None else seconds
        cursor = self._connection.cursor()
        timer = threading.Timer(limit, cursor.interrupt)
        timer.daemon = True
        timer.start()
        try:
            cursor.execute(sql, parameters if isinstance(parameters, Mapping) else list(parameters))
            names = [column[0] for column in cursor.description or ()]
            return names, cursor.fetchall()
        except duckdb.InterruptException as error:
            raise QueryTooLongError(f"The query took longer than {limit:g} s and was stopped.") from error
        finally:
            timer.cancel()
            cursor.close()


class Serving:
    """The version in use; one object per process, used by all its threads."""

    def __init__(self, settings: Settings) -> None:
        """Opens nothing yet: a portal may start before the first publish."""
        self.settings = settings
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._snapshot: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        """The version in use at this moment.

        Raises NothingPublishedError when there is none. A new version that cannot be opened is logged, and the one
        before it stays in use.
        """
        try:
            status = (self.settings.published / POINTER).stat()
        except FileNotFoundError:
            raise NothingPublishedError(
                f"Nothing is published in {self.settings.published} yet; run the DAG build_tags first."
            ) from None
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        with self._lock:
            if self._snapshot is None or seen != self._seen:
                self._snapshot = self._newest()
                self._seen = seen
            return self._snapshot

    def _newest(self) -> Snapshot:
        try:
            version = current_version(self.settings)
            if version is None:
                raise FileNotFoundError(self.settings.published / POINTER)
            if self._snapshot is not None and self._snapshot.name == version.name:
                return self._snapshot
            return load_snapshot(open_version(self.settings, version))
        except (OSError, ValueError, TypeError, duckdb.Error) as error:
            if self._snapshot is None:
                raise NothingPublishedError(
                    f"The published version cannot be read ({' '.join(str(error).split())}); publish again with the "
                    "DAG build_tags."
                ) from error
            log.exception("The new published version cannot be read; %s stays in use", self._snapshot.name)
            return self._snapshot


def load_snapshot(connection: duckdb.DuckDBPyConnection) -> Snapshot:
    """The snapshot of an opened version; it takes the connection over."""
    found = connection.execute("from main.version")
    names = [column[0] for column in found.description or ()]
    version = dict(zip(names, found.fetchall()[0], strict=True))
    catalogue = _catalogue(connection)
    objects: dict[str, dict[str, Tag]] = {}
    with_column = _columns_of_objects(connection)
    for tag in catalogue:
        if tag.status == "published" and (tag.object, tag.name) in with_column:
            objects.setdefault(tag.object, {})[tag.name] = tag
    day: date = version["as_of_date"]
    return Snapshot(
        name=version["name"],
        as_of_date=day,
        # Versions of an older Tagloom do not say when; the day's end is the earliest that it can have been.
        computed_at=version.get("computed_at") or datetime.combine(day, datetime.max.time()).replace(microsecond=0),
        persons=version["persons"] if "persons" in version else _persons(connection),
        objects=MappingProxyType({name: MappingProxyType(tags) for name, tags in objects.items()}),
        catalogue=catalogue,
        _connection=connection,
    )


def _persons(connection: duckdb.DuckDBPyConnection) -> int:
    return connection.execute("select count(*) from tag_integration.person_tags").fetchall()[0][0]


def _columns_of_objects(connection: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    """(object, column) of the wide tables that the version has."""
    return {
        (table.removesuffix("_tags"), column)
        for table, column in connection.execute(
            "select table_name, column_name from duckdb_columns() "
            "where schema_name = 'tag_integration' and table_name in "
            "('person_tags', 'household_tags', 'product_tags', 'store_tags')"
        ).fetchall()
    }


def _catalogue(connection: duckdb.DuckDBPyConnection) -> tuple[Tag, ...]:
    found = connection.execute("from tag_integration.tag_catalog")
    names = [column[0] for column in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    rows.sort(key=lambda row: (row["object"] != "person", row["object"], row["category"], row["title"] or row["tag"]))
    return tuple(_tag(row) for row in rows)


def _tag(row: Mapping[str, Any]) -> Tag:
    titles = json.loads(row.get("value_titles") or "{}")
    text = {
        name: row.get(name) or ""
        for name in (
            "title", "title_zh", "description", "category", "kind", "owner", "unit", "if_missing", "personal_data",
            "status", "refresh", "model", "sql_path", "sql", "upstream_sources", "upstream_columns", "used_by",
        )
    }  # fmt: skip
    return Tag(
        name=row["tag"],
        object=row["object"],
        data_type=data_type_of(row["data_type"]),
        sql_type=row["data_type"],
        values=tuple(titles) or None,
        value_titles=MappingProxyType(titles),
        history=bool(row.get("history")),
        version=row.get("version") or 1,
        since=row.get("since"),
        changed_on=row.get("changed_on"),
        valid_days=row.get("valid_days") or 0,
        **text,
    )


def data_type_of(sql_type: str) -> str:
    """The kind of values of an SQL type, one of DATA_TYPES: decimal(14,2) is decimal, bigint is integer."""
    word = sql_type.lower().partition("(")[0].strip()
    if word in ("boolean", "bool"):
        return "boolean"
    if word.endswith("int") or word == "integer":
        return "integer"
    if word in ("decimal", "numeric", "double", "float", "real"):
        return "decimal"
    if word == "date":
        return "date"
    return "timestamp" if word.startswith("timestamp") else "text"
