"""Micro-batches: a few rows have landed, so the tags of their persons, and of nobody else, are brought up to date.

A full build stands behind every update: it says which day the tables are of, up to which row they reach and with which
SQL they were made. An update gives an affected person what a full build for the same day would give, in every model
that it touches (`models_to_update`), and publishes.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from tagloom import affected, day_build, layer_state
from tagloom.affected import Covered
from tagloom.lineage import load_manifest
from tagloom.promises import broken_promises
from tagloom.publish import publish
from tagloom.replacing import NEW, OLD, Replacement, rows_of_persons, write_replacements
from tagloom.settings import Settings
from tagloom.sources import Source, Table, load_source
from tagloom.transform import LAYERS, run_dbt
from tagloom.warehouse import open_warehouse

if TYPE_CHECKING:
    import duckdb

PERSON_TABLE = "table_of_persons"
"""The materialisation in which an update can replace the rows of some persons; see dbt_project/macros/updates."""

FULL_BUILD = "full_build"
"""`meta: {updates: full_build}` of a model that compares persons with each other: updates leave it as it is."""

IDENTITY = "identity_mapping"

WHOLE_TABLE_TESTS = (
    "unique_person_tags_person_id",
    "not_null_person_tags_person_id",
    "every_person_has_one_row_of_tags",
)
"""Data tests over all of person_tags, by the beginning of their names."""

CERTIFICATE = (
    "every_accepted_edge_stays_within_one_person",
    "every_person_is_registered_with_an_anchor",
    "living_persons_are_those_that_the_log_counts",
    "never_linked_identifiers_are_of_different_persons",
    "no_identifier_belongs_to_a_retired_person",
    "no_person_has_more_identifiers_than_the_policy_allows",
    "open_rows_of_the_history_are_the_map",
)
"""Data tests over several tables of identity mapping that prove who is who, whenever it is built."""

_TABLES = "create table if not exists operations.update_pending (source varchar primary key);"

log = logging.getLogger(__name__)


class FullBuildNeededError(RuntimeError):
    """There is no finished full build that an update could go on from; build_tags makes one."""


class UpdateError(RuntimeError):
    """Rows of affected persons break a promise of their model; nothing was published."""


@dataclass(frozen=True)
class Update:
    """What an update did."""

    sources: tuple[str, ...]
    """Those asked for, and those of an update before that did not finish."""
    as_of_date: date
    new_records: int = 0
    """Sets of identifiers that stand together in the new rows."""
    affected_persons: int = 0
    """0: the rows are nobody's, so nothing was built or published."""
    identity_was_built: bool = False
    models: tuple[str, ...] = ()
    version: str | None = None
    """The published version."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Step -> seconds."""

    def as_dict(self) -> dict:
        """Plain values, for XCom and asset extras."""
        return asdict(self) | {"as_of_date": self.as_of_date.isoformat()}


@dataclass(frozen=True)
class _Batch:
    """The new rows of one raw table."""

    source: Source
    table: Table
    covered: Covered
    newest: datetime | None


