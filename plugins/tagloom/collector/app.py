"""The collector over HTTP: POST /v1/events, GET /health and GET /metrics."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tagloom.collector.envelopes import (
    BATCH_NAME,
    Envelope,
    MalformedError,
    Rejection,
    TooLargeError,
    check_events,
    inflate,
    read_json,
    read_lines,
)
from tagloom.collector.remembered import RememberedBatches, content_digest
from tagloom.collector.segments import Batch, Segments
from tagloom.collector.settings import CollectorSettings
from tagloom.collector.writer import Outcomes, Writer

BODY_SECONDS = 30
"""How long a body may take to arrive."""

BYTES_IN_WORK = 268_435_456
"""Bytes of bodies that are being received or written; above it new ones are asked to come again later."""

ERROR_SECONDS = 30
"""So long does the health page speak of a batch that could not be written. For ever would be a trap: who sends nothing
to a sick collector never learns that it is well again."""

REJECTIONS_SHOWN = 100
"""So many rejected events are listed in an answer; all are counted."""

LINE_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines")

REFUSED_LINES_PER_SECOND = 10
"""So many refused requests a second are logged one by one; the rest is counted."""

_access = logging.getLogger("tagloom.collector.access")


class RefusedError(Exception):
    """A request that is not accepted, with what its sender is told."""

    def __init__(self, status: int, code: str, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.code, self.sentence, self.headers = status, code, sentence, headers


@dataclass
class _Bucket:
    """Token bucket of one key."""

    tokens: float
    filled: float


@dataclass(frozen=True)
class _Receipt:
    """A batch that is safe."""

    batch: str
    events: int
    duplicate: bool


@dataclass
class _Request:
    """What the log may say about a request: no bodies, no keys, no addresses."""

    source: str = "-"
    table: str = "-"
    events: int = 0
    began: float = field(default_factory=time.perf_counter)


class Collector:
    """Accepts batches; lives in the event loop, but for its writer."""

    def __init__(
        self,
        settings: CollectorSettings,
        tables: Mapping[str, list[str]],
        segments: Segments,
        remembered: RememberedBatches,
    ) -> None:
        self.settings = settings
        self.tables = tables
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.stopping = False
        self.bytes_in_work = 0
        self._segments = segments
        self._remembered = remembered
        self._salt = secrets.token_bytes(16)
        self._keys = [(self._hash(key), source) for source, keys in settings.keys.items() for key in keys]
        self._buckets: dict[bytes, _Bucket] = {}
        self._waiting: dict[Batch, asyncio.Future[OSError | None]] = {}
        self._pending: dict[tuple[str, str], Batch] = {}
        """(source, idempotency key) of batches that are being written."""
        self._last_error: tuple[OSError, float] | None = None
        """What the last batch failed of and when, on the monotonic clock; None when it did not."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer: Writer | None = None

    def start(self) -> None:
        """Start the writer; call it in the event loop."""
        self._loop = asyncio.get_running_loop()
        self._writer = Writer(self._segments, self._completed)

    async def stop(self) -> None:
        """Write and seal everything."""
        self.stopping = True
        if self._writer:
            await asyncio.to_thread(self._writer.stop)

    def _hash(self, key: str) -> bytes:
        return hashlib.blake2b(key.encode(), digest_size=32, key=self._salt).digest()

    def source_of(self, key: str) -> tuple[str, bytes] | None:
        """Return the source that a key belongs to and a name for the key that is no secret; None for a wrong one."""
        given = self._hash(key)
        found = None
        # All are compared, in constant time each, so that the time tells nothing.
        for known, source in self._keys:
            if hmac.compare_digest(known, given):
                found = source, known
        return found

    def wait_seconds(self, key: bytes) -> float:
        """Take one request from what a key may send; return 0, or how long it has to wait."""
        rate, now = self.settings.requests_per_second, time.monotonic()
        bucket = self._buckets.setdefault(key, _Bucket(rate, now))
        bucket.tokens = min(rate, bucket.tokens + (now - bucket.filled) * rate)
        bucket.filled = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / rate
        bucket.tokens -= 1
        return 0.0

    async def accept(self, source: str, table: str, name: str | None, digest: str, events: list[bytes]) -> _Receipt:
        """Return when the events are safe on the disk, or were before.

        Raises RefusedError when the name was used for other events, and when they cannot be written.
        """
        if name is not None:
            known = self._remembered.find(source, name)
            if known:
                _require_same(known.digest, digest)
                return _Receipt(name, known.events, duplicate=True)
            pending = self._pending.get((source, name))
            if pending:
                _require_same(pending.digest, digest)
                await self._outcome(pending)
                return _Receipt(name, len(pending.events), duplicate=True)
        batch = Batch(
            source,
            table,
            datetime.now(UTC),
            name or secrets.token_hex(12),
            digest if name is not None else None,
            events,
        )
        assert self._loop is not None
        assert self._writer is not None
        if not self._writer.is_alive:
            raise _not_written()
        self._waiting[batch] = self._loop.create_future()
        if name is not None:
            self._pending[source, name] = batch
        self._writer.submit(batch)
        await self._outcome(batch)
        return _Receipt(batch.name, len(events), duplicate=False)

    async def _outcome(self, batch: Batch) -> None:
        # Shielded: that one sender has gone must not cancel what others wait for.
        if await asyncio.shield(self._waiting[batch]) is not None:
            raise _not_written()

    def _completed(self, outcomes: Outcomes) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._report, outcomes)

    def _report(self, outcomes: Outcomes) -> None:
        self.counts["commits",] += 1
        for batch, error in outcomes:
            if batch.digest is not None:
                self._pending.pop((batch.source, batch.name), None)
                if error is None:
                    self._remembered.add(batch.source, batch.name, batch.digest, len(batch.events), batch.received_at)
            if error is None:
                self.counts["events", batch.source, batch.table] += len(batch.events)
                self.counts["batches", batch.source, batch.table] += 1
            self._last_error = None if error is None else (error, time.monotonic())
            self._waiting.pop(batch).set_result(error)

    def health(self) -> dict[str, object]:
        """Return what /health says."""
        free = shutil.disk_usage(_existing(self._segments.landing)).free
        problem = None
        if self.stopping:
            problem = "stopping"
        elif self._writer is None or not self._writer.is_alive:
            problem = "the writer does not run"
        elif free < self.settings.body_bytes:
            problem = "the disk is full"
        elif self._last_error and time.monotonic() - self._last_error[1] < ERROR_SECONDS:
            problem = f"the last batch could not be written: {self._last_error[0].strerror or 'unknown error'}"
        return {
            "status": "ready" if problem is None else problem,
            "open_segments": self._segments.open_count,
            "oldest_open_segment_seconds": round(self._segments.oldest_seconds, 3),
            "disk_free_bytes": free,
        }

    def metrics(self) -> str:
        """Return the counters in Prometheus' text format."""
        lines = []
        for name, kind, labels, text in (
            ("events", "counter", ("source", "table"), "Events accepted"),
            ("batches", "counter", ("source", "table"), "Batches accepted"),
            ("duplicates", "counter", ("source",), "Batches that had been accepted before"),
            ("rejected_events", "counter", ("source",), "Events that were not taken while the request was read"),
            ("requests", "counter", ("status",), "Requests for /v1/events by the status of the answer"),
            ("commits", "counter", (), "Groups of batches written together"),
        ):
            metric = f"tagloom_collector_{name}_total"
            lines += [f"# HELP {metric} {text}", f"# TYPE {metric} {kind}"]
            for key, value in sorted(self.counts.items()):
                if key[0] == name:
                    pairs = ",".join(f'{label}="{part}"' for label, part in zip(labels, key[1:], strict=True))
                    lines.append(f"{metric}{{{pairs}}} {value}" if pairs else f"{metric} {value}")
        for name, value, text in (
            ("open_segments", self._segments.open_count, "Segments that are not sealed yet"),
            ("oldest_open_segment_seconds", round(self._segments.oldest_seconds, 3), "Age of the oldest of them"),
            ("remembered_batches", len(self._remembered), "Idempotency keys in memory"),
            ("bytes_in_work", self.bytes_in_work, "Bytes of bodies that are received or written just now"),
        ):
            metric = f"tagloom_collector_{name}"
            lines += [f"# HELP {metric} {text}", f"# TYPE {metric} gauge", f"{metric} {value}"]
        return "\n".join(lines) + "\n"


