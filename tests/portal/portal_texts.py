"""Every English text of the portal that a reader sees, found in templates and Python files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from jinja2.ext import babel_extract
from tagloom.portal.rendering import PORTAL

FUNCTIONS = ("t", "_")

OPTIONS = {"extensions": "jinja2.ext.do", "trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}


def texts(folder: Path = PORTAL) -> Iterator[tuple[Path, int, str]]:
    """Yield file, line and text of each t("...") in the portal's templates and modules."""
    for file in sorted((folder / "templates").rglob("*.html")):
        with file.open("rb") as stream:
            for line, _, message, _ in babel_extract(stream, FUNCTIONS, [], OPTIONS):
                yield from ((file, line, text) for text in _strings(message))
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and _name(node.func) in FUNCTIONS:
                yield from ((file, node.lineno, text) for text in _choices(node.args[0]))


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _choices(argument: ast.expr) -> list[str]:
    """The text, or both of `one if condition else other`; nothing when it is no literal."""
    if isinstance(argument, ast.IfExp):
        return [*_choices(argument.body), *_choices(argument.orelse)]
    return [argument.value] if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else []


def _strings(message: object) -> list[str]:
    """The first argument of a call; nothing when it is no literal."""
    first = message[0] if isinstance(message, tuple) else message
    return [first] if isinstance(first, str) and first else []
