"""The rows of facts that a day changes: what came in, what changed hands, what the catalogue describes anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tagloom.affected import Covered, identifier_hash, is_new, view_over
from tagloom.day_build.causes import Causes, select_persons
from tagloom.day_build.models import Graph, Prepared, is_person_table, replaced_of
from tagloom.day_build.plan import Base
from tagloom.replacing import NEW, OLD, Replacement, facts_of_persons, rows_that_differ
from tagloom.settings import Settings
from tagloom.sources import Source, Table, load_source

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

    def prepare(self, node: dict) -> None:
        """Say how rows of a model are found that the day changes, and replaced."""
        replaced = replaced_of(node)
        name = node["name"]
        if not is_person_table(node):
            self.prepared.promises[name] = "true"
            return
        if replaced is None:
            causes = self.causes.why_rows_change(node)
            if causes is not None:
                facts = [
                    (parent["schema"], parent["name"]) for parent in self.graph.parents(node) if is_person_table(parent)
                ]
                self.prepared.replacements.append(facts_of_persons(name, select_persons(causes), facts))
            else:
                columns = [column for column, _ in self.graph.columns("intermediate", name)]
                self.prepared.replacements.append(rows_that_differ(name, columns))
            self._promise_changed_rows(name)
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
        self.graph.connection.execute(
            f"create or replace table operations.replaced_{name} as select distinct unit from "
            f"({' union all '.join(selects)})",
            parameters,
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
        self.graph.connection.execute(
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
        first = self.graph.connection.execute(f"select min(starts_at) from operations.replaced_{name}").fetchall()[0][0]
        same = " and ".join(f"facts.{column} is not distinct from replaced.{column}" for column in parts)
        self.graph.connection.execute(
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
        of_root = replaced_of(self.graph.node(root))
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
        self.prepared.replacements.append(Replacement(name, reads, statements=tuple(statements)))
        self._promise_changed_rows(name)

    def _promise_changed_rows(self, name: str) -> None:
        changed = f"select person_id from operations.changed_rows where model = '{name}'"
        self.prepared.promises[name] = f"person_id in ({changed})"

    def _new_rows(self, staging: str) -> tuple[str, dict]:
        """The select of a staging view over the rows that the base does not cover, and its parameters."""
        source, table = self._declared(staging)
        found = self.graph.connection.execute(
            "select covered_until, covered_day from operations.base_coverage where source = ? and table_name = ?",
            [source.name, table.name],
        ).fetchall()
        until, day = found[0] if found else (None, None)
        condition, parameters = is_new(table, Covered(until, day or self.base.as_of_date), self.settings.time_zone)
        return view_over(self.graph.connection, source, table, condition), parameters

    def _declared(self, staging: str) -> tuple[Source, Table]:
        source_name, _, table_name = staging.removeprefix("stg_").partition("__")
        source = load_source(self.settings.sources / f"{source_name}.yml")
        return source, next(table for table in source.tables if table.name == table_name)


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