def update(settings: Settings, sources: list[str], as_of_date: date | None = None, run_id: str = "") -> Update:
    """Bring the tags of the persons up to date whom new rows of these sources are about, and publish.

    New are rows that neither a full build nor an update has covered. `as_of_date`, when not given, is the day of the
    last full build or the local day of the newest event that came in, whichever is later; an event dated after the day
    of its delivery does not count. May be run again, and killed, at any time: rows count as covered once the version
    with them is published. The caller holds the pool `warehouse`.

    Raises FullBuildNeededError when a full build is under way, has failed, or was made with other definitions, and when
    the last checks of landing or a layer have failed, whatever is published;
    TransformError and UpdateError when models or tests fail: the version published before stays in use.
    """
    watch = _StopWatch()
    with open_warehouse(settings) as connection:
        built_day, identity_day = _days_of_last_build(connection, settings)
        names = _with_pending(connection, sources)
        batches = _batches(connection, settings, names, built_day)
        day = as_of_date or _day_of(connection, batches, built_day, settings.time_zone)
        if day < built_day:
            raise FullBuildNeededError(f"The tags are of {built_day}; only build_tags can go back to {day}.")
        records = {
            (batch.source.name, batch.table.name): affected.collect_new_records(
                connection, batch.source, batch.table, batch.covered, day, settings.time_zone
            )
            for batch in batches
        }
        changed = {key for key, number in records.items() if number}
        manifest = load_manifest(settings.dbt_target / "manifest.json")
        if not manifest:
            raise FullBuildNeededError(f"{settings.dbt_target / 'manifest.json'} is missing; build_tags writes it.")
        builds_identity = bool(changed) and (
            identity_day != day
            or _has_table(connection, "identity_before")
            or _is_read_by_persons(manifest, changed)
            or not affected.are_known(connection)
        )
        if changed:
            _begin(connection, names, builds_identity)
    watch.lap("find")

    if builds_identity:
        left_out = identity_left_to_full_build(manifest)
        arguments = ["build", "--select", f"path:models/{IDENTITY}", *CERTIFICATE, *_QUIET]
        run_dbt(settings, [*arguments, "--exclude", *left_out] if left_out else arguments, day, affected_only=True)
        watch.lap("identity")
    persons = 0
    if changed:
        with open_warehouse(settings) as connection:
            if builds_identity:
                layer_state.note_update(connection, IDENTITY, day)
            persons = affected.find_affected_persons(connection, compare_with_before=builds_identity)
        watch.lap("find")

    models: list[str] = []
    version = None
    if persons:
        models = models_to_update(manifest, None if builds_identity or day != built_day else changed)
        with open_warehouse(settings) as connection:
            day_build.note_update(connection, day)
            write_replacements(connection, replacements(manifest, models))
        tests = [name for name in _tests(manifest) if name.startswith(WHOLE_TABLE_TESTS)]
        run_dbt(settings, ["build", "--select", *models, *tests, *_QUIET], day, affected_only=True)
        watch.lap("build")
        with open_warehouse(settings) as connection:
            problems = broken_promises(connection, manifest, dict.fromkeys(models, f"person_id in ({_AFFECTED})"))
            if problems:
                raise UpdateError("\n".join(problems))
            if builds_identity:
                _remove_vanished_persons(connection, manifest)
        watch.lap("check")
        version = publish(settings, day).name
        watch.lap("publish")

    with open_warehouse(settings) as connection:
        _finish(connection, batches, day)
    watch.lap("finish")
    done = Update(
        sources=tuple(names),
        as_of_date=day,
        new_records=sum(records.values()),
        affected_persons=persons,
        identity_was_built=builds_identity,
        models=tuple(models),
        version=version,
        seconds=watch.seconds,
    )
    log.info("update %s of %s: %s", run_id, ", ".join(names), done)
    return done


_AFFECTED = "select person_id from operations.affected_persons"

_QUIET = ("--indirect-selection", "empty", "--exclude-resource-type", "unit_test", "--no-write-json")


def models_to_update(manifest: dict, changed: set[tuple[str, str]] | None) -> list[str]:
    """Names of the models whose rows an update replaces, sorted.

    `changed` holds (source, table) of the new rows: the models above their staging views, but not those that they reach
    only by identity mapping, which was not built again. None: identity or the day has changed, so it is every model.
    Left out are models that follow with the full build: see `left_to_full_build`.
    """
    left_out = left_to_full_build(manifest)
    nodes = {
        name: node
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and name not in left_out and _layer(node) != IDENTITY
    }
    reached = set(nodes)
    if changed is not None:
        waiting = [name for name, node in nodes.items() if _staged_table(node) in changed]
        reached = set(waiting)
        while waiting:
            new = (set(manifest["child_map"].get(waiting.pop(), ())) & set(nodes)) - reached
            reached |= new
            waiting.extend(new)
    return sorted(nodes[name]["name"] for name in reached if _is_person_table(nodes[name]))


