"""Every English text of the portal that a reader sees, found in templates and Python files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from babel.messages.extract import extract_python
from jinja2 import Environment
from jinja2.ext import babel_extract
from tagloom.portal.rendering import PORTAL

FUNCTIONS = ("t", "_")

OPTIONS = {"extensions": "jinja2.ext.do", "trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}


def texts(folder: Path = PORTAL) -> Iterator[tuple[Path, int, str]]:
    """Yield file, line and text of each t("...") in the portal's templates and modules."""
    assert Environment  # babel_extract makes one of these options
    for file in sorted((folder / "templates").rglob("*.html")):
        with file.open("rb") as stream:
            for line, _, message, _ in babel_extract(stream, FUNCTIONS, [], OPTIONS):
                yield from ((file, line, text) for text in _strings(message))
    for file in sorted(folder.rglob("*.py")):
        with file.open("rb") as stream:
            for line, _, message, _ in extract_python(stream, FUNCTIONS, [], {}):
                yield from ((file, line, text) for text in _strings(message))


def _strings(message: object) -> list[str]:
    """The first argument of a call; nothing when it is no literal."""
    first = message[0] if isinstance(message, tuple) else message
    return [first] if isinstance(first, str) and first else []
