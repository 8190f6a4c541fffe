"""What the collector may do, read from the environment once: keys, address and limits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite

from tagloom.settings import SettingsError
from tagloom.sources import PushReader, Source

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8090

MINIMUM_KEY_LENGTH = 24

MAKE_A_KEY = (
    "Put <source>:<key> into .env, several separated by commas; make a key with `openssl rand -hex 24`, "
    f"at least {MINIMUM_KEY_LENGTH} characters."
)

_KEY = re.compile(r"[!-+\--~]+")
"""Visible ASCII without the comma: it has to fit into an HTTP header and into the list of keys."""


@dataclass(frozen=True)
class CollectorSettings:
    """Address, keys and limits of one collector."""

    keys: Mapping[str, tuple[str, ...]] = field(repr=False)
    """Source -> its keys. Several are good at the same time, so that one can be replaced without a gap."""
    host: str
    """The address that it listens on."""
    port: int
    allowed_origins: tuple[str, ...]
    """Web origins whose pages may post from the browser (CORS), such as https://shop.example.com; none by default."""
    body_bytes: int
    """Bytes of a request body, as sent and after it was inflated."""
    batch_events: int
    """Events in one request."""
    event_bytes: int
    """Bytes of one event."""
    nesting: int
    """Levels of objects and lists in one event; a flat one has 1."""
    requests_per_second: int
    """Requests of one key in a second, on average; so many may come at once."""
    remember_hours: int
    """So long is a batch with an idempotency key known, so that sending it again adds nothing."""
    remember_batches: int
    """So many batches are known at most, in about 170 bytes of memory each."""
    seal_seconds: float
    """A segment is handed over to the readers when it is this old, or QUIET_SECONDS after its last event."""
    segment_bytes: int
    """A segment is handed over when it is this large."""
    access_log: bool
    """Whether every request gets a line in the log; refused ones always do."""


def load_collector_settings(sources: Iterable[Source]) -> CollectorSettings:
    """Read the collector's settings; `sources` are the declarations that the keys must fit.

    Raises SettingsError, which never repeats a key, when one is missing or wrong.
    """
    return CollectorSettings(
        keys=_keys(os.environ.get("TAGLOOM_COLLECTOR_KEYS", ""), pushed_tables(sources)),
        host=os.environ.get("TAGLOOM_COLLECTOR_HOST") or DEFAULT_HOST,
        port=collector_port(),
        allowed_origins=_origins(os.environ.get("TAGLOOM_COLLECTOR_ALLOWED_ORIGINS", "")),
        body_bytes=_whole_number("TAGLOOM_COLLECTOR_BODY_BYTES", 4_194_304),
        batch_events=_whole_number("TAGLOOM_COLLECTOR_BATCH_EVENTS", 2_000),
        event_bytes=_whole_number("TAGLOOM_COLLECTOR_EVENT_BYTES", 65_536),
        nesting=_whole_number("TAGLOOM_COLLECTOR_NESTING", 16),
        requests_per_second=_whole_number("TAGLOOM_COLLECTOR_REQUESTS_PER_SECOND", 500),
        remember_hours=_whole_number("TAGLOOM_COLLECTOR_REMEMBER_HOURS", 48),
        remember_batches=_whole_number("TAGLOOM_COLLECTOR_REMEMBER_BATCHES", 5_000_000),
        seal_seconds=_seconds("TAGLOOM_COLLECTOR_SEAL_SECONDS", 5.0),
        segment_bytes=_whole_number("TAGLOOM_COLLECTOR_SEGMENT_BYTES", 67_108_864),
        access_log=_yes_or_no("TAGLOOM_COLLECTOR_ACCESS_LOG"),
    )


def pushed_tables(sources: Iterable[Source]) -> dict[str, list[str]]:
    """Return source -> its tables with a reader of the kind `pushed`, without the sources that have none."""
    tables = {
        source.name: [table.name for table in source.tables if isinstance(table.reader, PushReader)]
        for source in sources
    }
    return {source: names for source, names in tables.items() if names}


def collector_port() -> int:
    """Return the port that the collector listens on: TAGLOOM_COLLECTOR_PORT, or 8090.

    Raises SettingsError when it is not a port number.
    """
    text = os.environ.get("TAGLOOM_COLLECTOR_PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise SettingsError(f"TAGLOOM_COLLECTOR_PORT must be a port number from 1 to 65535, not {text!r}.")
    return int(text)


def _keys(text: str, tables: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    if not tables:
        raise SettingsError(
            "No source has a table with a pushed reader, so there is nothing to collect. "
            "Declare one with `reader: {kind: pushed}` in sources/."
        )
    keys: dict[str, list[str]] = {}
    owners: dict[str, str] = {}
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if not entries:
        raise SettingsError(
            "TAGLOOM_COLLECTOR_KEYS is not set: it holds the keys that systems send their events with. "
            f"{MAKE_A_KEY} Sources that events can be pushed to: {', '.join(sorted(tables))}."
        )
    for number, entry in enumerate(entries, start=1):
        place = f"TAGLOOM_COLLECTOR_KEYS, entry {number}"
        source, colon, key = entry.partition(":")
        if not colon:
            raise SettingsError(f"{place}: has no colon. {MAKE_A_KEY}")
        if source not in tables:
            raise SettingsError(
                f"{place}: no source {source!r} has a pushed table; these have: {', '.join(sorted(tables))}."
            )
        if len(key) < MINIMUM_KEY_LENGTH:
            raise SettingsError(
                f"{place} (for {source}): the key has {len(key)} characters, fewer than {MINIMUM_KEY_LENGTH}. "
                f"{MAKE_A_KEY}"
            )
        if not _KEY.fullmatch(key):
            raise SettingsError(
                f"{place} (for {source}): a key is made of visible ASCII characters without commas. {MAKE_A_KEY}"
            )
        if owners.setdefault(key, source) != source:
            raise SettingsError(f"{place}: {owners[key]} and {source} have the same key; each needs its own.")
        keys.setdefault(source, []).append(key)
    return {source: tuple(dict.fromkeys(values)) for source, values in keys.items()}


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin.strip().rstrip("/") for origin in text.split(",") if origin.strip())
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/\s]+", origin):
            raise SettingsError(
                f"TAGLOOM_COLLECTOR_ALLOWED_ORIGINS names {origin!r}; an origin looks like https://shop.example.com."
            )
    return origins


def _whole_number(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not (text.isascii() and text.isdecimal()) or int(text) == 0:
        raise SettingsError(f"{name} must be a whole number above 0, not {text!r}.")
    return int(text)


def _seconds(name: str, default: float) -> float:
    text = os.environ.get(name) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not isfinite(seconds) or seconds <= 0:
        raise SettingsError(f"{name} must be a number of seconds above 0, not {text!r}.")
    return seconds


def _yes_or_no(name: str) -> bool:
    text = (os.environ.get(name) or "no").lower()
    if text not in ("yes", "no", "true", "false", "1", "0"):
        raise SettingsError(f"{name} must be yes or no, not {text!r}.")
    return text in ("yes", "true", "1")