def _require_same(known: str | None, digest: str) -> None:
    if known != digest:
        raise RefusedError(
            422,
            "key_reused",
            "This idempotency key was used for other events before; send these with a key of their own.",
        )


def _not_written() -> RefusedError:
    return RefusedError(
        503,
        "not_written",
        "The events could not be written and are not accepted; send them again later with the same idempotency key.",
        {"Retry-After": "5"},
    )


def _existing(folder: Path) -> Path:
    return folder if folder.exists() or folder.parent == folder else _existing(folder.parent)


def create_app(collector: Collector) -> Starlette:
    """Return the ASGI application; its start and end are the collector's."""
    settings = collector.settings
    log = _RequestLog(settings.access_log)

    async def post_events(request: Request) -> Response:
        noted = _Request()
        try:
            status, answer, headers = 202, await _receive(collector, request, noted), None
        except RefusedError as refused:
            status, headers = refused.status, refused.headers
            answer = {"error": refused.sentence, "code": refused.code}
        except ClientDisconnect:
            status, answer, headers = 400, {"error": "The sender went away.", "code": "incomplete"}, None
        collector.counts["requests", str(status)] += 1
        log.line(status, answer.get("code", "accepted"), noted)
        return _json(answer, status, headers)

    async def get_health(request: Request) -> Response:
        health = collector.health()
        return _json(health, 200 if health["status"] == "ready" else 503)

    async def get_metrics(request: Request) -> Response:
        return PlainTextResponse(collector.metrics(), media_type="text/plain; version=0.0.4")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        collector.start()
        yield
        await collector.stop()

    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(settings.allowed_origins),
        allow_methods=["POST"],
        allow_headers=["Authorization", "Content-Encoding", "Content-Type", "Idempotency-Key", "X-API-Key"],
        expose_headers=["Retry-After"],
        max_age=86_400,
    )
    return Starlette(
        routes=[
            Route("/v1/events", post_events, methods=["POST"]),
            Route("/health", get_health),
            Route("/metrics", get_metrics),
        ],
        middleware=[cors] if settings.allowed_origins else [],
        exception_handlers={HTTPException: _http_error, Exception: _unexpected_error},
        lifespan=lifespan,
    )


