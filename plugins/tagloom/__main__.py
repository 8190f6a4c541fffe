"""The command line: `python -m tagloom <command>`; the Makefile has the everyday ones."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from tagloom import quality_commands, quarantine_commands
from tagloom.alerting import alert_commands
from tagloom.audiences import audience_commands
from tagloom.environment import airflow_environment, load_environment_file
from tagloom.identity import identity_commands
from tagloom.portal import portal_commands
from tagloom.settings import PROJECT, Settings, SettingsError, load_settings
from tagloom.source_tools import commands as source_commands
from tagloom.sources import SourceError
from tagloom.tags import tag_commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 1 with a sentence on stderr when something is wrong."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        load_environment_file(PROJECT / ".env")
        settings = load_settings()
        return options.function(settings, options) or 0
    except _known_errors() as error:
        print(error, file=sys.stderr)
        return 1


def _known_errors() -> tuple[type[Exception], ...]:
    from tagloom.alerting.alert_commands import AlertError
    from tagloom.alerting.routing import RoutingError
    from tagloom.audiences.library import AudienceError
    from tagloom.audiences.rules import RuleError
    from tagloom.identity.decisions import DecisionError
    from tagloom.identity.identifiers import IdentifierError
    from tagloom.identity.matching_model import MatchingError
    from tagloom.identity.policy import PolicyError
    from tagloom.identity.review_commands import ReviewError
    from tagloom.identity.simulate import SimulationError
    from tagloom.portal.dashboard_files import DashboardFileError
    from tagloom.portal.serving import NothingPublishedError
    from tagloom.quality_skeleton import SkeletonError
    from tagloom.quarantine import QuarantineError
    from tagloom.reading.deliveries import DeliveryError
    from tagloom.scratch import ScratchError
    from tagloom.service import ServiceError
    from tagloom.tags.definitions import TagError
    from tagloom.tags.project import TagRequestError
    from tagloom.transform import TransformError
    from tagloom.warehouse import WarehouseBusyError

    return (
        *(SettingsError, SourceError, TagError, ServiceError, DeliveryError, QuarantineError, WarehouseBusyError),
        *(DecisionError, IdentifierError, MatchingError, PolicyError, ReviewError, SimulationError, TransformError),
        *(AudienceError, DashboardFileError, RuleError, NothingPublishedError),
        *(AlertError, RoutingError, ScratchError, SkeletonError, TagRequestError),
        FileNotFoundError,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tagloom", description="Tagloom, a customer tag warehouse")
    commands = parser.add_subparsers(required=True, metavar="command")

    source_commands.add(commands)
    quarantine_commands.add(commands)
    identity_commands.add(commands)
    tag_commands.add(commands)
    alert_commands.add(commands)
    quality_commands.add(commands)
    portal_commands.add(commands)
    audience_commands.add(commands)

    tags = commands.add_parser("tags", help="write what follows from tag twins and source declarations")
    tags.add_argument("--check", action="store_true", help="write nothing; fail when a written file is stale")
    tags.set_defaults(function=_write_tags)

    for name, help_text in (
        ("up", "start the scheduled service"),
        ("down", "stop the scheduled service"),
        ("status", "say what of the service is running"),
    ):
        commands.add_parser(name, help=help_text).set_defaults(function=_service_command(name))

    commands.add_parser("collect", help="take events that systems push over HTTP").set_defaults(function=_collect)

    docs = commands.add_parser("docs", help="write dbt's documentation as one HTML file")
    docs.set_defaults(function=_write_docs)
    return parser


def _write_tags(settings: Settings, options: argparse.Namespace) -> int:
    from tagloom.written import stale_files, write_files

    if options.check:
        stale = stale_files(settings)
        for problem in stale:
            print(problem, file=sys.stderr)
        return 1 if stale else 0
    changed = write_files(settings)
    for path in changed:
        print(f"wrote {path}")
    if not changed:
        print("every written file is up to date")
    return 0


def _service_command(name: str) -> Callable[[Settings, argparse.Namespace], int]:
    def run(settings: Settings, options: argparse.Namespace) -> int:
        from tagloom import service

        return 1 if getattr(service, name)(settings) is False else 0

    return run


def _collect(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.collector.server import run

    run(settings)


def _write_docs(settings: Settings, options: argparse.Namespace) -> None:
    from datetime import date

    from tagloom.publish import current_version
    from tagloom.transform import write_documentation

    version = current_version(settings)
    if version is None:
        raise FileNotFoundError("Nothing is built yet; run `make demo` or build_tags first.")
    settings.make_folders()
    os.environ.update(airflow_environment(settings))
    print(write_documentation(settings, date.fromisoformat(version.as_of_date)))


if __name__ == "__main__":
    sys.exit(main())
