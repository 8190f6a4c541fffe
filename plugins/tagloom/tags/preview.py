"""What a tag model's SQL gives on the warehouse as it is, without building anything: rows, spread, nulls, examples."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import duckdb

from tagloom.samples import mask
from tagloom.settings import PROJECT, Settings
from tagloom.tags import values
from tagloom.tags.beside import Beside, first_line, open_beside
from tagloom.tags.definitions import TagError, load_tags
from tagloom.tags.project import FoundTag, Project, TagRequestError, tag_meta, tags_of

if TYPE_CHECKING:
    from dbt.contracts.graph.nodes import ManifestNode

EXAMPLES = 5
"""Rows that are shown."""


@dataclass(frozen=True)
class TagPreview:
    """How the values of one tag are spread."""

    name: str
    data_type: str
    """DuckDB's name of the type that the SQL gives."""
    filled: int
    """Rows with a value."""
    distinct: int
    low: str
    middle: str
    high: str
    """Lowest value, median and highest of numbers and days; empty for words."""
    spread: tuple[tuple[str, int], ...]
    """Label and rows, null among them."""


@dataclass(frozen=True)
class ModelPreview:
    """What a tag model's SQL gives."""

    model: str
    path: str
    object: str
    status: tuple[str, ...]
    """draft, published, retired: what its tags are, each once."""
    as_of_date: date
    built_for: date | None
    computed: tuple[str, ...]
    """Models that it reads and that were computed for this, too."""
    rows: int
    objects: int | None
    """How many objects there are; None when that is not known."""
    seconds: float
    tags: tuple[TagPreview, ...]
    example_columns: tuple[str, ...]
    examples: tuple[tuple, ...]
    problems: tuple[str, ...] = field(default=())
    """What a build or `make tags` would refuse."""


def preview(
    settings: Settings, name: str, day: date | None = None, *, say: Callable[[str], None] = lambda _text: None
) -> ModelPreview:
    """Run a tag model's SQL for a day, that of the warehouse when none is given; `name` is a tag or a tag model.

    Raises TagRequestError when there is no such tag, nothing is built, or the SQL is wrong, WarehouseBusyError when
    another process writes the warehouse.
    """
    say("reading the project")
    project = Project(settings)
    found = project.find(name)
    with open_beside(settings) as beside:
        wanted = day or beside.built_for()
        if wanted is None:
            raise TagRequestError("No build is finished, so no day is known; say which one, as in AS_OF=2017-12-31.")
        say(f"computing {found.node.name} for {wanted}")
        return _preview(beside, project, found, wanted)


def _preview(beside: Beside, project: Project, found: FoundTag, day: date) -> ModelPreview:
    connection, node = beside.connection, found.node
    sql, computed = beside.lay(project, node, day)
    started = time.monotonic()
    try:
        connection.execute(f"create or replace table preview as {sql}")
    except duckdb.Error as error:
        raise TagRequestError(f"{node.original_file_path}: DuckDB cannot run it: {first_line(error)}") from error
    seconds = time.monotonic() - started
    types = dict(
        connection.execute(
            "select column_name, data_type from duckdb_columns() where table_name = 'preview' "
            "and database_name = current_database()"
        ).fetchall()
    )
    shown = [tag for tag in found.tags if tag in types]
    hidden = {tag for tag in shown if is_direct(node, tag)}
    [(rows,)] = connection.execute("select count(*) from preview").fetchall()
    return ModelPreview(
        model=node.name,
        path=node.original_file_path,
        object=found.object,
        status=tuple(dict.fromkeys((tag_meta(node, tag) or {}).get("status", "?") for tag in found.tags)),
        as_of_date=day,
        built_for=beside.built_for(),
        computed=tuple(computed),
        rows=rows,
        objects=count_objects(beside, found.object),
        seconds=seconds,
        tags=tuple(_tag_preview(connection, tag, types[tag], tag in hidden) for tag in shown),
        example_columns=(found.key, *shown) if found.key in types else tuple(shown),
        examples=_examples(connection, found.key if found.key in types else None, shown, hidden),
        problems=(*_problems(beside, found, types), *_twin_problems(node)),
    )


def is_direct(node: ManifestNode, tag: str) -> bool:
    """Whether a tag's values are personal data as they stand."""
    return (tag_meta(node, tag) or {}).get("personal_data") == "direct"


