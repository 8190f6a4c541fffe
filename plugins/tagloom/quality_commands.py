"""The commands `python -m tagloom quality skeleton | report`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tagloom.settings import PROJECT, Settings


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its actions to the command line."""
    parser = commands.add_parser("quality", help="what checks find: write their skeleton, make a report")
    actions = parser.add_subparsers(required=True, metavar="action")

    skeleton = actions.add_parser("skeleton", help="write the checks that follow from models and declarations")
    skeleton.add_argument("table", nargs="?", metavar="TABLE", help="only this one, such as tag_value__rfm")
    skeleton.add_argument("--check", action="store_true", help="write nothing; fail when a written file is stale")
    skeleton.set_defaults(function=_skeleton)

    report = actions.add_parser("report", help="write scores, failing checks, freshness and incidents as one HTML file")
    report.add_argument("--out", type=Path, metavar="FILE", help="default: quality.html in the home")
    report.add_argument("--days", type=int, default=30, metavar="N", help="days of data that trends show (30)")
    report.set_defaults(function=_report)


def _skeleton(settings: Settings, options: argparse.Namespace) -> int:
    from tagloom.contracts import SKELETON
    from tagloom.quality_skeleton import skeleton_files, stale_skeleton, write_skeleton
    from tagloom.sources import load_sources

    files = skeleton_files(PROJECT / "dbt_project", load_sources(settings.sources))
    if options.check:
        stale = stale_skeleton(PROJECT / "soda", files)
        for problem in stale:
            print(problem, file=sys.stderr)
        return 1 if stale else 0
    touched = write_skeleton(PROJECT / "soda", files, options.table)
    for path in touched:
        print(f"wrote soda/{SKELETON}/{path}")
    if not touched:
        print("every written file is up to date")
    return 0


def _report(settings: Settings, options: argparse.Namespace) -> int:
    from tagloom.quality_report import write_report

    print(write_report(settings, options.out or settings.home / "quality.html", options.days))
    return 0
