"""The commands `python -m tagloom identity decisions export-yaml | import-yaml`: decisions kept in git."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tagloom.settings import Settings, identity_key

if TYPE_CHECKING:
    import duckdb


def add(decisions: argparse.ArgumentParser) -> None:
    """Add the actions to `identity decisions`, which lists decisions without one."""
    actions = decisions.add_subparsers(metavar="action")
    export = actions.add_parser("export-yaml", help="write every batch of decisions that hold into a YAML file")
    export.add_argument("folder", type=Path)
    export.set_defaults(function=_export_yaml)
    imported = actions.add_parser("import-yaml", help="put back the decisions of YAML files, all or none")
    imported.add_argument("folder", type=Path)
    imported.set_defaults(function=_import_yaml)


@contextmanager
def _warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    from tagloom.identity.decisions import DecisionError
    from tagloom.warehouse import open_warehouse

    if not settings.warehouse.exists():
        raise DecisionError("Nothing is built yet, so nobody is known; run `make demo` or build_tags first.")
    with open_warehouse(settings) as connection:
        yield connection


def _export_yaml(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.identity.decision_files import export_yaml
    from tagloom.yaml_files import changes

    with _warehouse(settings) as connection:
        changed = export_yaml(connection, options.folder, identity_key())
    print(changes(changed))


def _import_yaml(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.identity.decision_files import import_yaml, unknown_identifiers
    from tagloom.identity.policy import load_policy

    with _warehouse(settings) as connection:
        done = import_yaml(connection, options.folder, identity_key(), load_policy().identifier_types)
        unknown = unknown_identifiers(connection)
    for one in done:
        print(f"{one.state} {one.file.name}" + (f", batch {one.batch}" if one.batch else ""))
    if any(one.batch for one in done):
        print(
            "It takes effect with the next build or update of identity mapping; to build now, run the DAG build_tags."
        )
    if unknown:
        print(f"{unknown:,} identifiers of decisions are in no record yet; those decisions wait until one shows them.")
