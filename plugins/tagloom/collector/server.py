"""The collector's process: take the landing folder, repair what a crash left, listen, and stop in good order."""

from __future__ import annotations

import logging
import resource
import signal
import socket
import sys
import time
from datetime import UTC, datetime, timedelta

import uvicorn

from tagloom.collector.app import Collector, create_app
from tagloom.collector.remembered import RememberedBatches
from tagloom.collector.segments import LockedError, Segments, kept_batches
from tagloom.collector.settings import CollectorSettings, load_collector_settings, pushed_tables
from tagloom.settings import Settings, SettingsError
from tagloom.sources import load_sources

STOP_SECONDS = 10
"""How long requests that are being answered may take when the collector stops."""

FILES = 8192
"""Open files that are asked for; the system's hard limit may be lower."""

_log = logging.getLogger("tagloom.collector")


def run(settings: Settings) -> None:
    """Collect events until SIGTERM or SIGINT; then finish the requests and seal everything.

    Raises SettingsError for a wrong setting, SourceError for a wrong declaration, and SettingsError as well when the
    landing folder or the port belongs to somebody else.
    """
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    sources = load_sources(settings.sources)
    collector_settings = load_collector_settings(sources)
    tables = pushed_tables(sources)
    listener = _listen(collector_settings)
    try:
        segments = Segments(settings.landing, collector_settings.seal_seconds, collector_settings.segment_bytes)
        segments.recover()
        remembered = _remember(settings, collector_settings, tables)
    except LockedError as error:
        raise SettingsError(str(error)) from error
    except OSError as error:
        raise SettingsError(f"The collector cannot use the landing folder {settings.landing}: {error}.") from error
    # uvicorn sends itself the signal again when it has stopped; it must not kill what is already done.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    app = create_app(Collector(collector_settings, tables, segments, remembered))
    configuration = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        ws="none",
        limit_concurrency=_connections(),
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    host, port = listener.getsockname()[:2]
    _log.info("collecting for %s on http://%s:%d/v1/events", ", ".join(collector_settings.keys), host, port)
    uvicorn.Server(configuration).run(sockets=[listener])
    _log.info("stopped; everything is sealed")


def _listen(settings: CollectorSettings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[
            0
        ]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise SettingsError(
            f"The collector cannot listen on port {settings.port} of {settings.host} ({error.strerror}). Stop the "
            "program that holds it, or set TAGLOOM_COLLECTOR_PORT or TAGLOOM_COLLECTOR_HOST."
        ) from error
    return listener


def _remember(
    settings: Settings, collector_settings: CollectorSettings, tables: dict[str, list[str]]
) -> RememberedBatches:
    """Read the idempotency keys of the last hours back from the sealed segments."""
    begin = time.monotonic()
    remembered = RememberedBatches(collector_settings.remember_hours, collector_settings.remember_batches)
    first_day = (datetime.now(UTC) - timedelta(hours=collector_settings.remember_hours)).date()
    for source, names in tables.items():
        for table in names:
            for batch in kept_batches(settings.landing, source, table, first_day):
                remembered.add(batch.source, batch.name, batch.digest, batch.events, batch.received_at)
    _log.info("remembers %d batches (read in %.1f s)", len(remembered), time.monotonic() - begin)
    return remembered


def _connections() -> int:
    """Raise the limit of open files and return how many connections fit below it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted - 100
