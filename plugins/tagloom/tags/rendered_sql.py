"""Renders the SQL of dbt's models without dbt: in milliseconds, without a warehouse, before anything is built.

Macros are the project's own. What only dbt knows has a stand-in: a `ref` is the model's name, a `source` is
`raw_<source>.<table>`, a day is 1970-01-01. So the result says which columns go where; it is not to be run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

_NOT_JINJA = re.compile(r"\{%-?\s*(materialization|test|snapshot)\s")
"""Blocks of dbt's own; files that hold them have no macro that a model calls."""


class RenderingError(ValueError):
    """A model's SQL cannot be rendered; the message names the file."""


@dataclass(frozen=True)
class ModelSql:
    """One SQL file of the dbt project."""

    name: str
    path: Path
    layer: str
    """First folder below models, or `data-tests`."""
    raw: str
    sql: str
    """Rendered."""
    refs: frozenset[str]
    """Names of the models, seeds and snapshots that it reads."""
    sources: frozenset[str]
    """What it reads of sources, as `raw_<source>.<table>`."""
    problem: str = ""
    """Why its Jinja could not be rendered; `sql` is empty then."""


class Renderer:
    """The macros of one dbt project, ready to render its files."""

    def __init__(self, project: Path) -> None:
        """Load every macro of the project."""
        self._project = project
        self._read: tuple[set[str], set[str]] = (set(), set())
        environment = jinja2.Environment(
            extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"], undefined=_StandIn, autoescape=False
        )
        # Filled below: macros call each other through it.
        self._macros: dict[str, Callable] = {}
        environment.globals.update(self._context())
        sources = [path.read_text(encoding="utf-8") for path in sorted((project / "macros").rglob("*.sql"))]
        text = "\n".join(source for source in sources if not _NOT_JINJA.search(source))
        macros = environment.from_string(text).module
        self._macros |= {
            name: _returning(macro) for name, macro in vars(macros).items() if isinstance(macro, jinja2.runtime.Macro)
        }
        self._environment = environment

    def models(self) -> dict[str, ModelSql]:
        """Name -> rendered SQL of every SQL model and data test; of one that is wrong, the problem."""
        paths = [*sorted((self._project / "models").rglob("*.sql"))]
        paths += sorted((self._project / "data-tests").rglob("*.sql"))
        read = {}
        for path in paths:
            try:
                read[path.stem] = self.render(path)
            except RenderingError as error:
                read[path.stem] = self._model(path, path.read_text(encoding="utf-8"), "", str(error))
        return read

    def render(self, path: Path) -> ModelSql:
        """Render one file.

        Raises RenderingError when there is a mistake in its Jinja.
        """
        raw = path.read_text(encoding="utf-8")
        self._read[0].clear()
        self._read[1].clear()
        try:
            sql = self._environment.from_string(raw).render()
        except (jinja2.TemplateError, TypeError, AttributeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise RenderingError(
                f"{path.relative_to(self._project)}: its Jinja cannot be rendered: {reason}"
            ) from error
        return self._model(path, raw, sql)

    def _model(self, path: Path, raw: str, sql: str, problem: str = "") -> ModelSql:
        parts = path.relative_to(self._project).parts
        return ModelSql(
            name=path.stem,
            path=path.relative_to(self._project),
            layer=parts[1] if parts[0] == "models" else parts[0],
            raw=raw,
            sql=sql,
            refs=frozenset(self._read[0]),
            sources=frozenset(self._read[1]),
            problem=problem,
        )

    def _context(self) -> dict[str, Any]:
        def ref(*names: str, **_: object) -> str:
            self._read[0].add(names[-1])
            return names[-1]

        def source(name: str, table: str) -> str:
            self._read[1].add(f"raw_{name}.{table}")
            return f"raw_{name}.{table}"

        return {
            "ref": ref,
            "source": source,
            "config": _Config(),
            "this": "this_model",
            "execute": False,
            "is_incremental": lambda: False,
            "var": lambda name, default="": default,
            "env_var": lambda name, default="": default,
            "return": _return,
            "none": None,
            "dbt": _Types(),
            "adapter": _Adapter(lambda name: self._macros[name]),
            "exceptions": _Exceptions(),
            "tagloom": _Namespace(self._macros),
        }


class _Return(Exception):  # noqa: N818 (a way out of a macro, no error)
    def __init__(self, value: object) -> None:
        self.value = value


def _return(value: object = "") -> None:
    raise _Return(value)


def _returning(macro: Callable) -> Callable:
    def call(*arguments: object, **options: object) -> object:
        try:
            return macro(*arguments, **options)
        except _Return as returned:
            return returned.value

    return call


class _Namespace:
    def __init__(self, macros: dict[str, Callable]) -> None:
        self._macros = macros

    def __getattr__(self, name: str) -> Callable:
        if name not in self._macros:
            # No AttributeError: Jinja would take that for something undefined, and go on.
            raise ValueError(f"there is no macro tagloom.{name}")
        return self._macros[name]


class _Config:
    def __call__(self, *_: object, **__: object) -> str:
        return ""

    def get(self, name: str, default: object = None) -> object:
        return default


class _Types:
    def __getattr__(self, name: str) -> Callable[[], str]:
        """`dbt.type_string()` is the type string."""
        return lambda *_: "varchar" if name == "type_string" else name.removeprefix("type_")


class _Adapter:
    def __init__(self, macro: Callable[[str], Callable]) -> None:
        self._macro = macro

    def dispatch(self, name: str, *_: object) -> Callable:
        return self._macro(f"default__{name}")


class _Exceptions:
    def raise_compiler_error(self, message: str) -> None:
        raise ValueError(message)


class _StandIn(jinja2.Undefined):
    """Whatever else dbt puts into the context: it may be called and asked for attributes, and is nothing."""

    def __call__(self, *_: object, **__: object) -> _StandIn:
        return self

    def __getattr__(self, name: str) -> _StandIn:
        if name.startswith("__"):
            raise AttributeError(name)
        return self
