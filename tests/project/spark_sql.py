"""Models as Spark would get them: dbt's Jinja, rendered with the macros' Spark side."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import jinja2

MACROS = "macros"

SPARK_TYPES = {"type_string": "string", "type_bigint": "bigint", "type_int": "int", "type_timestamp": "timestamp"}
"""What dbt-spark makes of the type macros that the project uses."""


class _Namespace:
    """`tagloom`, `dbt` or `adapter` in a template: attributes are looked up by a function."""

    def __init__(self, attribute: Callable[[str], object]) -> None:
        self._attribute = attribute

    def __getattr__(self, name: str) -> object:
        return self._attribute(name)


class SparkRenderer:
    """Renders models and macros of one dbt project for Spark, without dbt-spark, which is not installed.

    Relations become bare names, environment variables their defaults, and as_of_date is `as_of_date`.
    """

    def __init__(self, project: Path, as_of_date: date = date(2017, 12, 31)) -> None:
        """Read the macros of the project; files of materializations and tests are dbt's alone and left out."""
        extensions = ["jinja2.ext.do", "jinja2.ext.loopcontrols"]
        self._environment = jinja2.Environment(extensions=extensions, undefined=jinja2.StrictUndefined)
        self._environment.globals.update(
            tagloom=_Namespace(self._macro),
            dbt=_Namespace(lambda name: lambda: SPARK_TYPES[name]),
            adapter=_Namespace(lambda name: {"dispatch": self._dispatched, "type": lambda: "spark"}[name]),
            ref=lambda name: name,
            source=lambda source, table: f"{source}_{table}",
            config=lambda *arguments, **options: "",
            var=lambda name, default=None: {"as_of_date": as_of_date.isoformat()}.get(name, default),
            env_var=lambda name, default=None: default,
            is_incremental=lambda: False,
            execute=True,
            none=None,
            **{"return": lambda value: value},
        )
        texts = [path.read_text(encoding="utf-8") for path in sorted((project / MACROS).rglob("*.sql"))]
        expressions = [text for text in texts if "{% materialization" not in text and "{% test" not in text]
        self._macros = self._environment.from_string("\n".join(expressions)).module

    def render(self, text: str) -> str:
        """The SQL of a model's text."""
        return self._environment.from_string(text).render()

    def _macro(self, name: str) -> Callable[..., str]:
        return getattr(self._macros, name)

    def _dispatched(self, name: str, package: str) -> Callable[..., str]:
        found = getattr(self._macros, f"spark__{name}", None)
        return found or getattr(self._macros, f"default__{name}")
