"""The commands `python -m tagloom quarantine list | show | replay`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tagloom.settings import Settings

if TYPE_CHECKING:
    import duckdb

    from tagloom.quarantine import Entry, Filter

SHOWN = 20
"""Rows that `show` prints unless --limit says otherwise."""


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its three actions to the command line."""
    parser = commands.add_parser("quarantine", help="look at rows that broke their declaration, bring them back")
    actions = parser.add_subparsers(required=True, metavar="action")

    listing = actions.add_parser("list", help="count rows by table and reason")
    _add_filter(listing)
    listing.set_defaults(function=_list)

    show = actions.add_parser("show", help="show rows in full, or write them to a file to repair them there")
    show.add_argument("ids", nargs="*", metavar="ID", help="rows, as `list` and `show` name them")
    _add_filter(show)
    show.add_argument("--limit", type=int, help=f"at most so many rows ({SHOWN}; with --to all)")
    show.add_argument("--unmasked", action="store_true", help="read personal values from the delivered file")
    show.add_argument("--to", type=Path, metavar="FILE", help=".jsonl or .csv; original values, for the owner's eyes")
    show.set_defaults(function=_show)

    replay = actions.add_parser("replay", help="land repaired rows, or the days of bad rows after a correction")
    replay.add_argument("file", nargs="?", type=Path, help="what `show --to` wrote, repaired")
    _add_filter(replay, with_repaired=False)
    replay.set_defaults(function=_replay)


def _add_filter(parser: argparse.ArgumentParser, with_repaired: bool = True) -> None:
    parser.add_argument("--source", help="of this source only")
    parser.add_argument("--table", help="of this table only")
    parser.add_argument("--reason", metavar="TEXT", help="whose column or reason contains this text")
    parser.add_argument("--day", type=date.fromisoformat, metavar="YYYY-MM-DD", help="delivered for this day")
    if with_repaired:
        parser.add_argument("--repaired", action="store_true", help="also rows that have been repaired")


def _filter(options: argparse.Namespace) -> Filter:
    from tagloom.quarantine import Filter

    return Filter(
        source=options.source,
        table=options.table,
        reason=options.reason,
        day=options.day,
        ids=tuple(getattr(options, "ids", ())),
        with_repaired=getattr(options, "repaired", False) or bool(getattr(options, "ids", ())),
    )


@contextmanager
def _warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    from tagloom.quarantine import QuarantineError
    from tagloom.warehouse import open_warehouse

    if not settings.warehouse.exists():
        raise QuarantineError("Nothing has landed yet, so nothing is in quarantine.")
    with open_warehouse(settings) as connection:
        yield connection


def _list(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.quarantine import groups
    from tagloom.text_table import text_table

    with _warehouse(settings) as connection:
        found = groups(connection, _filter(options))
    if not found:
        print("nothing is in quarantine" + _narrowed(options))
        return
    rows = [
        (f"{group.source}.{group.table}", group.problem, group.rows, _days(group), group.example, group.place)
        for group in found
    ]
    print(text_table(("table", "what is wrong", "rows", "days", "first id", "where"), rows, widest=60))
    total = sum(group.rows for group in found)
    print(f"\n{total:,} {'row' if total == 1 else 'rows'}; one in full: quarantine show {found[0].example}")


def _days(group) -> str:
    return str(group.first_day) if group.first_day == group.last_day else f"{group.first_day} to {group.last_day}"


def _narrowed(options: argparse.Namespace) -> str:
    said = [getattr(options, name) for name in ("source", "table", "reason", "day")]
    return " that is like that" if any(said) else ""


def _show(settings: Settings, options: argparse.Namespace) -> int:
    from tagloom.quarantine import entries, export, original_rows

    limit = options.limit if options.limit is not None or options.to or options.ids else SHOWN
    with _warehouse(settings) as connection:
        rows = entries(connection, _filter(options), limit)
        if not rows:
            print("nothing is in quarantine" + _narrowed(options))
            return 0
        if options.to:
            export(connection, settings, rows, options.to)
            rows_said = f"{len(rows):,} {'row' if len(rows) == 1 else 'rows'}"
            print(
                f"wrote {rows_said} with original values to {options.to}, readable by you alone. Correct them, delete "
                f"the lines that stay as they are, then: quarantine replay {options.to}"
            )
            return 0
        originals = original_rows(connection, settings, rows) if options.unmasked else {}
    print("\n\n".join(_in_full(row, originals.get(row.quarantine_id)) for row in rows))
    return 0


def _in_full(row: Entry, original: dict | None) -> str:
    lines = [
        f"{row.quarantine_id}  {row.source}.{row.table}" + ("  (repaired)" if row.repaired else ""),
        f"  {row.source_file} line {row.line}, delivered for {row.day}",
        f"  {row.problem}",
    ]
    values = original if original is not None else _fields(row.raw)
    if not isinstance(values, dict):
        return "\n".join([*lines, f"    {values}"])
    if values.get("_raw") is not None:
        return "\n".join([*lines, f"    {values['_raw']}"])
    width = max(map(len, values), default=0)
    for name, value in values.items():
        mark = ">" if name == row.column else " "
        lines.append(f"  {mark} {name:<{width}}  {'-' if value is None else value}")
    return "\n".join(lines)


def _fields(raw: str) -> dict | str:
    """The columns of a whole row, or the text of a torn one."""
    try:
        fields = json.loads(raw)
    except (TypeError, json.JSONDecodeError):
        return raw
    return fields if isinstance(fields, dict) else raw


def _replay(settings: Settings, options: argparse.Namespace) -> int:
    from tagloom.quarantine import QuarantineError, read_repaired, replay_days, replay_rows

    if options.file:
        if options.source or options.table or options.reason or options.day:
            raise QuarantineError("Give either a file of repaired rows or a source, not both.")
        repaired = read_repaired(options.file)
        with _warehouse(settings) as connection:
            problems, landed = replay_rows(connection, settings, repaired)
        for identity, problem in problems.items():
            print(f"{identity}: still bad: {problem}", file=sys.stderr)
        print(f"{len(repaired) - len(problems):,} of {len(repaired):,} repaired rows are in order")
    else:
        if not options.source:
            raise QuarantineError("Give a file of repaired rows, or --source to land its days with bad rows again.")
        problems = {}
        with _warehouse(settings) as connection:
            landed = replay_days(connection, settings, _filter(options))
        if not landed:
            print("nothing is in quarantine" + _narrowed(options))
    _print_landed(landed)
    return 1 if problems or any(day.problem for day in landed) else 0


def _print_landed(landed: list) -> None:
    from tagloom.text_table import text_table

    if landed:
        rows = [(f"{day.source}.{day.table}", day.day, day.before, day.after) for day in landed]
        print(text_table(("landed again", "day", "bad before", "bad now"), rows))
    for day in landed:
        if day.problem:
            print(f"{day.source}.{day.table} of {day.day} did not land: {day.problem}", file=sys.stderr)
