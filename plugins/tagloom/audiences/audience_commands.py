"""The commands `python -m tagloom audiences list | run | export-yaml | import-yaml`."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path

from tagloom.settings import Settings


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its actions to the command line."""
    parser = commands.add_parser("audiences", help="saved audiences: list them, run them, keep them in git")
    actions = parser.add_subparsers(required=True, metavar="action")
    actions.add_parser("list", help="every saved audience, its size and its exports").set_defaults(function=_list)

    run = actions.add_parser("run", help="work out all members with the published version, and send what is due")
    run.add_argument("--without-exports", action="store_true", help="send nothing")
    run.set_defaults(function=_run)

    export = actions.add_parser("export-yaml", help="write every audience into a YAML file")
    export.add_argument("folder", type=Path)
    export.set_defaults(function=_export_yaml)

    imported = actions.add_parser("import-yaml", help="save the audiences of YAML files, all or none")
    imported.add_argument("folder", type=Path)
    imported.add_argument("--by", default=getpass.getuser(), help="who does it; default: your user name")
    imported.set_defaults(function=_import_yaml)


def _list(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.audiences import export_book, library
    from tagloom.portal.store.base import open_store, store_exists
    from tagloom.text_table import text_table

    if not store_exists(settings):
        print("No audience is saved yet; make one in the portal, or bring some with `audiences import-yaml`.")
        return
    with open_store(settings).session() as store:
        audiences, newest = library.list_audiences(store), library.last_runs(store)
        exports = export_book.exports_of(store)
    rows = []
    for audience in audiences:
        run = newest.get(audience.id)
        sent = [f"{export.name} ({export.target})" for export in exports if export.audience_id == audience.id]
        rows.append(
            (
                audience.id,
                audience.path,
                audience.owner,
                audience.number,
                f"{run.size:,}" if run else None,
                f"+{run.entered:,} -{run.left_count:,}" if run else None,
                run.as_of_date.isoformat() if run else None,
                ", ".join(sent) or None,
            )
        )
    if not rows:
        print("No audience is saved yet; make one in the portal, or bring some with `audiences import-yaml`.")
        return
    print(text_table(("no.", "audience", "owner", "version", "members", "change", "as of", "exports"), rows))


def _run(settings: Settings, options: argparse.Namespace) -> int:
    from tagloom.audiences.exports import run_due_exports
    from tagloom.audiences.runs import materialise_all
    from tagloom.portal.serving import Serving
    from tagloom.portal.store.audiences import FAILED

    snapshot = Serving(settings).snapshot()
    problems = []
    for done in materialise_all(settings, snapshot):
        if done.run is None:
            problems.append(done.problem)
            continue
        what = f"{done.run.entered:,} entered, {done.run.left_count:,} left" if done.is_new else "as before"
        print(f"{done.audience.path}: {done.run.size:,} members, {what}")
    for run in [] if options.without_exports else run_due_exports(settings, snapshot):
        print(f"export {run.export_id}: {run.status}, {run.rows:,} persons {run.reason or run.file}".rstrip())
        if run.status == FAILED:
            problems.append(f"export {run.export_id}: {run.reason}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _export_yaml(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.audiences.library_files import export_yaml
    from tagloom.portal.store.base import open_store
    from tagloom.yaml_files import changes

    with open_store(settings).session() as store:
        changed = export_yaml(store, options.folder)
    print(changes(changed))


def _import_yaml(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.audiences.compile import check
    from tagloom.audiences.evaluate import events_of_version
    from tagloom.audiences.library import AudienceError, definitions
    from tagloom.audiences.library_files import import_yaml
    from tagloom.portal.serving import NothingPublishedError, Serving
    from tagloom.portal.store.base import open_store

    with open_store(settings).transaction() as store:
        imported = import_yaml(store, options.folder, options.by)
        try:
            snapshot = Serving(settings).snapshot()
        except NothingPublishedError:
            snapshot = None
        for done in imported if snapshot else []:
            problems = check(done.audience.definition, snapshot.tags, events_of_version(snapshot), definitions(store))
            if problems:
                raise AudienceError("\n".join(f"{done.file}: definition: {problem}" for problem in problems))
    for done in imported:
        print(
            f"{done.state} {done.audience.path}" + (f", version {done.audience.number}" if done.state != "new" else "")
        )
