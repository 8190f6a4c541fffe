"""Finds every mistake in source declarations before a run does, also those that one file alone cannot show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tagloom.observations import check_identifier_types
from tagloom.sources import Source, SourceError, load_source

TO_FILL_IN = "to be filled in"
"""What a draft says where only people know the answer."""


def check_sources(paths: Sequence[Path], policy: Path) -> tuple[list[Source], list[str]]:
    """The declarations that are in order, and one sentence for each mistake in the others: file, key, cure."""
    sources, problems = [], []
    for path in paths:
        try:
            source = load_source(path)
        except FileNotFoundError:
            problems.append(f"{path}: there is no such file")
            continue
        except SourceError as error:
            problems += str(error).splitlines()
            continue
        mistakes = [*_identifier_mistakes(source, policy), *_pattern_mistakes(source)]
        if mistakes:
            problems += mistakes
        else:
            sources.append(source)
    return sources, problems


def left_open(source: Source) -> list[str]:
    """Keys of a draft that still say that they are to be filled in."""
    return [key for key, value in source.model_dump(exclude={"tables"}).items() if value == TO_FILL_IN] + [
        f"tables.{table.name}.{key}"
        for table in source.tables
        for key, value in table.model_dump(include={"title"}).items()
        if value == TO_FILL_IN
    ]


def _identifier_mistakes(source: Source, policy: Path) -> list[str]:
    try:
        check_identifier_types([source], policy)
    except SourceError as error:
        return str(error).splitlines()
    return []


def _pattern_mistakes(source: Source) -> list[str]:
    """Patterns that Python can read and the warehouse cannot: it knows no look-ahead and no back-references."""
    import duckdb

    mistakes = []
    for table in source.tables:
        for column in table.columns:
            if column.pattern is None:
                continue
            try:
                duckdb.execute("select regexp_full_match('', ?)", [column.pattern])
            except duckdb.Error as error:
                reason = str(error).split(": ", 1)[-1]
                mistakes.append(
                    f"{source.name}.yml: tables.{table.name}.columns.{column.name}.pattern: the warehouse cannot "
                    f"match {column.pattern!r} ({reason}); write it without look-around and back-references"
                )
    return mistakes
