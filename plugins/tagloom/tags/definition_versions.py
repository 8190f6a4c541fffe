"""Notices when a tag's definition changes: a hash of its SQL and of what its twin says about values.

Each definition that a tag has had is a row of operations.tag_definitions, with the days that were built with it.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING

from tagloom.operations import create_operations_tables
from tagloom.tags.definitions import Tag, TagModel

if TYPE_CHECKING:
    import duckdb

NOT_MEANING = ("title", "title_zh", "description", "owner", "since", "status", "version", "category", "history")
"""Keys of a twin that may change while every value stays the same."""

_PIECES = re.compile(r"""(?P<text>'(?:[^']|'')*'|"[^"]*")|(?P<nothing>\{\#.*?\#\}|--[^\n]*|/\*.*?\*/)""", re.DOTALL)


def definition_hash(model: TagModel, tag: Tag) -> str:
    """First twelve digits of the SHA-256 of what decides the tag's values: its model's SQL as written, and its twin.

    Comments, line breaks and spaces of the SQL do not count, and of the twin no key of NOT_MEANING. The SQL is that of
    the file, not the compiled one, in which every day stands.
    """
    said = tag.model_dump(mode="json", exclude=set(NOT_MEANING))
    said["values"] = sorted(tag.values or [])
    sql = normalised_sql(model.sql_path.read_text(encoding="utf-8"))
    return hashlib.sha256(f"{sql}\0{json.dumps(said, sort_keys=True)}".encode()).hexdigest()[:12]


def normalised_sql(sql: str) -> str:
    """SQL without comments, and with spaces only where they part two words. What stands in quotes stays as it is."""
    pieces: list[tuple[str, str]] = []
    end = 0
    for found in _PIECES.finditer(sql):
        pieces += [("code", sql[end : found.start()]), (found.lastgroup or "", found.group())]
        end = found.end()
    pieces.append(("code", sql[end:]))
    kept = [(kind if kind == "text" else "code", " " if kind == "nothing" else text) for kind, text in pieces]
    return "".join(
        _without_spaces("".join(text for _, text in group)) if kind == "code" else "".join(text for _, text in group)
        for kind, group in groupby(kept, key=lambda piece: piece[0])
    ).strip()


def _without_spaces(code: str) -> str:
    """Take away spaces but for one between two letters, digits or underscores."""
    return re.sub(r"\s*([^\w\s])\s*", r"\1", re.sub(r"\s+", " ", code))


def record(connection: duckdb.DuckDBPyConnection, tag_models: list[TagModel], as_of_date: date) -> list[str]:
    """Note which definition each tag has in a build for a day. Recording the same again changes nothing.

    Returns one sentence per published tag whose definition has changed while its version has not.
    """
    create_operations_tables(connection)
    in_force = {
        (object_name, tag): (number, version, hashed, last_built_on)
        for object_name, tag, number, version, hashed, last_built_on in connection.execute(
            """
            select object, tag, change_number, version, definition_hash, last_built_on
            from operations.tag_definitions
            qualify row_number() over (partition by object, tag order by change_number desc) = 1
            """
        ).fetchall()
    }
    warnings, new, rebuilt = [], [], []
    for model in tag_models:
        for tag in model.columns:
            hashed = definition_hash(model, tag)
            number, version, before, last_built_on = in_force.get((model.object, tag.name), (0, None, None, None))
            if (version, before) == (tag.version, hashed):
                if as_of_date > last_built_on:
                    rebuilt.append([as_of_date, model.object, tag.name, number])
                continue
            new.append([model.object, tag.name, number + 1, tag.version, hashed, as_of_date, as_of_date])
            if number and before != hashed and version == tag.version and tag.status == "published":
                warnings.append(
                    f"{model.object} tag {tag.name}: its definition has changed since version {version}; raise "
                    f"version: in {model.path.name} when values mean something else now"
                )
    connection.begin()
    try:
        if new:
            connection.executemany("insert into operations.tag_definitions values (?, ?, ?, ?, ?, ?, ?)", new)
        if rebuilt:
            connection.executemany(
                "update operations.tag_definitions set last_built_on = ? "
                "where object = ? and tag = ? and change_number = ?",
                rebuilt,
            )
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return warnings
