"""`python -m tagloom portal`: the portal alone, without the rest of Airflow.

`portal export-yaml | import-yaml` keep its dashboards in git.
"""

from __future__ import annotations

import argparse
import getpass
import os
from contextlib import suppress
from pathlib import Path

from tagloom.environment import airflow_environment, base_url
from tagloom.settings import Settings, SettingsError

DEFAULT_PORT = 8095


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its actions."""
    portal = commands.add_parser(
        "portal",
        help="serve the portal alone, or keep its dashboards in git",
        description="Without an action: serves the portal alone, with Airflow's log-in.",
    )
    portal.add_argument("--host", default="127.0.0.1", help="address to listen on (this machine only)")
    portal.add_argument("--port", type=int, help=f"TAGLOOM_PORTAL_PORT, or {DEFAULT_PORT}")
    portal.set_defaults(function=_serve)
    actions = portal.add_subparsers(metavar="action")

    export = actions.add_parser("export-yaml", help="write every dashboard with its charts into a YAML file")
    export.add_argument("folder", type=Path)
    export.set_defaults(function=_export_yaml)

    imported = actions.add_parser("import-yaml", help="save the dashboards of YAML files, all or none")
    imported.add_argument("folder", type=Path)
    imported.add_argument("--by", default=getpass.getuser(), help="who does it; default: your user name")
    imported.set_defaults(function=_import_yaml)


def portal_port() -> int:
    """Return the port of the portal when it runs alone: TAGLOOM_PORTAL_PORT, or DEFAULT_PORT.

    Raises SettingsError when it is not a port number.
    """
    text = os.environ.get("TAGLOOM_PORTAL_PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise SettingsError(f"TAGLOOM_PORTAL_PORT must be a port number from 1 to 65535, not {text!r}.")
    return int(text)


def _serve(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom import service

    port = options.port or portal_port()
    settings.make_folders()
    service.prepare_metadata(settings)
    # Before Airflow is imported: it reads its configuration then.
    os.environ.update(airflow_environment(settings))
    os.environ["AIRFLOW__API__BASE_URL"] = f"http://localhost:{port}"
    print(f"Portal       http://localhost:{port}/")
    if "AIRFLOW__CORE__AUTH_MANAGER" in os.environ:
        print(f"log-in       as in Airflow, {base_url(settings)}")
    else:
        print(f"user         {service.USER}\npassword     {service.admin_password(settings)}")
    print("stop it with Ctrl+C", flush=True)
    from tagloom.orchestration.portal_server import serve

    serve(settings, options.host, port)


def _export_yaml(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.portal.dashboard_files import export_yaml
    from tagloom.portal.store.base import open_store
    from tagloom.yaml_files import changes

    with open_store(settings).session() as store:
        changed = export_yaml(store, options.folder)
    print(changes(changed))


def _import_yaml(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.portal.dashboard_files import check_version, import_yaml
    from tagloom.portal.serving import NothingPublishedError, Serving
    from tagloom.portal.store.base import open_store

    with open_store(settings).transaction() as store:
        imported = import_yaml(store, options.folder, options.by)
        # Before the first version there is nothing that they could contradict.
        with suppress(NothingPublishedError):
            check_version(Serving(settings).snapshot(), imported)
    for done in imported:
        print(f"{done.state} {done.name}, {len(done.charts)} chart{'' if len(done.charts) == 1 else 's'}")
