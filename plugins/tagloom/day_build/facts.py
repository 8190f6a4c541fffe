"""The rows of facts that a day changes: what came in, what changed hands, what the catalogue describes anew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from tagloom.affected import Covered, identifier_hash, is_new, view_over
from tagloom.day_build.causes import Causes, select_persons
from tagloom.day_build.models import Graph, Prepared, is_person_table, replaced_of
from tagloom.day_build.months import changed_months, is_month_table, months_of, replace_months
from tagloom.day_build.plan import Base
from tagloom.day_build.unchanged import SmallFacts, declared
from tagloom.replacing import NEW, OLD, Replacement, facts_of_persons, rows_that_differ
from tagloom.settings import Settings

if TYPE_CHECKING:
    import duckdb

LONGEST_PAUSE = "interval 1 day"
"""No session or visit goes on after such a pause; starts_new_session ends them after half an hour."""


@dataclass
class Facts:
    """Prepares the tables of facts of a day."""

    graph: Graph
    settings: Settings
    base: Base
    causes: Causes
    prepared: Prepared
    small: SmallFacts
    found: set[str] = field(default_factory=set)
    """Large tables of facts of which it is known what the day changes."""

    def prepare(self, node: dict) -> None:
        """Say how rows of a model are found that the day changes, and replaced."""
        replaced = replaced_of(node)
        name = node["name"]
        if is_month_table(node):
            self._prepare_months(node)
            return
        if not is_person_table(node):
            if self._gets_no_row(node):
                self.prepared.unchanged.add(name)
            return
        if replaced is None:
            causes = self.causes.why_rows_change(node)
            if causes is None:
                causes = self.small.why_rows_change(node, self.prepared.unchanged)
                if causes == frozenset():
                    self.prepared.unchanged.add(name)
                    return
            if causes is not None:
                facts = [
                    (parent["schema"], parent["name"]) for parent in self.graph.parents(node) if is_person_table(parent)
                ]
                self.prepared.replacements.append(facts_of_persons(name, select_persons(causes), facts))
            else:
                columns = [column for column, _ in self.graph.columns("intermediate", name)]
                self.prepared.replacements.append(rows_that_differ(name, columns))
            return
        root = replaced.get("with", name)
        self._find_changes(root)
        if self._stays(root):
            self.prepared.unchanged.add(name)
        elif "unit" in replaced:
            self._replace_units(name, replaced, root)
        else:
            self._replace_stretches(name, replaced, root)

    def _prepare_months(self, node: dict) -> None:
        self._find_changes(months_of(node)["of"])
        reading = self.causes.reading(node)
        months = changed_months(self.graph, node, reading, self.base.as_of_date, self.causes.day)
        if months is not None:
            self.prepared.replacements.append(replace_months(self.graph, node, months))

    def _find_changes(self, root: str) -> None:
        """Once for all tables that share the units or sessions of one."""
        if root in self.found:
            return
        self.found.add(root)
        replaced = replaced_of(self.graph.node(root))
        if "unit" in replaced:
            self._find_changed_units(root, replaced)
        else:
            self._find_changed_stretches(root, replaced)

    def _stays(self, root: str) -> bool:
        """Whether no row of a large table of facts is new or may be another one now, nor of those that go with it."""
        replaced = replaced_of(self.graph.node(root))
        # A unit whose identifier has moved is among those found.
        if self.small.was_begun or self.small.was_updated:
            return False
        if "unit" not in replaced and self.small.moved_types & set(replaced["identifier"]):
            return False
        return not self.graph.connection.execute(f"select 1 from operations.replaced_{root} limit 1").fetchall()

    def _gets_no_row(self, node: dict) -> bool:
        """Whether a table that is none of persons stays as it is (`meta: {grows_by: {facts: key}}`).

        It does when its staging views hold what they held, and no fact has a key that is not in the table. Facts that
        were taken away make a build a full one.
        """
        grows_by = node["config"].get("meta", {}).get("grows_by", {})
        if not grows_by or self.small.was_begun:
            return False
        for parent in self.graph.parents(node):
            name = parent["name"]
            if name not in grows_by:
                if parent.get("schema") != "staging" or not self.small.is_unchanged_view(name):
                    return False
                continue
            key = grows_by[name]
            self._find_changes(name)
            further = self.graph.connection.execute(
                f"""
                select 1
                from operations.replaced_{name}_facts as facts
                left join intermediate.{node["name"]} as known on facts.{key} is not distinct from known.{key}
                where known.{key} is null
                limit 1
                """
            ).fetchall()
            if further:
                return False
        return True

    def _find_changed_units(self, name: str, replaced: dict) -> None:
        """operations.replaced_<model>: orders, say, of which a row is new or may be another one now.

        operations.arrived_<model>: of these the ones that are not there only because an identifier changed hands.
        """
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
        arrived = f"operations.arrived_{name}"
        self.graph.connection.execute(
            f"create or replace table {arrived} as select distinct unit from ({' union all '.join(selects)})",
            parameters,
        )
        selects = [f"select unit from {arrived}"]
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
        self.graph.connection.execute(
            f"create or replace table operations.replaced_{name} as select distinct unit from "
            f"({' union all '.join(selects)})"
        )
        self.graph.connection.execute(
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
        self._replace_facts(name, reads, f"from {OLD} as goes where goes.{goes}", [])

    def _find_changed_stretches(self, name: str, replaced: dict) -> None:
        """operations.replaced_<model>: from when on the sessions of an account, say, are computed again."""
        [(staging, time)] = replaced["facts"].items()
        [(identifier_type, hashed)] = replaced["identifier"].items()
        parts = replaced["of"]
        hashes = "".join(
            f", {identifier_hash(identifier_type, column)} as {key}" for column, key in parts.items() if key == hashed
        )
        new_rows, parameters = self._new_rows(staging)
        found = f"operations.replaced_{name}"
        self.graph.connection.execute(
            f"""
            create or replace table {found} as
            with newest as (
                select {", ".join(parts)}, min({time}) as starts_at
                from ({new_rows})
                where {time} is not null
                group by {", ".join(parts)}
            )
            select newest.*{hashes} from newest
            """,
            parameters,
        )
        # As a literal it lets DuckDB skip what is older.
        first = self._first(name)
        if first is None:
            self.graph.connection.execute(f"create or replace table {found}_facts as from staging.{staging} limit 0")
            return
        same = self._same(name, parts.values(), "session")
        self.graph.connection.execute(
            f"""
            update {found} as found
            set starts_at = least(found.starts_at, before.starts_at)
            from (
                select found.rowid as row_number, min(session.{replaced["from"]}) as starts_at
                from {found} as found
                inner join intermediate.{name} as session
                    on {same} and session.{replaced["to"]} > found.starts_at - {LONGEST_PAUSE}
                where session.{replaced["to"]} > timestamp '{first}' - {LONGEST_PAUSE}
                group by found.rowid
            ) as before
            where found.rowid = before.row_number
            """
        )
        same = self._same(name, parts, "facts")
        self.graph.connection.execute(
            f"""
            create or replace table {found}_facts as
            select facts.*
            from staging.{staging} as facts
            inner join {found} as found on {same} and facts.{time} >= found.starts_at
            where facts.{time} >= timestamp '{self._first(name)}'
            """
        )

    def _first(self, name: str) -> datetime | None:
        return self.graph.connection.execute(f"select min(starts_at) from operations.replaced_{name}").fetchall()[0][0]

    def _same(self, name: str, columns: Iterable[str], other: str) -> str:
        """Condition that joins operations.replaced_<name>, called found, by columns that both have."""
        nulls = " or ".join(f"{column} is null" for column in columns)
        has_nulls = self.graph.connection.execute(
            f"select 1 from operations.replaced_{name} where {nulls} limit 1"
        ).fetchall()
        # By `=` DuckDB skips rows that have no partner while it reads them.
        sign = "is not distinct from" if has_nulls else "="
        return " and ".join(f"found.{column} {sign} {other}.{column}" for column in columns)

    def _replace_stretches(self, name: str, replaced: dict, root: str) -> None:
        of_root = replaced_of(self.graph.node(root))
        [staging] = of_root["facts"]
        [(identifier_type, hashed)] = of_root["identifier"].items()
        first = self._first(root)
        if first is None:
            goes = f"from {OLD} as goes where false"
        else:
            same = self._same(root, of_root["of"].values(), "goes")
            goes = (
                f"from {OLD} as goes inner join operations.replaced_{root} as found "
                f"on {same} and goes.{replaced['from']} >= found.starts_at "
                f"where goes.{replaced['from']} >= timestamp '{first}'"
            )
        renamed = []
        if identifier_type in self.small.moved_types:
            moved = (
                f"operations.moved_identifiers as moved where moved.identifier_type = '{identifier_type}' "
                f"and moved.identifier_hash = {OLD}.{hashed} and {OLD}.person_id is distinct from moved.person_id"
            )
            renamed = [
                f"insert into operations.changed_rows "
                f"select distinct '{name}', unnest([{OLD}.person_id, moved.person_id]) from {OLD}, {moved}",
                f"update {OLD} set person_id = moved.person_id from {moved}",
            ]
        self._replace_facts(name, {staging: f"select * from operations.replaced_{root}_facts"}, goes, renamed)

    def _replace_facts(self, name: str, reads: dict[str, str], goes: str, first: list[str]) -> None:
        """goes: from where on a select of the rows that go reads; they are called so in it."""
        rows = f"going_{name}"
        statements = [
            *first,
            # Looked for once: of the table are read then only the parts where these rows are.
            f"create or replace temp table {rows} as select goes.rowid as row_number, goes.person_id {goes}",
            f"insert into operations.changed_rows select distinct '{name}', person_id from {rows} "
            "where person_id is not null",
            f"insert into operations.changed_rows select distinct '{name}', person_id from {NEW} "
            "where person_id is not null",
            f"delete from {OLD} where rowid in (select row_number from {rows})",
            f"drop table {rows}",
        ]
        self.prepared.replacements.append(Replacement(name, reads, statements=tuple(statements)))

    def _new_rows(self, staging: str) -> tuple[str, dict]:
        """The select of a staging view over the rows that the base does not cover, and its parameters."""
        source, table = declared(self.settings, staging)
        found = self.graph.connection.execute(
            "select covered_until, covered_day from operations.base_coverage where source = ? and table_name = ?",
            [source.name, table.name],
        ).fetchall()
        until, day = found[0] if found else (None, None)
        condition, parameters = is_new(table, Covered(until, day or self.base.as_of_date), self.settings.time_zone)
        return view_over(self.graph.connection, source, table, condition), parameters


def find_moved_identifiers(connection: duckdb.DuckDBPyConnection) -> None:
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


def find_changed_persons(connection: duckdb.DuckDBPyConnection) -> None:
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
