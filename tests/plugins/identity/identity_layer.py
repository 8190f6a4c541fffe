"""The models that give person ids, run as they stand over tables in memory: their SQL is rendered without dbt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

import duckdb
import jinja2
from tagloom.settings import PROJECT

MODELS = ("identity_map", "person_registry", "identity_changes", "identity_map_history")
"""In the order in which dbt builds them."""

REPLACED_BY = {"person_registry": ("person_id",), "identity_map_history": ("identifier_key", "run_number")}
"""Incremental model -> columns of which it replaces the rows."""

TYPES = {0: ("loyalty_card", 5), 1: ("web_account", 5), 2: ("email", 3), 3: ("phone", 2)}
"""Type and strength of an identifier by its key modulo 4."""

_DBT_PROJECT = PROJECT / "dbt_project"

_RENDERED: dict[tuple, tuple[str, list[str]]] = {}
"""Model, day and tables that exist -> SQL of the model and of its hooks."""

_MACROS = (
    "time/as_of_date.sql",
    "identity/previous.sql",
    "identity/previous_identity_map_history.sql",
    "identity/identity_map_as_of.sql",
    "identity/forget_unfinished_run.sql",
)

Edge = tuple[int, int]


class KilledError(Exception):
    """The process ended here."""


class IdentityLayer:
    """State of identity mapping over a few identifiers, and its builds."""

    def __init__(self) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        self._render = _Renderer(self.connection)
        self.connection.execute(
            """
            create schema identity_mapping;
            create schema seeds;
            create table seeds.identity_policy (identifier_type varchar, strength integer, makes_person boolean);
            """
        )
        types = [(kind, strength, True) for kind, strength in TYPES.values()]
        self.connection.execute(f"insert into seeds.identity_policy values {_values(types)}")
        self._registered: set[int] = set()

    def build(
        self,
        day: date,
        components: Mapping[int, int],
        *,
        edges: Mapping[Edge, str | None] | None = None,
        killed_after: str | None = None,
    ) -> dict[int, int]:
        """Build the layer for a day and return the identity map (identifier -> person).

        `components` says of each accepted identifier which component it is in, `edges` of each edge why it is rejected.

        Raises KilledError after the model that is named.
        """
        self._put_upstream(components, edges or {})
        for model in MODELS:
            self._build_model(model, day)
            if model == killed_after:
                raise KilledError
        return self.map()

    def map(self) -> dict[int, int]:
        """Identifier -> person."""
        return dict(self.rows("select identifier_key, person_id from identity_mapping.identity_map"))

    def state(self) -> dict[str, list[tuple]]:
        """Rows of every table that later builds go on from."""
        return {model: self.rows(f"from identity_mapping.{model} order by all") for model in MODELS[1:]}

    def rows(self, query: str) -> list[tuple]:
        """Rows of a query."""
        return self.connection.execute(query).fetchall()

    def as_of(self, day: date) -> dict[int, int]:
        """The map as `identity_map_as_of` shows it."""
        relation = self._render.macro("identity_map_as_of", f"date '{day}'")
        return dict(self.rows(f"select identifier_key, person_id from {relation}"))

    def _put_upstream(self, components: Mapping[int, int], edges: Mapping[Edge, str | None]) -> None:
        identifiers = sorted(components)
        self._registered |= set(identifiers)
        self._put(
            "identity_registry",
            "identifier_key bigint, identifier_type varchar",
            [(key, TYPES[key % len(TYPES)][0]) for key in sorted(self._registered)],
        )
        self._put(
            "identity_identifiers",
            "identifier_key bigint, identifier_type varchar, identifier_hash varchar, rejected_because varchar",
            [(key, TYPES[key % len(TYPES)][0], f"hash_{key}", None) for key in identifiers],
        )
        self._put(
            "identity_components",
            "identifier_key bigint, component_key bigint",
            [(key, components[key]) for key in identifiers],
        )
        self._put(
            "identity_edges",
            "left_key bigint, right_key bigint, kind varchar, strength integer, last_seen_at timestamp",
            [(left, right, "exact", min(_strength(left), _strength(right)), None) for left, right in edges],
        )
        self._put(
            "identity_rejected_edges",
            "left_key bigint, right_key bigint, rejected_because varchar",
            [(left, right, reason) for (left, right), reason in edges.items() if reason],
        )

    def _put(self, table: str, columns: str, rows: list[tuple]) -> None:
        self.connection.execute(f"create or replace table identity_mapping.{table} ({columns})")
        if rows:
            self.connection.execute(f"insert into identity_mapping.{table} values {_values(rows)}")

    def _build_model(self, model: str, day: date) -> None:
        sql, hooks = self._render.model(model, day)
        table = f"identity_mapping.{model}"
        if model == MODELS[0] or not self._render.exists(model):
            self.connection.execute(f"create or replace table {table} as {sql}")
            return
        self.connection.execute(f"create or replace temp table new_rows as {sql}")
        self.connection.begin()
        for hook in hooks:
            self.connection.execute(hook)
        keys = ", ".join(REPLACED_BY.get(model, ()))
        if keys:
            self.connection.execute(f"delete from {table} where ({keys}) in (select ({keys}) from new_rows)")
        self.connection.execute(f"insert into {table} from new_rows")
        self.connection.commit()


def components_of(edges: list[Edge], identifiers: list[int]) -> dict[int, int]:
    """Identifier -> smallest identifier of its connected component."""
    component = {key: key for key in identifiers}
    for left, right in edges:
        one, other = sorted((component[left], component[right]))
        component = {key: one if value == other else value for key, value in component.items()}
    return component


class _Renderer:
    """The models' Jinja with stand-ins for what dbt gives them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._this = _This()
        self._environment = jinja2.Environment(extensions=["jinja2.ext.do"])
        self._environment.globals |= {
            "tagloom": self,
            "execute": True,
            "env_var": lambda name, default="": default,
            "var": lambda name, default="": self._day,
            "ref": lambda name: f"{'seeds' if name.endswith('_policy') else 'identity_mapping'}.{name}",
            "adapter": self,
            "is_incremental": lambda: self.exists(self._this.name),
            "config": self._config,
            "this": self._this,
        }
        self._day = ""
        self._hooks: list[str] = []
        self._macros: dict[str, Callable[..., str]] = {}
        for file in _MACROS:
            text = (_DBT_PROJECT / "macros" / file).read_text(encoding="utf-8")
            module = self._environment.from_string(text).module
            self._macros |= {name: value for name, value in vars(module).items() if callable(value)}

    def __getattr__(self, name: str) -> Callable[..., str]:
        """Find a macro: the project's namespace."""
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *arguments: self.macro(name, *arguments)

    def macro(self, name: str, *arguments: object) -> str:
        """What a macro gives."""
        return str(self._macros[name](*arguments))

    def model(self, name: str, day: date) -> tuple[str, list[str]]:
        """SQL of a model for a day, and of its hooks."""
        key = (name, day, *(table for table in MODELS if self.exists(table)))
        if key not in _RENDERED:
            _RENDERED[key] = self._rendered(name, day)
        return _RENDERED[key]

    def _rendered(self, name: str, day: date) -> tuple[str, list[str]]:
        self._day, self._this.name, self._hooks = day.isoformat(), name, []
        text = (_DBT_PROJECT / "models" / "identity_mapping" / f"{name}.sql").read_text(encoding="utf-8")
        sql = self._environment.from_string(text).render()
        return sql, [self._environment.from_string(hook).render() for hook in self._hooks]

    def exists(self, table: str) -> bool:
        """Whether a table of the layer has been built."""
        query = "select 1 from duckdb_tables() where schema_name = 'identity_mapping' and table_name = ?"
        return bool(self._connection.execute(query, [table]).fetchall())

    def get_relation(self, database: str, schema: str, name: str) -> str | None:
        """Stand in for dbt's adapter."""
        return f"{schema}.{name}" if self.exists(name) else None

    def _config(self, **options: object) -> str:
        self._hooks = [options["pre_hook"]] if options.get("pre_hook") else []
        return ""


class _This:
    database = "memory"
    schema = "identity_mapping"
    name = ""

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def _values(rows: list[tuple]) -> str:
    texts = [["null" if value is None else repr(value) for value in row] for row in rows]
    return ", ".join(f"({', '.join(row)})" for row in texts)


def _strength(key: int) -> int:
    return TYPES[key % len(TYPES)][1]
