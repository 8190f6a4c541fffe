"""SQL as HTML with its words told apart by classes; the colours are the stylesheet's."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_WORDS = (
    "and|as|asc|between|by|case|cast|coalesce|cross|date|desc|distinct|else|"
    "end|exists|false|filter|first|following|from|full|group|having|in|inner|interval|"
    "into|is|join|last|lateral|left|like|limit|not|null|nulls|on|or|"
    "order|outer|over|partition|preceding|range|right|row|rows|select|then|true|union|"
    "unbounded|using|values|when|where|window|with"
)

_TOKENS = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/|\{#.*?#\})"
    r"|(?P<jinja>\{\{.*?\}\}|\{%.*?%\})"
    r"|(?P<text>'(?:[^']|'')*')"
    r"|(?P<number>\b\d+(?:\.\d+)?\b)"
    rf"|(?P<word>\b(?:{_WORDS})\b)"
    r"|(?P<function>\b[a-z_][a-z0-9_]*(?=\s*\())",
    re.DOTALL | re.IGNORECASE,
)


def highlighted(sql: str) -> Markup:
    """The SQL, escaped, with a span of class sql-comment, sql-jinja, sql-text, sql-number, sql-word or sql-function."""
    parts, place = [], 0
    for found in _TOKENS.finditer(sql):
        parts.append(escape(sql[place : found.start()]))
        parts.append(Markup('<span class="sql-{}">{}</span>').format(found.lastgroup, found.group()))
        place = found.end()
    parts.append(escape(sql[place:]))
    return Markup("").join(parts)
