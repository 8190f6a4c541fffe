"""How a person's value of a tag came about: the definition, each step of the SQL, the facts and their deliveries.

Runs the model's SQL as it is now over the warehouse, which is only read. Personal data come out masked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import sqlglot
from sqlglot import exp

from tagloom.identity.identifiers import find_identifier, find_person
from tagloom.identity.policy import POLICY_FILE, load_policy
from tagloom.samples import mask
from tagloom.settings import Settings, identity_key
from tagloom.tags import values
from tagloom.tags.beside import Beside, first_line, open_beside
from tagloom.tags.origins import DIALECT, Origin, Tracer
from tagloom.tags.project import FoundTag, Project, TagRequestError, layer_of, parents_of, tag_meta, tags_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbt.contracts.graph.nodes import ManifestNode

SHOWN = 10
"""Rows of each step and of each source that are shown unless somebody asks for more."""

KEY = "person_id"


@dataclass(frozen=True)
class Rows:
    """Rows of a person, newest first where they have a time."""

    name: str
    number: int
    columns: tuple[str, ...]
    shown: tuple[tuple[str | None, ...], ...]
    note: str = ""
    """What to know about them."""


@dataclass(frozen=True)
class Facts:
    """Rows of a table that the model reads for the person, and the deliveries that they came with."""

    rows: Rows
    origins: tuple[Origin, ...]


@dataclass(frozen=True)
class Explained:
    """How a value came about."""

    person: int
    tag: str
    model: str
    path: str
    title: str
    title_zh: str
    description: str
    meta: dict[str, Any]
    as_of_date: date
    value: str
    """The value that the SQL gives now, as readers would see it; `null` when nothing is known."""
    value_because: str
    """Why it is not simply what the SQL gives; empty when it is."""
    built: str | None
    """The value in the wide table of the warehouse; None when the tag is not in it."""
    steps: tuple[Rows, ...]
    facts: tuple[Facts, ...]
    other_tags: tuple[tuple[str, tuple[str, ...]], ...]
    """Tag models that this one reads, and their tags."""


def explain_tag(
    settings: Settings,
    person: str,
    name: str,
    *,
    limit: int = SHOWN,
    say: Callable[[str], None] = lambda _text: None,
) -> Explained:
    """Explain a person's value of a tag; the person is 42, person:42 or an identifier such as loyalty_card:200000123.

    Raises TagRequestError when there is no such tag of persons or nothing is built, IdentifierError when there is no
    such person, WarehouseBusyError when another process writes the warehouse.
    """
    say("reading the project")
    project = Project(settings)
    found = project.find(name, "person")
    if found.object != "person":
        raise TagRequestError(f"{name} is a tag of a {found.object}; explain shows how values of persons come about.")
    if len(found.tags) != 1:
        raise TagRequestError(f"{name} has several tags; say which one: {', '.join(found.tags)}.")
    with open_beside(settings) as beside:
        day = beside.built_for()
        if day is None:
            raise TagRequestError(
                "No build of tags is finished, so there is no value to explain; run build_tags first."
            )
        number = _find_person(beside.connection, person)
        say(f"running {found.node.name} for person {number} on {day}")
        return _Explainer(beside, project, found, number, day, limit).explained(say)


def _find_person(connection: duckdb.DuckDBPyConnection, text: str) -> int:
    with _warehouse_by_default(connection):
        text = text.strip()
        if text.isdecimal():
            text = f"person:{text}"
        if text.startswith("person:"):
            number = find_person(connection, text)
        else:
            identifier = find_identifier(connection, text, load_policy(POLICY_FILE), identity_key())
            rows = connection.execute(
                "select person_id from identity_mapping.identity_map where identifier_key = ?", [identifier.key]
            ).fetchall()
            if not rows:
                raise TagRequestError(f"{identifier} is of nobody; `identity explain key:{identifier.key}` says why.")
            number = rows[0][0]
        living = connection.execute("select 1 from identity_mapping.persons where person_id = ?", [number]).fetchall()
        if living:
            return number
        heirs = connection.execute(
            "select survivor_id from identity_mapping.person_redirects where person_id = ?", [number]
        ).fetchall()
        heir = f"; who it was is person {heirs[0][0]} now" if heirs and heirs[0][0] is not None else ""
        raise TagRequestError(f"Person {number} is retired{heir}.")


@contextmanager
def _warehouse_by_default(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let names without a catalogue mean the warehouse, as code that opens it expects."""
    connection.execute("use current")
    try:
        yield
    finally:
        connection.execute("use memory")