def replacements(manifest: dict, models: list[str]) -> list[Replacement]:
    """What an update does to the rows of each of these models: those of affected persons, over their facts alone."""
    nodes = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    return [_replacement(manifest, nodes[name]) for name in models]


def _replacement(manifest: dict, node: dict) -> Replacement:
    parents = [manifest["nodes"].get(name) for name in node["depends_on"]["nodes"]]
    facts = [(parent["schema"], parent["name"]) for parent in parents if parent and _is_person_table(parent)]
    replacement = rows_of_persons(node["name"], _AFFECTED, facts)
    replaced = node["config"].get("meta", {}).get("replaced", {})
    if not replaced:
        return replacement
    # What was nobody's and is somebody's now is there under nobody, too.
    root = replaced if "with" not in replaced else _of_model(manifest, replaced["with"])
    key = root.get("unit") or next(iter(root["identifier"].values()))
    nobodys = (
        f"delete from {OLD} where person_id is null and {key} in (select {key} from {NEW} where {replacement.kept})"
    )
    return replace(replacement, statements=(*replacement.statements, nobodys))


def _of_model(manifest: dict, name: str) -> dict:
    return next(node for node in manifest["nodes"].values() if node["name"] == name)["config"]["meta"]["replaced"]


def left_to_full_build(manifest: dict) -> set[str]:
    """Ids of the models of facts and tags that only a full build makes right, and so no update touches.

    These are the ones that say so (`meta: {updates: full_build}`), those that are no tables of persons, such as facts
    of products, and whatever computes from one of them.
    """
    nodes = {
        name: node
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and _layer(node) in ("intermediate", "tag_category")
    }
    waiting = [
        name
        for name, node in nodes.items()
        if node["config"].get("meta", {}).get("updates") == FULL_BUILD
        or (not _is_person_table(node) and node["config"]["materialized"] != "view")
    ]
    left_out = set(waiting)
    while waiting:
        new = (set(manifest["child_map"].get(waiting.pop(), ())) & set(nodes)) - left_out
        left_out |= new
        waiting.extend(new)
    return left_out


def identity_left_to_full_build(manifest: dict) -> list[str]:
    """Selectors of the models of identity mapping that say so (`meta: {updates: full_build}`), with their tests.

    These are households and what they are made of: the members whom an update is not about would be left in a household
    that the others have gone from.
    """
    files = {
        node["original_file_path"].rpartition(".")[0]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        and _layer(node) == IDENTITY
        and node["config"].get("meta", {}).get("updates") == FULL_BUILD
    }
    return sorted(f"path:{file}.*" for file in files)


def _days_of_last_build(connection: duckdb.DuckDBPyConnection, settings: Settings) -> tuple[date, date]:
    """The day that the last full build is of, and the day of identity mapping, which updates may move forward."""
    connection.execute(_TABLES)
    failed = layer_state.failed_checks(connection)
    if failed:
        raise FullBuildNeededError(f"{' '.join(failed)} The new rows wait until a build passes.")
    layers = layer_state.last_build(connection)
    missing = [layer for layer in LAYERS if layer not in layers]
    if missing:
        raise FullBuildNeededError(
            f"No full build is finished ({', '.join(missing)} missing): one is under way, or a check has stopped it. "
            "The new rows wait for build_tags."
        )
    current = layer_state.definitions_fingerprint(settings)
    if any(definitions != current for layer, (definitions, _) in layers.items() if layer in LAYERS):
        raise FullBuildNeededError(
            "dbt_project, a setting or an engine is another one than in the last full build, so updated rows would "
            "not fit to the others. The new rows wait for build_tags."
        )
    return layers[LAYERS[-1]][1], layers[IDENTITY][1]


def _with_pending(connection: duckdb.DuckDBPyConnection, sources: list[str]) -> list[str]:
    """The sources together with those of an update that did not finish: its rows are half way in."""
    pending = [name for (name,) in connection.execute("select source from operations.update_pending").fetchall()]
    return sorted({*sources, *pending})


