"""Take a request body apart into events as they were sent, and say what is wrong with those that cannot be taken."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass

import msgspec

MAXIMUM_MEMBERS = 16
"""A gzip body may be made of so many pieces; each one costs time, however small it is."""

BATCH_NAME = re.compile(r"[!#-\[\]-~]{1,128}")
"""Visible ASCII without quote and backslash, so that it stands in JSON as it is."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    rb"\\(?:(?P<pair>u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


class MalformedError(ValueError):
    """The body cannot be read; the message says where and why."""


class TooLargeError(ValueError):
    """The body is larger than allowed."""


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    events: list[msgspec.Raw]
    table: str | None = None
    batch: str | None = None


@dataclass(frozen=True)
class Envelope:
    """What one request holds."""

    events: list[bytes]
    """Each one JSON value, byte for byte as it was sent, not yet checked."""
    table: str | None = None
    batch: str | None = None


@dataclass(frozen=True)
class Rejection:
    """An event that is not taken, while others of its batch may be."""

    index: int
    """Its place in the batch, from 0."""
    reason: str


_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode
_decode_event = msgspec.json.Decoder().decode


def inflate(body: bytes, limit: int) -> bytes:
    """Return what is inside a gzip body.

    Never holds more than `limit` bytes of it, however much is packed in. Raises TooLargeError above the limit and
    MalformedError when it is no gzip or cut short.
    """
    inflated = bytearray()
    for _ in range(MAXIMUM_MEMBERS):
        member = zlib.decompressobj(wbits=31)
        try:
            # 0 would mean without a limit.
            inflated += member.decompress(body, limit - len(inflated) + 1)
        except zlib.error as error:
            raise MalformedError(f"The body is not the gzip that Content-Encoding promises ({error}).") from error
        if len(inflated) > limit:
            raise TooLargeError(f"The body has more than {limit:,} bytes after it was inflated.")
        if not member.eof:
            raise MalformedError("The gzip body ends in the middle.")
        body = member.unused_data
        if not body:
            return bytes(inflated)
    raise MalformedError(f"The gzip body has more than {MAXIMUM_MEMBERS} members.")


def read_json(body: bytes) -> Envelope:
    """Read a JSON document: a list of events, or an object with `events` and, if need be, `table` and `batch`.

    Raises MalformedError with line and column when it is not JSON, and with what is missing when it is something else.
    """
    body = _whole_characters(body)
    try:
        if body.lstrip()[:1] == b"[":
            return Envelope([bytes(event) for event in _decode_list(body)])
        envelope = _decode_envelope(body)
    except msgspec.ValidationError as error:
        raise MalformedError(
            'A body is a list of events, or {"events": [...], "table": "...", "batch": "..."} with table and batch '
            f"left out where they are not needed; this one is not: {error}."
        ) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedError(f"The body is not JSON: {_place(body, error)}.") from error
    return Envelope([bytes(event) for event in envelope.events], envelope.table, envelope.batch)


def read_lines(body: bytes) -> Envelope:
    """Read JSON lines: an event a line; empty lines are skipped.

    Raises MalformedError with the line when one is not JSON.
    """
    events = []
    for number, line in enumerate(_whole_characters(body).split(b"\n"), start=1):
        event = line.strip()
        if not event:
            continue
        try:
            _decode_raw(event)
        except (msgspec.DecodeError, RecursionError) as error:
            raise MalformedError(f"Line {number} of the body is not JSON: {_place(event, error)}.") from error
        events.append(event)
    return Envelope(events)


def check_events(events: list[bytes], event_bytes: int, nesting: int) -> tuple[list[bytes], list[Rejection]]:
    """Return the events that can be taken, as they are, and why the others cannot."""
    good, rejected = [], []
    for index, event in enumerate(events):
        reason = _problem(event, event_bytes, nesting)
        if reason is None:
            good.append(event)
        else:
            rejected.append(Rejection(index, reason))
    return good, rejected


def _problem(event: bytes, event_bytes: int, nesting: int) -> str | None:
    if len(event) > event_bytes:
        return f"has {len(event):,} bytes; {event_bytes:,} are allowed"
    try:
        content = _decode_event(event)
    except UnicodeDecodeError:
        return "is not UTF-8"
    except RecursionError:
        return f"is nested more than {nesting} levels deep"
    except msgspec.DecodeError as error:
        return f"cannot be read: {error}"
    if type(content) is not dict:
        return "is not a JSON object"
    for key in content:
        if key.startswith("_"):
            return f"has the key {key[:80]!r}; keys that begin with _ are the collector's own"
    if _is_deeper(content, nesting):
        return f"is nested more than {nesting} levels deep"
    return None


def _is_deeper(content: dict, nesting: int) -> bool:
    level = [content]
    for _ in range(nesting):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in (dict, list)
        ]
        if not level:
            return False
    return True


def _whole_characters(body: bytes) -> bytes:
    r"""Drop a byte order mark and replace halves of surrogate pairs, which stand for no character, by U+FFFD.

    JavaScript writes such a half (as \ud83d) when a text was cut in the middle of an emoji. Positions stay the same.
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    if not _SURROGATE.search(body):
        return body
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found["half"] else found[0], body)


def _place(body: bytes, error: Exception) -> str:
    """Say where it stops being JSON; Python's own decoder knows line and column, the fast one only a byte."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    try:
        json.loads(body.decode("utf-8", errors="replace"))
    except json.JSONDecodeError as exact:
        line = f"line {exact.lineno}, " if b"\n" in body else ""
        return f"{exact.msg[:1].lower()}{exact.msg[1:]}, {line}column {exact.colno}"
    except (RecursionError, ValueError):
        pass
    return str(error)
