"""The commands `python -m tagloom tag new | preview | diff | explain`: the analyst's loop."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, date, datetime
from pathlib import Path

from tagloom.settings import PROJECT, Settings

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

MOVED_TOO_MUCH = 2
"""Exit code of `diff` when a tag changes for a larger share of objects than --fail-above."""

VERSION_NOT_RAISED = 3
"""Exit code of `diff` when values of a published tag change under the same version; goes before the other."""


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its four actions to the command line."""
    parser = commands.add_parser("tag", help="make and change customer tags: new, preview, diff, explain")
    actions = parser.add_subparsers(required=True, metavar="action")

    new = actions.add_parser("new", help="write SQL and twin of a new tag from the template of its kind")
    new.add_argument("name", help="the tag's name, a column: is_stock_up_shopper")
    new.add_argument("--category", required=True, metavar="A/B", help="path in the catalogue, such as habit/trip")
    new.add_argument("--kind", required=True, help="fact, statistic, rule ...; docs/tag-kinds.md shows each")
    new.add_argument("--object", default="person", help="person (default), household, product or store")
    new.add_argument("--topic", help="second half of the model's name; otherwise the tag's name")
    new.add_argument("--owner", metavar="ADDRESS", help="who answers for it; otherwise who owns most of the category")
    new.add_argument("--new-category", action="store_true", help="begin a first level that no tag has yet")
    new.set_defaults(function=_new)

    preview = actions.add_parser("preview", help="run a tag's SQL on the warehouse and show the values; builds nothing")
    preview.add_argument("tag", help="a tag, or a tag model for all its tags")
    preview.add_argument(
        "--as-of", type=date.fromisoformat, metavar="YYYY-MM-DD", help="another day than the last build's"
    )
    preview.set_defaults(function=_preview)

    diff = actions.add_parser(
        "diff",
        help="build changed tags beside the warehouse and show which values and audiences change",
        description="Builds both versions of changed tag models, and what reads them, in a copy of the warehouse. Exit "
        f"code {MOVED_TOO_MUCH}: more changes than --fail-above; {VERSION_NOT_RAISED}: published values change, but "
        "the version in the twin is not raised.",
    )
    diff.add_argument("--base", default="HEAD", metavar="REVISION", help="git revision to compare with (HEAD)")
    diff.add_argument("--markdown", type=Path, metavar="FILE", help="write the report as Markdown, too")
    diff.add_argument("--fail-above", type=_percent, metavar="PERCENT", help="share of objects that may change per tag")
    diff.set_defaults(function=_diff)

    explain = actions.add_parser("explain", help="show how a person's value of a tag came about")
    explain.add_argument("person", metavar="PERSON", help="42, or an identifier such as loyalty_card:200000123")
    explain.add_argument("tag", metavar="TAG", help="a tag of persons")
    explain.add_argument("--limit", type=int, default=10, metavar="ROWS", help="rows of each step and source (10)")
    explain.set_defaults(function=_explain)


def _percent(text: str) -> float:
    try:
        share = float(text.removesuffix("%"))
    except ValueError:
        share = -1.0
    if not 0 <= share <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write percent from 0 to 100, such as 5")
    return share


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _new(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.tags.new_tag import new_tag

    written = new_tag(
        PROJECT / "dbt_project",
        options.name,
        options.category,
        options.kind,
        options.object,
        topic=options.topic,
        owner=options.owner,
        # The day on which somebody begins a definition is the one on the calendar.
        since=datetime.now(UTC).date(),
        new_category=options.new_category,
    )
    for path in (written.sql, written.twin):
        print(f"wrote {path.relative_to(PROJECT)}")
    for note in written.notes:
        print(f"note: {note}")
    print(
        "\nNext: change the SQL and look at it with\n"
        f"    make tag-preview TAG={options.name}\n"
        "then fill in the twin; `make tags` says what is missing, and its unit test fails until it says what is right."
    )


def _preview(settings: Settings, options: argparse.Namespace) -> int:
    from tagloom.tags.preview import preview
    from tagloom.tags.preview_report import report

    found = preview(settings, options.tag, options.as_of, say=_say)
    print(report(found))
    return 0


def _diff(settings: Settings, options: argparse.Namespace) -> int:
    from tagloom.tags.difference import difference
    from tagloom.tags.difference_report import report, warnings

    try:
        found = difference(settings, options.base, say=_say)
    except KeyboardInterrupt:
        _say("Stopped; the copy is removed and nothing was changed.")
        return INTERRUPTED
    print(report(found))
    if options.markdown:
        options.markdown.write_text(report(found, markdown=True) + "\n", encoding="utf-8")
        _say(f"wrote {options.markdown}")
    versions, shares = warnings(found, options.fail_above)
    for sentence in (*versions, *shares):
        _say(sentence)
    if versions:
        return VERSION_NOT_RAISED
    return MOVED_TOO_MUCH if shares else 0


def _explain(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.tags.explanation import explain_tag
    from tagloom.tags.explanation_report import report

    print(report(explain_tag(settings, options.person, options.tag, limit=max(1, options.limit), say=_say)))