def count_objects(beside: Beside, object_name: str) -> int | None:
    """How many objects of a kind the warehouse knows; None before its first build."""
    places = {"person": ("identity_mapping", "persons")}
    schema, table = places.get(object_name, ("tag_integration", f"{object_name}_tags"))
    if not beside.is_built(schema, table):
        return None
    return beside.connection.execute(f"select count(*) from current.{schema}.{table}").fetchall()[0][0]


def _tag_preview(connection: duckdb.DuckDBPyConnection, tag: str, data_type: str, hide: bool) -> TagPreview:
    column = f'"{tag}"'
    filled, distinct, low, high = connection.execute(
        f"select count({column}), count(distinct {column}), min({column}), max({column}) from preview"
    ).fetchall()[0]
    middle = None
    if not values.is_number(data_type) and not values.is_time(data_type):
        low = high = None
    else:
        [(middle,)] = connection.execute(f"select quantile_disc({column}, 0.5) from preview").fetchall()
    found = values.labels(connection, "preview", [column], data_type, hide=hide)
    counting = values.counts(connection, "preview", column, found)
    texts = [mask(value) if hide and value is not None else value for value in (low, middle, high)]
    return TagPreview(
        tag,
        data_type,
        filled,
        distinct,
        *("" if text is None else values.shown(text) for text in texts),
        spread=tuple((label, counting[label]) for label in values.in_order(found, counting)),
    )


def _examples(
    connection: duckdb.DuckDBPyConnection, key: str | None, tags: list[str], hidden: set[str]
) -> tuple[tuple, ...]:
    """Rows that differ as far as there are such, always the same ones for the same values."""
    columns = ", ".join(f'"{name}"' for name in ([key] if key else []) + tags)
    values_of_row = ", ".join(f'"{tag}"' for tag in tags)
    order = f'"{key}"' if key else "all"
    rows = connection.execute(
        f"select {columns} from preview "
        f"qualify row_number() over (partition by {values_of_row} order by {order}) = 1 "
        f"order by hash({columns}) limit {EXAMPLES}"
    ).fetchall()
    names = ([key] if key else []) + tags
    return tuple(
        tuple(
            mask(value)
            if name in hidden and value is not None
            else (values.shown(value) if value is not None else None)
            for name, value in zip(names, row, strict=True)
        )
        for row in rows
    )


def _problems(beside: Beside, found: FoundTag, types: dict[str, str]) -> list[str]:
    """What a build would stop at."""
    connection, node, key = beside.connection, found.node, found.key
    problems = []
    declared = {name: (column.data_type or "") for name, column in node.columns.items()}
    problems += [
        f"column {name}: the SQL gives it, the twin does not declare it" for name in types if name not in declared
    ]
    problems += [
        f"column {name}: the twin declares it, the SQL does not give it" for name in declared if name not in types
    ]
    for name, promised in declared.items():
        if name in types and promised:
            try:
                [(wanted,)] = connection.execute(f"select typeof(cast(null as {promised}))").fetchall()
            except duckdb.Error:
                problems.append(f"column {name}: {promised} is no SQL type")
                continue
            if wanted != types[name]:
                problems.append(
                    f"column {name}: the twin promises {promised}, the SQL gives {types[name].lower()}; "
                    f"cast(... as {promised}) or change the twin"
                )
    if key in types:
        nulls, twice = connection.execute(
            f"select count(*) - count({key}), count({key}) - count(distinct {key}) from preview"
        ).fetchall()[0]
        if nulls:
            problems.append(f"{nulls:,} rows have no {key}; leave them out: where {key} is not null")
        if twice:
            problems.append(f"{twice:,} rows repeat a {key} that is there already; group by {key}")
    for tag in tags_of(node):
        allowed = (tag_meta(node, tag) or {}).get("values")
        if isinstance(allowed, dict) and tag in types:
            strange = connection.execute(
                f'select "{tag}"::varchar as value, count(*) from preview where "{tag}" is not null '
                "and not list_contains($allowed, value) group by value order by 2 desc limit 5",
                {"allowed": [str(value) for value in allowed]},
            ).fetchall()
            problems += [
                f"column {tag}: {value!r} ({rows:,} rows) is not among its values in the twin"
                for value, rows in strange
            ]
    return problems


def _twin_problems(node: ManifestNode) -> list[str]:
    """What `make tags` says of the model's twin."""
    try:
        load_tags(PROJECT / "dbt_project" / "models" / "tag_category")
    except TagError as error:
        return [
            line.partition(": ")[2] for line in str(error).splitlines() if f"/{node.name}." in line.partition(": ")[0]
        ]
    return []
