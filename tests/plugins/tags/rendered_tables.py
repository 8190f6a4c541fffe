"""The written models of the integration layer, run as they stand over tables in DuckDB: rendered without dbt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import CodeType

import duckdb
import jinja2
from tagloom.settings import PROJECT

MACROS = PROJECT / "dbt_project" / "macros"
FOLDERS = ("dialect", "time", "tags_over_time")


_COMPILED: dict[str, CodeType] = {}
"""Text -> the same, compiled: tests build many small worlds from the same texts."""


class KilledError(Exception):
    """The process ended here."""


class RenderedTables:
    """A DuckDB with one schema, in which written models are built for days; dbt's part is played by this class."""

    def __init__(
        self, files: dict[Path, str], connection: duckdb.DuckDBPyConnection | None = None, engine: str = "duckdb"
    ) -> None:
        """Use these written files; with the engine spark, SQL can be rendered but not built."""
        self.connection = connection or duckdb.connect(config={"threads": 1})
        self._engine = engine
        self._day = ""
        self._options: dict = {}
        self.replaced: dict[str, str] = {}
        """History -> condition over the objects whose rows an incremental build has replaced in its table."""
        self._environment = jinja2.Environment(extensions=["jinja2.ext.do"])
        self._environment.globals |= {
            "tagloom": _Namespace(self),
            "adapter": self,
            "dbt": self,
            "exceptions": self,
            "execute": True,
            "env_var": self._env_var,
            "var": lambda name, default="": self._day,
            "ref": lambda name: name,
            "return": _return,
            "config": self._config,
            "is_incremental": lambda: self._exists(self.identifier),
            "this": self,
        }
        self.identifier = ""
        self.macros: dict[str, Callable] = {}
        files_of_macros = [file for folder in FOLDERS for file in sorted((MACROS / folder).glob("*.sql"))]
        files_of_macros.append(MACROS / "updates" / "is_update.sql")
        self.macros["replacement_of"] = self._replacement_of
        self.take(files, [file.read_text(encoding="utf-8") for file in files_of_macros])

    def take(self, files: dict[Path, str], macros: list[str] | None = None) -> None:
        """Use these written files from now on, among them the macros."""
        models = {path: sql for path, sql in files.items() if path.parts[0] == "models" and path.suffix == ".sql"}
        self._models = {path.stem: sql for path, sql in models.items()}
        texts = (macros or []) + [content for path, content in files.items() if path.parts[0] == "macros"]
        for text in texts:
            if text not in _COMPILED:
                _COMPILED[text] = self._environment.compile(text)
            template = jinja2.Template.from_code(self._environment, _COMPILED[text], self._environment.globals)
            found = vars(template.module)
            self.macros |= {name: value for name, value in found.items() if callable(value)}

    def _env_var(self, name: str, default: str = "") -> str:
        return "true" if name == "TAGLOOM_AFFECTED_ONLY" and self.replaced else default

    def _replacement_of(self, name: str) -> None:
        _return({"kept": self.replaced[name]} if name in self.replaced else None)

    def sql(self, name: str, day: str) -> str:
        """SQL of a model for a day."""
        self._day, self.identifier, self._options = day, name, {}
        return self._rendered(self._models[name])

    def build(self, name: str, day: str, *, killed: bool = False) -> None:
        """Build a model for a day; killed just before it is committed, when that is said."""
        select = self.sql(name, day)
        match self._options.get("materialized", "table"):
            case "view":
                self.connection.execute(f"create or replace view {name} as {select}")
            case "incremental":
                self._add_to(name, select, killed)
            case _:
                self.connection.execute(f"create or replace table {name} as {select}")

    def rows(self, query: str) -> list[tuple]:
        """Rows of a query, in which macros may be called."""
        return self.connection.execute(self._rendered(query)).fetchall()

    def dicts(self, query: str) -> list[dict]:
        """The same with names of columns."""
        cursor = self.connection.execute(self._rendered(query))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def text(self, template: str) -> str:
        """SQL of a template."""
        return self._rendered(template)

    def _rendered(self, text: str) -> str:
        if text not in _COMPILED:
            _COMPILED[text] = self._environment.compile(text)
        return jinja2.Template.from_code(self._environment, _COMPILED[text], self._environment.globals).render()

    def _exists(self, table: str) -> bool:
        found = self.connection.execute("select 1 from duckdb_tables() where table_name = ?", [table]).fetchall()
        return bool(found)

    def __str__(self) -> str:
        """Stand in for dbt's `this`."""
        return self.identifier

    def get_columns_in_relation(self, relation: object) -> list[dict]:
        """Stand in for dbt's adapter."""
        return [{"name": name} for (name, *_) in self.connection.execute(f"describe {relation}").fetchall()]

    def dispatch(self, name: str, _project: str) -> Callable:
        """Stand in for dbt's adapter."""
        of_engine = f"{self._engine}__{name}"
        return getattr(_Namespace(self), of_engine if of_engine in self.macros else f"default__{name}")

    def type_string(self) -> str:
        """Stand in for dbt's macro."""
        return "string" if self._engine == "spark" else "varchar"

    def raise_compiler_error(self, message: str) -> None:
        """Stand in for dbt's exceptions."""
        raise ValueError(message)

    def _config(self, **options: object) -> str:
        self._options = options
        return ""

    def _add_to(self, name: str, select: str, killed: bool) -> None:
        self.connection.execute(f"create or replace temp table new_rows as {select}")
        self.connection.begin()
        if not self._exists(name):
            self.connection.execute(f"create table {name} as from new_rows")
        else:
            for column, data_type, *_ in self.connection.execute("describe new_rows").fetchall():
                self.connection.execute(f"alter table {name} add column if not exists {column} {data_type}")
            key = self._options["unique_key"]
            keys = key if isinstance(key, str) else ", ".join(key)
            self.connection.execute(f"delete from {name} where ({keys}) in (select ({keys}) from new_rows)")
            self.connection.execute(f"insert into {name} by name from new_rows")
        if killed:
            self.connection.rollback()
            raise KilledError
        self.connection.commit()


class _Returned(Exception):  # noqa: N818
    """What dbt's `return` gives to the caller of a macro."""

    def __init__(self, value: object) -> None:
        self.value = value


def _return(value: object) -> None:
    raise _Returned(value)


class _Namespace:
    """The project's macros."""

    def __init__(self, tables: RenderedTables) -> None:
        self._tables = tables

    def __getattr__(self, name: str) -> Callable:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*arguments: object, **options: object) -> object:
            try:
                return str(self._tables.macros[name](*arguments, **options))
            except _Returned as returned:
                return returned.value

        return call