class _Explainer:
    def __init__(self, beside: Beside, project: Project, found: FoundTag, person: int, day: date, limit: int) -> None:
        self._beside = beside
        self._connection = beside.connection
        self._project = project
        self._node = found.node
        self._tag = found.tags[0]
        self._meta = tag_meta(found.node, self._tag) or {}
        self._person = person
        self._day = day
        self._limit = limit
        self._sql, _ = beside.lay(project, found.node, day)
        self._tree = sqlglot.parse_one(self._sql, dialect=DIALECT)
        self._hidden = self._personal_columns()

    def explained(self, say: Callable[[str], None]) -> Explained:
        try:
            value, because = self._value()
            steps = self._steps()
        except duckdb.Error as error:
            raise TagRequestError(
                f"{self._node.original_file_path}: DuckDB cannot run it: {first_line(error)}"
            ) from error
        say("following the facts to their deliveries")
        meta = self._meta
        return Explained(
            person=self._person,
            tag=self._tag,
            model=self._node.name,
            path=self._node.original_file_path,
            title=str(meta.get("title") or ""),
            title_zh=str(meta.get("title_zh") or ""),
            description=" ".join((self._node.columns[self._tag].description or "").split()),
            meta=meta,
            as_of_date=self._day,
            value=value,
            value_because=because,
            built=self._built_value(),
            steps=steps,
            facts=tuple(self._facts()),
            other_tags=tuple(
                (node.name, tags_of(node)) for node in self._parents() if layer_of(node) == "tag_category"
            ),
        )

    def _parents(self) -> list[ManifestNode]:
        nodes = [self._project.node(name) for name in parents_of(self._node)]
        return [node for node in nodes if node is not None]

    def _value(self) -> tuple[str, str]:
        rows = self._connection.execute(
            f'select "{self._tag}" from ({self._sql}) as model where {KEY} = {self._person:d}'
        ).fetchall()
        missing = self._meta.get("if_missing")
        if rows and rows[0][0] is not None:
            return self._shown(self._tag, rows[0][0]), ""
        why = "the SQL gives null" if rows else "the SQL gives no row for the person"
        match missing:
            case "zero":
                return "0", f"{why}, and if_missing is zero"
            case False | "false":
                return "false", f"{why}, and if_missing is false"
            case _:
                return values.NULL, f"{why}, and if_missing is null: nothing is known"

    def _built_value(self) -> str | None:
        if not self._beside.is_built("tag_integration", "person_tags"):
            return None
        try:
            rows = self._connection.execute(
                f'select "{self._tag}" from current.tag_integration.person_tags where {KEY} = {self._person:d}'
            ).fetchall()
        except duckdb.BinderException:
            return None
        return self._shown(self._tag, rows[0][0]) if rows else None

    def _steps(self) -> tuple[Rows, ...]:
        beginning = _with_clause(self._tree)
        found = []
        for cte in self._tree.ctes:
            query = f'{beginning} select * from "{cte.alias}"'
            found.append(self._rows_of(cte.alias, query))
        return tuple(found)

    def _rows_of(self, name: str, query: str) -> Rows:
        described = self._connection.execute(f"describe {query}").fetchall()
        columns = [row[0] for row in described]
        if KEY not in columns:
            [(number,)] = self._connection.execute(f"select count(*) from ({query}) as step").fetchall()
            return Rows(name, number, tuple(columns), (), f"has no {KEY}: the same for everybody")
        self._connection.execute(
            f"create or replace temp table step as select * from ({query}) as step where {KEY} = {self._person:d}"
        )
        return self._rows_in("step", name)

    def _rows_in(self, table: str, name: str, note: str = "") -> Rows:
        described = self._connection.execute(f"describe {table}").fetchall()
        columns = [row[0] for row in described if row[0] != KEY]
        times = [row[0] for row in described if values.is_time(row[1])]
        order = "all"
        if times:
            order = ", ".join([f'"{times[0]}" desc', *(f'"{column}"' for column in columns if column != times[0])])
        [(number,)] = self._connection.execute(f"select count(*) from {table}").fetchall()
        if not columns:
            return Rows(name, number, (), (), note)
        listed = ", ".join(f'"{column}"' for column in columns)
        rows = self._connection.execute(
            f"select {listed} from {table} order by {order} limit {self._limit:d}"
        ).fetchall()
        shown = tuple(
            tuple(self._shown(column, value) for column, value in zip(columns, row, strict=True)) for row in rows
        )
        return Rows(name, number, tuple(columns), shown, note)

    def _facts(self) -> Iterator[Facts]:
        tracer = Tracer(self._beside, self._project, self._day)
        for node in self._parents():
            if layer_of(node) != "intermediate":
                continue
            queries = list(self._reading(node))
            if not queries:
                continue
            for position, query in enumerate(queries):
                verb = "insert into facts" if position else "create or replace temp table facts as"
                self._connection.execute(
                    f"{verb} select distinct * from ({query}) as facts where {KEY} = {self._person:d}"
                )
            self._connection.execute("create or replace temp table facts as select distinct * from facts")
            rows = self._rows_in("facts", node.name)
            origins = tracer.origins(node, "facts", self._person, self._limit) if rows.number else []
            yield Facts(rows, tuple(origins))

    def _reading(self, node: ManifestNode) -> Iterator[str]:
        """Per place where the model reads a table: its rows that pass the conditions there, with all their columns."""
        columns = {
            row[0] for row in self._connection.execute(f'describe warehouse."{node.schema}"."{node.name}"').fetchall()
        }
        if KEY not in columns:
            return
        beginning = _with_clause(self._tree)
        for table in self._tree.find_all(exp.Table):
            select = table.find_ancestor(exp.Select)
            if (table.db, table.name) != (node.schema, node.name) or select is None:
                continue
            bare = select.copy()
            for part in ("group", "having", "qualify", "order", "limit", "distinct", "windows", "with_", "with"):
                if part in bare.arg_types:
                    bare.set(part, None)
            bare.set("expressions", [exp.Column(this=exp.Star(), table=exp.to_identifier(table.alias_or_name))])
            query = f"{beginning} {bare.sql(dialect=DIALECT)}"
            try:
                self._connection.execute(f"describe {query}")
            except duckdb.Error:
                # A condition that only holds together with what was left out: show all rows of the person.
                query = f'select * from warehouse."{node.schema}"."{node.name}"'
            yield query

    def _personal_columns(self) -> set[str]:
        """Columns whose values are personal data, by what the twins of this model and of those that it reads say."""
        hidden = set()
        for node in self._parents():
            for name, column in node.columns.items():
                meta = {**(column.meta or {}), **(getattr(column.config, "meta", None) or {})}
                if meta.get("personal_data") in ("direct", "indirect"):
                    hidden.add(name)
        hidden |= {
            tag for tag in tags_of(self._node) if (tag_meta(self._node, tag) or {}).get("personal_data") == "direct"
        }
        return hidden - {KEY}

    def _shown(self, column: str, value: object) -> str | None:
        if value is None:
            return None
        return mask(values.shown(value)) if column in self._hidden else values.shown(value)


def _with_clause(tree: exp.Expression) -> str:
    return "with " + ", ".join(cte.sql(dialect=DIALECT) for cte in tree.ctes) if tree.ctes else ""