async def _receive(collector: Collector, request: Request, noted: _Request) -> dict[str, object]:
    settings = collector.settings
    noted.source, key = _authorise(collector, request)
    if collector.stopping:
        raise RefusedError(503, "stopping", "The collector is stopping; send it again.", {"Retry-After": "5"})
    wait = collector.wait_seconds(key)
    if wait:
        raise RefusedError(
            429,
            "too_many_requests",
            f"This key may send {settings.requests_per_second} requests a second; put more events into each.",
            {"Retry-After": str(ceil(wait))},
        )
    read, is_gzip = _content(request)
    held = 0

    def hold(size: int) -> None:
        nonlocal held
        if collector.bytes_in_work + size > BYTES_IN_WORK:
            raise RefusedError(503, "busy", "The collector is busy; send it again.", {"Retry-After": "1"})
        held += size
        collector.bytes_in_work += size

    try:
        body = await _body(request, settings.body_bytes, hold)
        try:
            if is_gzip:
                body = inflate(body, settings.body_bytes)
                hold(len(body))
            envelope = read(body)
        except TooLargeError as error:
            raise RefusedError(413, "body_too_large", f"{error} Send fewer events at once.") from error
        except MalformedError as error:
            raise RefusedError(400, "malformed", str(error)) from error
        del body
        return await _accept(collector, request, noted, envelope)
    finally:
        collector.bytes_in_work -= held


async def _accept(collector: Collector, request: Request, noted: _Request, envelope: Envelope) -> dict[str, object]:
    settings = collector.settings
    noted.table = table = _table(collector, noted.source, request.query_params.get("table"), envelope.table)
    name = _batch_name(request.headers.get("idempotency-key"), envelope.batch)
    if not envelope.events:
        raise RefusedError(400, "no_events", "The body holds no events.")
    if len(envelope.events) > settings.batch_events:
        raise RefusedError(
            413,
            "too_many_events",
            f"The body holds {len(envelope.events):,} events; {settings.batch_events:,} are allowed in one request.",
        )
    good, rejected = check_events(envelope.events, settings.event_bytes, settings.nesting)
    collector.counts["rejected_events", noted.source] += len(rejected)
    if not good:
        raise RefusedError(
            422, "no_event_accepted", f"No event can be taken. Event {rejected[0].index} {rejected[0].reason}."
        )
    digest = content_digest(table, envelope.events)
    receipt = await collector.accept(noted.source, table, name, digest, good)
    noted.events = receipt.events
    if receipt.duplicate:
        collector.counts["duplicates", noted.source] += 1
    answer: dict[str, object] = {
        "accepted": receipt.events,
        "batch": receipt.batch,
        "duplicate": receipt.duplicate,
    }
    return answer | _rejections(rejected)


def _rejections(rejected: list[Rejection]) -> dict[str, object]:
    if not rejected:
        return {}
    shown = [{"index": each.index, "error": f"The event {each.reason}."} for each in rejected[:REJECTIONS_SHOWN]]
    return {"rejected": len(rejected), "errors": shown}


