"""A build for a later day that computes only what the day has changed: facts that came in, windows that moved on.

It goes on from a finished build, its base. What can have changed is found from the base to the end of the day:

- facts: orders, sessions and visits with new rows, of identifiers that changed hands, of products that the catalogue
  describes anew; small tables of facts are computed whole and compared;
- persons: those of changed facts and of changed golden records, and those with a fact that enters or leaves a window of
  the model in question (`windows`); a model is computed over the facts of its persons alone;
- what compares persons, or moves for everybody every day, is computed whole.

Everything that was found stays noted until the build is finished, and the base is replaced at the end in one
transaction: after a kill the next build starts from the same base and finds the same, or more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tagloom import layer_state
from tagloom.affected import Covered, exists, identifier_hash, is_new, view_over
from tagloom.lineage import load_manifest
from tagloom.promises import broken_promises, promised
from tagloom.replacing import (
    NEW,
    OLD,
    Replacement,
    facts_of_persons,
    rows_of_persons,
    rows_that_differ,
    write_replacements,
)
from tagloom.settings import PROJECT, Settings
from tagloom.sources import Source, Table, load_source
from tagloom.tags.rendered_sql import Renderer, RenderingError
from tagloom.transform import NodeResult, TransformError, build_layer
from tagloom.warehouse import open_warehouse
from tagloom.windows import Reading, read_windows

if TYPE_CHECKING:
    import duckdb

LAYERS = ("intermediate", "tag_category", "tag_integration")
"""The layers that can be built from day to day; identity mapping has its own way, staging is views."""

PERSON_TABLE = "table_of_persons"
FULL_BUILD = "full_build"

MOST_DAYS = 7
"""A build for a day further ahead is a full one: most windows would have moved over most persons."""

FULL_BUILD_AFTER = 28
"""Days after which a build is a full one again: it runs every data test and packs the tables."""

MOST_PERSONS = 0.3
"""A model of which a larger share of persons has changed is computed whole, which is cheaper then."""

LONGEST_PAUSE = "interval 1 day"
"""No session or visit goes on after such a pause; starts_new_session ends them after half an hour."""

TABLES = """
create schema if not exists operations;
create table if not exists operations.build_base (as_of_date date, definitions varchar, reached date, full_on date);
create table if not exists operations.base_coverage (
    source varchar, table_name varchar, covered_until timestamp, covered_day date
);
create table if not exists operations.base_identity (
    identifier_type varchar, identifier_hash varchar, person_id bigint
);
create table if not exists operations.base_persons (person_id bigint, row_hash ubigint);
create table if not exists operations.base_lookups (staging varchar, key varchar, row_hash ubigint);
create table if not exists operations.base_removals (source varchar, table_name varchar, rows_removed hugeint);
create table if not exists operations.updated_persons (person_id bigint);
create table if not exists operations.changed_rows (model varchar, person_id bigint);
create table if not exists operations.build_plan (as_of_date date, is_full boolean, reason varchar);
"""
"""base_*: as of the last finished build. updated_persons: persons of updates since then."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """How a day is built."""

    as_of_date: date
    is_full: bool
    reason: str
    """Why so, in a sentence."""


@dataclass(frozen=True)
class BuiltLayer:
    """What became of a layer."""

    plan: Plan
    nodes: list[NodeResult]
    persons: int | None = None
    """Persons of whom anything was computed again, but by models that compute everybody; None in a full build."""
    whole: tuple[str, ...] = ()
    """Models of persons that were computed for everybody."""

    @property
    def summary(self) -> dict:
        """Plain values, for the summary of a task."""
        if self.plan.is_full:
            return {"build": "full", "reason": self.plan.reason}
        return {
            "build": "incremental",
            "reason": self.plan.reason,
            "persons": self.persons,
            "computed_for_everybody": list(self.whole),
        }


@dataclass(frozen=True)
class _Base:
    as_of_date: date
    definitions: str
    reached: date
    """The latest day that any table may be of: a build that was killed, and updates, go ahead of the base."""
    full_on: date


def build_layer_of_day(settings: Settings, layer: str, day: date, *, rebuild: bool = False) -> BuiltLayer:
    """Build a layer of `LAYERS` for a day: of the base what the day has changed, or all of it.

    The first layer decides for the others. Raises TransformError when a model or a data test fails.
    """
    manifest = load_manifest(settings.dbt_target / "manifest.json")
    with open_warehouse(settings) as connection:
        connection.execute(TABLES)
        if layer == LAYERS[0]:
            plan = _decide(connection, settings, manifest, day, rebuild)
            _begin(connection, plan)
        else:
            plan = _plan_of(connection, day)
        if not plan.is_full:
            work = _LayerOfDay(connection, settings, manifest, layer, day)
            work.prepare()
    log.info("%s: %s, %s", layer, "full build" if plan.is_full else "incremental", plan.reason)
    if plan.is_full:
        return BuiltLayer(plan, build_layer(settings, layer, day))
    nodes = build_layer(settings, layer, day, chosen=work.chosen())
    with open_warehouse(settings) as connection:
        problems = broken_promises(connection, manifest, work.promises)
        persons = work.count_persons(connection)
    if problems:
        raise TransformError("\n".join(problems))
    log.info("%s: %s persons changed; computed for everybody: %s", layer, persons, ", ".join(work.whole) or "nothing")
    return BuiltLayer(plan, nodes, persons, tuple(work.whole))


def finish(connection: duckdb.DuckDBPyConnection, settings: Settings, day: date) -> None:
    """Make the tables of all layers, now built and checked for the day, the base of the next build."""
    connection.execute(TABLES)
    manifest = load_manifest(settings.dbt_target / "manifest.json")
    plan = _plan_of(connection, day)
    before = _base(connection)
    full_on = before.full_on if before and not plan.is_full else day
    if not exists(connection, "operations", "coming_coverage"):
        layer_state.cover_what_landed(connection)
    connection.begin()
    for table in ("build_base", "base_coverage", "base_identity", "base_persons", "base_lookups", "base_removals"):
        connection.execute(f"delete from operations.{table}")
    for table in ("updated_persons", "changed_rows", "build_plan"):
        connection.execute(f"delete from operations.{table}")
    connection.execute("insert into operations.base_coverage from operations.coming_coverage")
    connection.execute(
        "insert into operations.base_identity "
        "select identifier_type, identifier_hash, person_id from identity_mapping.identity_map"
    )
    connection.execute(
        "insert into operations.base_persons select person_id, hash(persons) from identity_mapping.persons as persons"
    )
    for staging, key in sorted(_lookups(manifest)):
        connection.execute(
            f"insert into operations.base_lookups select '{staging}', {key}, hash(looked_up) "
            f"from staging.{staging} as looked_up"
        )
    connection.execute(f"insert into operations.base_removals {_REMOVALS}")
    connection.execute(
        "insert into operations.build_base values (?, ?, ?, ?)",
        [day, layer_state.definitions_fingerprint(settings), day, full_on],
    )
    connection.commit()


def note_update(connection: duckdb.DuckDBPyConnection, day: date) -> None:
    """Say that an update has brought operations.affected_persons to a day: the next build looks at them all."""
    connection.execute(TABLES)
    connection.execute("insert into operations.updated_persons select person_id from operations.affected_persons")
    connection.execute("update operations.build_base set reached = greatest(reached, ?)", [day])


_REMOVALS = (
    "select source, table_name, sum(rows_removed) from operations.landing_log where status = 'landed' "
    "group by source, table_name"
)


def _decide(
    connection: duckdb.DuckDBPyConnection, settings: Settings, manifest: dict, day: date, rebuild: bool
) -> Plan:
    base = _base(connection)
    reason = None
    if rebuild:
        reason = "a rebuild was asked for"
    elif base is None:
        reason = "there is no finished build to go on from"
    elif base.definitions != layer_state.definitions_fingerprint(settings):
        reason = f"SQL, a setting or an engine has changed since the build of {base.as_of_date}"
    elif day < base.reached:
        reason = f"the tables are of {base.reached}, and a build can only go on from a day before"
    elif (day - base.as_of_date).days > MOST_DAYS:
        reason = f"the build of {base.as_of_date} is more than {MOST_DAYS} days behind"
    elif (day - base.full_on).days > FULL_BUILD_AFTER:
        reason = f"the last full build, of {base.full_on}, is more than {FULL_BUILD_AFTER} days behind"
    else:
        missing = _missing_tables(connection, manifest)
        removed = _sources_with_removed_rows(connection, manifest)
        if missing:
            reason = f"there is no table {', '.join(missing)}"
        elif removed:
            reason = f"rows of {', '.join(removed)} were taken away or replaced"
    if reason:
        return Plan(day, True, reason)
    return Plan(day, False, f"going on from {base.as_of_date}")


def _begin(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    connection.begin()
    connection.execute("delete from operations.build_plan")
    connection.execute(
        "insert into operations.build_plan values (?, ?, ?)", [plan.as_of_date, plan.is_full, plan.reason]
    )
    if plan.is_full:
        # From here on the tables are of no one day, until the build is finished.
        connection.execute("delete from operations.build_base")
    else:
        connection.execute("update operations.build_base set reached = ?", [plan.as_of_date])
    connection.commit()


def _plan_of(connection: duckdb.DuckDBPyConnection, day: date) -> Plan:
    """What the first layer has decided for this day."""
    found = connection.execute("select * from operations.build_plan where as_of_date = ?", [day]).fetchall()
    return Plan(*found[0]) if found else Plan(day, True, f"{LAYERS[0]} was built without a plan for {day}")


def _base(connection: duckdb.DuckDBPyConnection) -> _Base | None:
    found = connection.execute("select as_of_date, definitions, reached, full_on from operations.build_base").fetchall()
    return _Base(*found[0]) if found else None


def _models(manifest: dict, layer: str) -> dict[str, dict]:
    """Id -> node of the models of a layer."""
    return {
        name: node
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node["schema"] == layer
    }


def _is_person_table(node: dict) -> bool:
    return node["config"]["materialized"] == PERSON_TABLE


def _missing_tables(connection: duckdb.DuckDBPyConnection, manifest: dict) -> list[str]:
    return sorted(
        f"{layer}.{node['name']}"
        for layer in LAYERS
        for node in _models(manifest, layer).values()
        if _is_person_table(node) and not exists(connection, layer, node["name"])
    )


def _replaced(node: dict) -> dict | None:
    """`meta: {replaced: ...}` of a large table of facts: how its rows are found that a day has changed.

    facts: {staging view: its column}. With `unit`, the column names what is computed as one, a basket, say, and `unit`
    the same in the table; lookups: {staging view: key} of what is joined to a row. With `from` and `to`, the columns of
    the first and last moment of a row, such as a session, the column of the view is the moment of a fact, and
    `of` says whose: {column of the view: column of the table}. identifier: {type: column of the table} that finds the
    rows of an identifier which changes hands. with: the table whose units or sessions it shares.
    """
    return node["config"].get("meta", {}).get("replaced")


def _lookups(manifest: dict) -> set[tuple[str, str]]:
    """(staging view, its key) of what large tables of facts look up."""
    return {
        pair
        for node in _models(manifest, "intermediate").values()
        for pair in (_replaced(node) or {}).get("lookups", {}).items()
    }


def _sources_with_removed_rows(connection: duckdb.DuckDBPyConnection, manifest: dict) -> list[str]:
    """Tables behind large facts of which rows were taken away since the base: which facts they were is not known."""
    behind = {
        tuple(staging.removeprefix("stg_").split("__", 1))
        for node in _models(manifest, "intermediate").values()
        for staging in (_replaced(node) or {}).get("facts", {})
    }
    rows = connection.execute(
        f"""
        select now.source, now.table_name
        from ({_REMOVALS}) as now(source, table_name, rows_removed)
        left join operations.base_removals as base using (source, table_name)
        where now.rows_removed > coalesce(base.rows_removed, 0)
        order by all
        """
    ).fetchall()
    return [f"{source}.{table}" for source, table in rows if (source, table) in behind]


class _LayerOfDay:
    """What of one layer a day has changed."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        settings: Settings,
        manifest: dict,
        layer: str,
        day: date,
    ) -> None:
        self.connection = connection
        self.settings = settings
        self.manifest = manifest
        self.layer = layer
        self.day = day
        self.base = _base(connection)
        self.renderer = Renderer(PROJECT / "dbt_project")
        self.replacements: list[Replacement] = []
        self.promises: dict[str, str] = {}
        """Model -> condition over the rows whose promises are checked."""
        self.whole: list[str] = []
        self.sets: dict[frozenset, str] = {}
        """What has changed -> table of the persons."""
        self.causes: dict[str, frozenset | None] = {}
        """Model of tags -> why rows of it change; None: all do."""

    def prepare(self) -> None:
        """Find what has changed, and write down what dbt is to replace."""
        if self.layer == LAYERS[0]:
            _find_moved_identifiers(self.connection)
            _find_changed_persons(self.connection)
            for node in self._in_order():
                self._prepare_facts(node)
        else:
            for node in self._in_order():
                self._prepare_tags(node)
        write_replacements(self.connection, self.replacements)

    def chosen(self) -> list[str]:
        """Names of the models, and of the data tests that look at whole tables and cost little."""
        facts = {
            name
            for name, node in _models(self.manifest, "intermediate").items()
            if _replaced(node) or not _is_person_table(node)
        }
        chosen = []
        for node in self.manifest["nodes"].values():
            if node["resource_type"] != "test":
                continue
            reads = set(node["depends_on"]["nodes"])
            layers = {self.manifest["nodes"][name]["schema"] for name in reads if name in self.manifest["nodes"]}
            last = max((_ORDER.index(layer) for layer in layers if layer in _ORDER), default=-1)
            if last != _ORDER.index(self.layer) or reads & facts or "staging" in layers:
                continue
            attached = self.manifest["nodes"].get(node.get("attached_node") or "", {})
            if attached.get("name") in self.promises and promised(self.manifest, node):
                continue
            chosen.append(node["name"])
        return sorted(chosen) + sorted(node["name"] for node in _models(self.manifest, self.layer).values())

    def count_persons(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Persons of whom anything was computed again."""
        selects = [f"select person_id from {table}" for table in self.sets.values()]
        if self.layer == LAYERS[0]:
            selects = ["select person_id from operations.changed_rows"]
        return connection.execute(
            f"select count(distinct person_id) from ({' union all '.join(selects) or 'select null as person_id'})"
        ).fetchall()[0][0]

    # ------------------------------------------------------------------ facts

    def _prepare_facts(self, node: dict) -> None:
        replaced = _replaced(node)
        name = node["name"]
        if not _is_person_table(node):
            self.promises[name] = "true"
            return
        if replaced is None:
            causes = self._why_rows_change(node)
            if causes is not None:
                facts = [
                    (parent["schema"], parent["name"]) for parent in self._parents(node) if _is_person_table(parent)
                ]
                self.replacements.append(facts_of_persons(name, _select_persons(causes), facts))
            else:
                columns = [column for column, _ in self._columns("intermediate", name)]
                self.replacements.append(rows_that_differ(name, columns))
            self.promises[name] = f"person_id in (select person_id from operations.changed_rows where model = '{name}')"
            return
        root = replaced.get("with", name)
        if "unit" in replaced:
            if root == name:
                self._find_changed_units(name, replaced)
            self._replace_units(name, replaced, root)
        else:
            if root == name:
                self._find_changed_stretches(name, replaced)
            self._replace_stretches(name, replaced, root)

    def _find_changed_units(self, name: str, replaced: dict) -> None:
        """operations.replaced_<model>: orders, say, of which a row is new or may be another one now."""
        unit = replaced["unit"]
        [(staging, column)] = replaced["facts"].items()
        selects = []
        new_rows, parameters = self._new_rows(staging)
        selects.append(f"select cast({column} as varchar) as unit from ({new_rows}) where {column} is not null")
        for looked_up, key in replaced.get("lookups", {}).items():
            selects.append(
                f"""
                select cast({unit} as varchar) from intermediate.{name}
                where {key} in (
                    select coalesce(base.key, now.key)
                    from (from operations.base_lookups where staging = '{looked_up}') as base
                    full join (
                        select cast({key} as varchar) as key, hash(looked_up) as row_hash
                        from staging.{looked_up} as looked_up
                    ) as now on base.key = now.key
                    where base.row_hash is distinct from now.row_hash
                )
                """
            )
        for identifier_type, key in replaced.get("identifier", {}).items():
            selects.append(
                f"""
                select cast({unit} as varchar) from intermediate.{name}
                where {key} in (
                    select cast(hash(identifier_hash) >> 1 as bigint) from operations.moved_identifiers
                    where identifier_type = '{identifier_type}'
                )
                """
            )
        self.connection.execute(
            f"create or replace table operations.replaced_{name} as select distinct unit from "
            f"({' union all '.join(selects)})",
            parameters,
        )
        self.connection.execute(
            f"create or replace table operations.replaced_{name}_facts as select * from staging.{staging} "
            f"where {column} in (select unit from operations.replaced_{name})"
        )

    def _replace_units(self, name: str, replaced: dict, root: str) -> None:
        goes = f"{replaced['unit']} in (select unit from operations.replaced_{root})"
        if root == name:
            [staging] = replaced["facts"]
            reads = {staging: f"select * from operations.replaced_{name}_facts"}
        else:
            reads = {root: f"select * from intermediate.{root} where {goes}"}
        self._replace_facts(name, reads, goes, [])

    def _find_changed_stretches(self, name: str, replaced: dict) -> None:
        """operations.replaced_<model>: from when on the sessions of an account, say, are computed again."""
        [(staging, time)] = replaced["facts"].items()
        [(identifier_type, hashed)] = replaced["identifier"].items()
        parts = replaced["of"]
        hashes = "".join(
            f", {identifier_hash(identifier_type, column)} as {key}" for column, key in parts.items() if key == hashed
        )
        listed = ", ".join(f"hashed.{column}" for column in parts)
        same_parts = " and ".join(f"hashed.{column} is not distinct from before.{column}" for column in parts)
        new_rows, parameters = self._new_rows(staging)
        same = " and ".join(f"old_rows.{key} is not distinct from hashed.{key}" for key in parts.values())
        self.connection.execute(
            f"""
            create or replace table operations.replaced_{name} as
            with newest as (
                select {", ".join(parts)}, min({time}) as first_at
                from ({new_rows})
                where {time} is not null
                group by {", ".join(parts)}
            ),
            hashed as (select newest.*{hashes} from newest),
            before as (
                select {listed}, min(old_rows.{replaced["from"]}) as starts_at
                from hashed
                inner join intermediate.{name} as old_rows
                    on {same} and old_rows.{replaced["to"]} > hashed.first_at - {LONGEST_PAUSE}
                group by {listed}
            )
            select hashed.*, least(before.starts_at, hashed.first_at) as starts_at
            from hashed
            left join before on {same_parts}
            """,
            parameters,
        )
        first = self.connection.execute(f"select min(starts_at) from operations.replaced_{name}").fetchall()[0][0]
        same = " and ".join(f"facts.{column} is not distinct from replaced.{column}" for column in parts)
        self.connection.execute(
            f"""
            create or replace table operations.replaced_{name}_facts as
            select facts.*
            from staging.{staging} as facts
            inner join operations.replaced_{name} as replaced on {same} and facts.{time} >= replaced.starts_at
            where facts.{time} >= $first
            """,
            {"first": first},
        )

    def _replace_stretches(self, name: str, replaced: dict, root: str) -> None:
        of_root = _replaced(self._node(root))
        [staging] = of_root["facts"]
        [(identifier_type, hashed)] = of_root["identifier"].items()
        same = " and ".join(f"replaced.{key} is not distinct from {OLD}.{key}" for key in of_root["of"].values())
        goes = (
            f"exists (select 1 from operations.replaced_{root} as replaced "
            f"where {same} and {OLD}.{replaced['from']} >= replaced.starts_at)"
        )
        moved = (
            f"operations.moved_identifiers as moved where moved.identifier_type = '{identifier_type}' "
            f"and moved.identifier_hash = {OLD}.{hashed} and {OLD}.person_id is distinct from moved.person_id"
        )
        renamed = [
            f"insert into operations.changed_rows select distinct '{name}', unnest([{OLD}.person_id, moved.person_id]) "
            f"from {OLD}, {moved}",
            f"update {OLD} set person_id = moved.person_id from {moved}",
        ]
        self._replace_facts(name, {staging: f"select * from operations.replaced_{root}_facts"}, goes, renamed)

    def _replace_facts(self, name: str, reads: dict[str, str], goes: str, first: list[str]) -> None:
        statements = [
            *first,
            f"insert into operations.changed_rows select distinct '{name}', person_id from {OLD} "
            f"where person_id is not null and {goes}",
            f"insert into operations.changed_rows select distinct '{name}', person_id from {NEW} "
            "where person_id is not null",
            f"delete from {OLD} where {goes}",
        ]
        self.replacements.append(Replacement(name, reads, statements=tuple(statements)))
        self.promises[name] = f"person_id in (select person_id from operations.changed_rows where model = '{name}')"

    def _new_rows(self, staging: str) -> tuple[str, dict]:
        """The select of a staging view over the rows that the base does not cover, and its parameters."""
        source, table = self._declared(staging)
        found = self.connection.execute(
            "select covered_until, covered_day from operations.base_coverage where source = ? and table_name = ?",
            [source.name, table.name],
        ).fetchall()
        until, day = found[0] if found else (None, None)
        condition, parameters = is_new(table, Covered(until, day or self.base.as_of_date), self.settings.time_zone)
        return view_over(self.connection, source, table, condition), parameters

    def _declared(self, staging: str) -> tuple[Source, Table]:
        source_name, _, table_name = staging.removeprefix("stg_").partition("__")
        source = load_source(self.settings.sources / f"{source_name}.yml")
        return source, next(table for table in source.tables if table.name == table_name)

    # ------------------------------------------------------------------- tags

    def _prepare_tags(self, node: dict) -> None:
        if not _is_person_table(node):
            self.causes[node["name"]] = None
            self.promises[node["name"]] = "true"
            return
        causes = self._why_rows_change(node)
        table = self._persons_of(causes) if causes is not None else None
        if table is None:
            self.causes[node["name"]] = None
            self.whole.append(node["name"])
            self.promises[node["name"]] = "true"
            return
        self.causes[node["name"]] = causes
        persons = f"select person_id from {table}"
        facts = [
            (parent["schema"], parent["name"])
            for parent in self._parents(node)
            if _is_person_table(parent) or parent["name"] == "persons"
        ]
        self.replacements.append(rows_of_persons(node["name"], persons, facts))
        self.promises[node["name"]] = f"person_id in ({persons})"

    def _why_rows_change(self, node: dict) -> frozenset | None:
        """What has changed that rows of a model are computed from; None when that is not only rows of some persons."""
        reading = self._reading(node)
        if reading is None or reading.moves_daily or node["config"].get("meta", {}).get("updates") == FULL_BUILD:
            return None
        causes = set()
        for parent in self._parents(node):
            name, layer = parent["name"], parent.get("schema")
            if parent["resource_type"] == "seed":
                continue
            if name == "persons" or (layer == "intermediate" and _is_person_table(parent)):
                causes.add(("changed", name))
            elif self._causes_of(parent) is not None:
                causes |= self._causes_of(parent)
            else:
                return None
            causes |= self._edges(parent, reading)
        return frozenset(causes)

    def _reading(self, node: dict) -> Reading | None:
        """How a model depends on the day; None when its SQL cannot be rendered without dbt."""
        try:
            return read_windows(self.renderer.render(PROJECT / "dbt_project" / node["original_file_path"]).sql)
        except RenderingError as error:
            log.warning("%s is computed for everybody: %s", node["name"], error)
            return None

    def _causes_of(self, parent: dict) -> frozenset | None:
        """Those of another table of tags, which may be of the layer before."""
        name = parent["name"]
        if name not in self.causes:
            if not _is_person_table(parent) or parent["schema"] not in LAYERS[1:]:
                self.causes[name] = None
            else:
                causes = self._why_rows_change(parent)
                self.causes[name] = causes if causes is not None and self._persons_of(causes) else None
        return self.causes[name]

    def _edges(self, parent: dict, reading: Reading) -> set[tuple]:
        """Dates in a table that enter or leave a window between the base and the day."""
        columns = self._columns(parent["schema"], parent["name"])
        named = {column: kind for column, kind in columns if _is_time(kind)}
        edges = set()
        for window in reading.windows:
            # Under a name that the table does not have it may be any of its dates.
            dates = {window.column} if window.column in named else set(named)
            first, last = window.moved(self.base.as_of_date, self.day)
            edges |= {
                ("edge", parent["schema"], parent["name"], column, kind, first, last)
                for column, kind in named.items()
                if column in dates
            }
        return edges

    def _persons_of(self, causes: frozenset) -> str | None:
        """Table of the persons whose rows change for these reasons; None when they are too many (`MOST_PERSONS`)."""
        if causes not in self.sets:
            table = f"operations.affected_by_{self.layer}_{len(self.sets) + 1}"
            self.connection.execute(
                f"create or replace table {table} as select person_id from ({_select_persons(causes)}) "
                "where person_id is not null group by person_id"
            )
            self.sets[causes] = table
        table = self.sets[causes]
        [(persons, everybody)] = self.connection.execute(
            f"select (select count(*) from {table}), (select count(*) from identity_mapping.persons)"
        ).fetchall()
        return table if persons <= everybody * MOST_PERSONS else None

    # ------------------------------------------------------------------ graph

    def _node(self, name: str) -> dict:
        return next(node for node in _models(self.manifest, "intermediate").values() if node["name"] == name)

    def _parents(self, node: dict) -> list[dict]:
        nodes = self.manifest["nodes"]
        return [nodes[name] for name in node["depends_on"]["nodes"] if name in nodes]

    def _in_order(self) -> Iterable[dict]:
        """The models of the layer, each after those of the layer that it reads."""
        models = _models(self.manifest, self.layer)
        done: dict[str, dict] = {}

        def visit(name: str) -> None:
            if name in models and name not in done:
                for parent in models[name]["depends_on"]["nodes"]:
                    visit(parent)
                done[name] = models[name]

        for name in sorted(models):
            visit(name)
        return done.values()

    def _columns(self, schema: str, name: str) -> list[tuple[str, str]]:
        """(column, type) of a table, in its order."""
        return self.connection.execute(
            "select column_name, data_type from information_schema.columns "
            "where table_schema = ? and table_name = ? order by ordinal_position",
            [schema, name],
        ).fetchall()


def _select_persons(causes: frozenset) -> str:
    """A select of the persons whose rows change for these reasons."""
    selects = ["select person_id from operations.updated_persons"]
    edges: dict[str, list[str]] = {}
    for cause in sorted(causes, key=str):
        if cause[0] == "changed":
            selects.append(f"select person_id from operations.changed_rows where model = '{cause[1]}'")
        else:
            _, schema, name, column, kind, first, last = cause
            # The whole day before, too: a moment in it is later than its midnight, the limit of a window.
            since = first if kind == "DATE" else first - timedelta(1)
            edges.setdefault(f"{schema}.{name}", []).append(
                f"({column} >= date '{since}' and {column} < date '{last + timedelta(1)}')"
            )
    selects += [f"select person_id from {table} where {' or '.join(dates)}" for table, dates in edges.items()]
    return " union all ".join(selects)


_ORDER = ("seeds", "staging", "identity_mapping", *LAYERS)


def _is_time(data_type: str) -> bool:
    return data_type == "DATE" or data_type.startswith("TIMESTAMP")


def _find_moved_identifiers(connection: duckdb.DuckDBPyConnection) -> None:
    """operations.moved_identifiers: whose person is another one than in the base; null: nobody's now."""
    connection.execute(
        """
        create or replace table operations.moved_identifiers as
        select
            coalesce(now.identifier_type, base.identifier_type) as identifier_type,
            coalesce(now.identifier_hash, base.identifier_hash) as identifier_hash,
            now.person_id
        from operations.base_identity as base
        full join identity_mapping.identity_map as now
            on base.identifier_type = now.identifier_type and base.identifier_hash = now.identifier_hash
        where base.person_id is distinct from now.person_id
        """
    )


def _find_changed_persons(connection: duckdb.DuckDBPyConnection) -> None:
    """Persons who are new, gone, or have another golden record than in the base."""
    connection.execute(
        """
        insert into operations.changed_rows
        select 'persons', coalesce(now.person_id, base.person_id)
        from operations.base_persons as base
        full join (
            select person_id, hash(persons) as row_hash from identity_mapping.persons as persons
        ) as now on base.person_id = now.person_id
        where base.row_hash is distinct from now.row_hash
        """
    )
