"""The commands `python -m tagloom source new | check | infer | preview`."""

from __future__ import annotations

import argparse
import re
import sys
from datetime import date
from pathlib import Path

from tagloom.identity.policy import POLICY_FILE, load_policy
from tagloom.settings import Settings
from tagloom.sources import NAME, SourceError, load_source, readable_sources


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its four actions to the command line."""
    parser = commands.add_parser("source", help="declare a source: new, check, infer, preview")
    actions = parser.add_subparsers(required=True, metavar="action")

    new = actions.add_parser("new", help="write a commented declaration to fill in")
    new.add_argument("name", help="name of the source: lower-case letters, digits, underscores")
    new.add_argument(
        "--format",
        default="csv",
        help="of delivered files: csv, tsv, jsonl, json, parquet, excel; or database, api, object_storage, pushed",
    )
    _add_print(new)
    new.set_defaults(function=_new)

    check = actions.add_parser("check", help="are the declarations in order?")
    check.add_argument("files", nargs="*", type=Path, metavar="FILE", help="these only; otherwise all")
    check.set_defaults(function=_check)

    infer = actions.add_parser("infer", help="write a first draft of a declaration from a sample file")
    infer.add_argument("file", type=Path, help="csv, tsv, jsonl, json, parquet or excel; compressed or not")
    infer.add_argument("--name", help="name of the source; otherwise what the file is called")
    infer.add_argument("--table", help="name of the table")
    infer.add_argument("--format", help="when the file's name does not tell it")
    _add_print(infer)
    infer.set_defaults(function=_infer)

    preview = actions.add_parser("preview", help="show what the newest delivery would land as; nothing is kept")
    preview.add_argument("name", help="name of the source, or the file of its declaration")
    preview.add_argument("--rows", type=int, default=10, help="show so many rows (10)")
    preview.add_argument("--day", type=date.fromisoformat, metavar="YYYY-MM-DD", help="the delivery of this day")
    preview.set_defaults(function=_preview)


def _add_print(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--print", action="store_true", dest="prints", help="print it instead of writing the file")


def _new(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.source_tools.template import KINDS, new_declaration

    if options.format not in KINDS:
        raise SourceError(f"--format: {options.format!r} is none of {', '.join(KINDS)}")
    _require_name("NAME", options.name)
    _put(settings, options, options.name, new_declaration(options.name, options.format))


def _check(settings: Settings, options: argparse.Namespace) -> int:
    from tagloom.source_tools.check import TO_FILL_IN, check_sources, left_open

    paths = options.files or sorted(settings.sources.glob("*.yml"))
    if not paths:
        raise SourceError(f"{settings.sources}: holds no source declaration (*.yml)")
    sources, problems = check_sources(paths, POLICY_FILE)
    for problem in problems:
        print(problem, file=sys.stderr)
    for source in sources:
        if keys := left_open(source):
            print(f"{source.name}.yml: still {TO_FILL_IN}: {', '.join(keys)}")
    if problems:
        return 1
    tables = sum(len(source.tables) for source in sources)
    print(
        f"{len(sources)} source declaration{'s' * (len(sources) != 1)} with {tables} table{'s' * (tables != 1)} "
        f"{'are' if len(sources) != 1 else 'is'} in order"
    )
    return 0


def _infer(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.source_tools.drafts import draft_declaration, known_identifiers, names_from
    from tagloom.source_tools.samples import SUFFIXES, read_sample_of

    if options.format and options.format not in SUFFIXES.values():
        raise SourceError(f"--format: {options.format!r} is none of {', '.join(dict.fromkeys(SUFFIXES.values()))}")
    suggested_name, suggested_table = names_from(options.file)
    name, table = options.name or suggested_name, options.table or suggested_table
    _require_name("--name", name)
    _require_name("--table", table)
    if not options.prints:
        _require_absent(settings, name)
    sample = read_sample_of(options.file, options.format)
    types = list(load_policy().identifier_types)
    # A broken declaration elsewhere takes nothing from this one but its hints.
    known = known_identifiers(readable_sources(settings.sources)[0])
    _put(settings, options, name, draft_declaration(sample, name, table, types, known, _place(settings, options.file)))


def _place(settings: Settings, file: Path) -> str | None:
    """Where a file lies below the landing folder of its source; None when it lies elsewhere."""
    file = file.resolve()
    if not file.is_relative_to(settings.landing):
        return None
    below = file.relative_to(settings.landing).parts[1:]
    return "/".join(below) or None


def _preview(settings: Settings, options: argparse.Namespace) -> int:
    from tagloom.source_tools.preview import preview

    path = Path(options.name) if options.name.endswith(".yml") else settings.sources / f"{options.name}.yml"
    if not path.exists():
        raise SourceError(f"{path}: there is no such declaration")
    source = load_source(path)
    previews = preview(settings, source, options.day, options.rows)
    print("\n\n".join(_as_text(source.name, seen, options.day) for seen in previews))
    return 1 if any(seen.problem for seen in previews) else 0


def _as_text(source: str, seen, day: date | None) -> str:
    from tagloom.text_table import text_table

    if seen.day is None:
        what = f"nothing was delivered for {day}" if day else "nothing has been delivered yet"
        return f"{source}.{seen.table}: {seen.problem or what}" + (f"; {seen.hint}" if seen.hint else "")
    files = seen.files[:5] + ([f"... and {len(seen.files) - 5} more files"] if len(seen.files) > 5 else [])
    lines = [f"{source}.{seen.table}, delivered for {seen.day}", *(f"  {file}" for file in files)]
    if seen.rows_read:
        lines.append(
            f"  {seen.rows_read:,} rows: {seen.rows_landed:,} would land, {seen.rows_quarantined:,} would go to "
            f"quarantine, {seen.duplicates:,} duplicates would be dropped"
        )
    lines += [f"  drift: {sentence}" for sentence in seen.drift]
    lines += [f"  PROBLEM: {seen.problem}"] if seen.problem else []
    if seen.reasons:
        table = text_table(("what is wrong", "rows", "first"), seen.reasons, widest=70)
        lines += ["", *(f"  {line}" for line in table.splitlines())]
    if seen.rows:
        table = text_table(seen.columns, seen.rows, widest=24)
        lines += ["", *(f"  {line}" for line in table.splitlines())]
    return "\n".join(lines)


def _require_name(what: str, name: str) -> None:
    if not re.fullmatch(NAME, name):
        raise SourceError(f"{what}: {name!r} is no name: lower-case letters, digits and underscores, a letter first")


def _require_absent(settings: Settings, name: str) -> None:
    path = settings.sources / f"{name}.yml"
    if path.exists():
        raise SourceError(f"{path}: is there already; choose another name, or --print and copy what you need")


def _put(settings: Settings, options: argparse.Namespace, name: str, text: str) -> None:
    if options.prints:
        print(text, end="")
        return
    _require_absent(settings, name)
    path = settings.sources / f"{name}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path}; fill in what is open, then: python -m tagloom source check {path}")