def _authorise(collector: Collector, request: Request) -> tuple[str, bytes]:
    """Return the source that the key belongs to and the key's name.

    Raises RefusedError when there is none or a wrong one; the sender is not told which.
    """
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    key = bearer.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "").strip()
    owner = collector.source_of(key) if key else None
    if owner is None:
        raise RefusedError(
            401,
            "wrong_key",
            "Send the source's key as `Authorization: Bearer <key>` or `X-API-Key: <key>`.",
            {"WWW-Authenticate": 'Bearer realm="Tagloom collector"'},
        )
    return owner


def _content(request: Request) -> tuple[Callable[[bytes], Envelope], bool]:
    """Return how the body is read and whether it is inflated first; raises RefusedError for what is not known."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind not in ("application/json", *LINE_TYPES):
        raise RefusedError(
            415, "content_type", "Content-Type must be application/json, or application/x-ndjson for an event a line."
        )
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise RefusedError(
            415, "content_encoding", "Content-Encoding must be gzip or left out.", {"Accept-Encoding": "gzip"}
        )
    return read_lines if kind in LINE_TYPES else read_json, encoding != "identity"


async def _body(request: Request, limit: int, hold: Callable[[int], None]) -> bytes:
    too_large = RefusedError(
        413, "body_too_large", f"The body has more than {limit:,} bytes. Send fewer events at once."
    )
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise too_large
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise too_large
                hold(len(chunk))
                chunks.append(chunk)
    except TimeoutError as error:
        raise RefusedError(
            408, "too_slow", f"The body did not arrive within {BODY_SECONDS} seconds.", {"Connection": "close"}
        ) from error
    return b"".join(chunks)


def _table(collector: Collector, source: str, asked: str | None, inside: str | None) -> str:
    tables = collector.tables[source]
    known = f"{source} has: {', '.join(tables)}"
    if asked is not None and inside is not None and asked != inside:
        raise RefusedError(400, "two_tables", f"The address says table {asked!r}, the body {inside!r}.")
    table = inside if asked is None else asked
    if table is None:
        if len(tables) > 1:
            raise RefusedError(400, "no_table", f"Say which table the events belong to ({known}).")
        return tables[0]
    if table not in tables:
        raise RefusedError(404, "unknown_table", f"No events can be sent to table {table[:80]!r} ({known}).")
    return table


def _batch_name(header: str | None, inside: str | None) -> str | None:
    # The standard for the header wants quotes around it; hardly anybody sends them.
    if header is not None and len(header) > 1 and header[0] == header[-1] == '"':
        header = header[1:-1]
    if header is not None and inside is not None and header != inside:
        raise RefusedError(400, "two_keys", "Idempotency-Key and the body's batch differ; send one of them.")
    name = inside if header is None else header
    if name is not None and not BATCH_NAME.fullmatch(name):
        raise RefusedError(
            400,
            "idempotency_key",
            "An idempotency key has 1 to 128 visible ASCII characters, without quotes and backslashes.",
        )
    return name


def _json(content: object, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, "application/json")


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = {404: "There is no such address.", 405: "The address does not take this method."}
    text = sentence.get(error.status_code, str(error.detail))
    return _json({"error": text, "code": str(error.status_code)}, error.status_code, error.headers)


async def _unexpected_error(request: Request, error: Exception) -> Response:
    # The server logs it.
    return _json({"error": "Something went wrong here; send it again later.", "code": "unexpected"}, 500)


class _RequestLog:
    """A line a request, without bodies, keys and addresses; a flood of refused ones is counted, not listed."""

    def __init__(self, everything: bool) -> None:
        self._everything = everything
        self._second = 0
        self._lines = 0

    def line(self, status: int, code: object, noted: _Request) -> None:
        if status != 202:
            second = int(time.monotonic())
            if second != self._second:
                if self._lines > REFUSED_LINES_PER_SECOND:
                    _access.warning("%d more requests were refused", self._lines - REFUSED_LINES_PER_SECOND)
                self._second, self._lines = second, 0
            self._lines += 1
            if self._lines > REFUSED_LINES_PER_SECOND:
                return
        elif not self._everything:
            return
        milliseconds = (time.perf_counter() - noted.began) * 1000
        _access.info(
            "%d %s source=%s table=%s events=%d %.1f ms",
            status,
            code,
            noted.source,
            noted.table,
            noted.events,
            milliseconds,
        )