def _batches(
    connection: duckdb.DuckDBPyConnection, settings: Settings, names: list[str], built_day: date
) -> list[_Batch]:
    connection.execute(affected.TABLES)
    state = {
        (source, table): Covered(until, day or built_day)
        for source, table, until, day in connection.execute("from operations.update_state").fetchall()
    }
    return [
        _Batch(
            source,
            table,
            state.get((source.name, table.name), Covered(None, built_day)),
            affected.newest_landing(connection, source, table),
        )
        for source in (load_source(settings.sources / f"{name}.yml") for name in names)
        for table in source.tables
        if table.identifiers
    ]


def _day_of(connection: duckdb.DuckDBPyConnection, batches: list[_Batch], built_day: date, time_zone: str) -> date:
    days = [
        affected.newest_event_day(connection, batch.source, batch.table, batch.covered, time_zone) for batch in batches
    ]
    return max([built_day, *(day for day in days if day)])


def _begin(connection: duckdb.DuckDBPyConnection, names: list[str], builds_identity: bool) -> None:
    """Note what is about to change, so that whatever comes after a kill knows of it."""
    layer_state.note_update(connection)
    connection.executemany("insert or ignore into operations.update_pending values (?)", [[name] for name in names])
    if builds_identity:
        # Kept as it was before the first attempt: a second one must find the same persons moved.
        connection.execute(
            "create table if not exists operations.identity_before as "
            "select identifier_type, identifier_hash, person_id from identity_mapping.identity_map"
        )


def _finish(connection: duckdb.DuckDBPyConnection, batches: list[_Batch], day: date) -> None:
    connection.begin()
    for batch in batches:
        # Rows up to the newest one that was there at the beginning; an empty table has no row to cover.
        connection.execute(
            "insert or replace into operations.update_state values (?, ?, ?, ?)",
            [batch.source.name, batch.table.name, batch.newest, max(day, batch.covered.day)],
        )
    connection.execute("delete from operations.update_pending")
    connection.execute("drop table if exists operations.identity_before")
    connection.commit()


def _remove_vanished_persons(connection: duckdb.DuckDBPyConnection, manifest: dict) -> None:
    """Take persons that were merged into others out of the tables that wait for the full build, too."""
    for name in left_to_full_build(manifest):
        node = manifest["nodes"][name]
        if _is_person_table(node):
            connection.execute(
                f"""
                delete from {node["schema"]}.{node["name"]}
                where person_id in (select person_id from operations.affected_persons)
                    and person_id not in (select person_id from identity_mapping.persons)
                """
            )


def _has_table(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    query = "select 1 from duckdb_tables() where schema_name = 'operations' and table_name = ?"
    return bool(connection.execute(query, [name]).fetchall())


def _is_read_by_persons(manifest: dict, changed: set[tuple[str, str]]) -> bool:
    """Whether identity mapping takes more from these tables than who is who, such as the golden record's birth date."""
    nodes = manifest["nodes"]
    return any(
        child in nodes and _layer(nodes[child]) == IDENTITY and nodes[child]["name"] != "identity_observations"
        for name, node in nodes.items()
        if node["resource_type"] == "model" and _staged_table(node) in changed
        for child in manifest["child_map"].get(name, ())
        if child in nodes and nodes[child]["resource_type"] == "model"
    )


def _tests(manifest: dict) -> list[str]:
    return sorted(node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "test")


def _layer(node: dict) -> str:
    """Folder below models/, which is also the schema."""
    return node["schema"]


def _staged_table(node: dict) -> tuple[str, str] | None:
    """(source, table) of a staging view, by its name stg_<source>__<table>."""
    if _layer(node) != "staging":
        return None
    source, _, table = node["name"].removeprefix("stg_").partition("__")
    return source, table


def _is_person_table(node: dict) -> bool:
    return node["config"]["materialized"] == PERSON_TABLE


class _StopWatch:
    """Seconds of each step, added up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, step: str) -> None:
        now = time.monotonic()
        self.seconds[step] = round(self.seconds.get(step, 0.0) + now - self._last, 3)
        self._last = now
