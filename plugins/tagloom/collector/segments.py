"""The durable append log of pushed events: files that readers see only when they are whole.

A segment is a file of JSON lines below `<landing>/<source>/<table>/<day>/`. While events are added its name ends in
`.open`, which no reader takes; when it is sealed the ending is dropped by an atomic rename. Every line is an event with
the collector's keys in front, of which `_number` and `_of` say which line of how many of its batch it is. So what is
left of a segment after a crash can be told apart: whole batches, and at most one that is torn and was never accepted.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

OPEN_SUFFIX = ".open"

SEALED_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})_\d{6}_\d{6,}\.jsonl")
OPEN_NAME = re.compile(SEALED_NAME.pattern + re.escape(OPEN_SUFFIX))

LOCK_NAME = ".collector.lock"

QUIET_SECONDS = 1.0
"""A segment that has got nothing for so long is sealed, so that a single event does not wait."""

_FIRST_LINE = b'\n{"_digest":"'
"""How the first line of a batch with an idempotency key begins. No event can look so: keys with _ are refused, and
inside an event there is no line end."""

_log = logging.getLogger("tagloom.collector")


class LockedError(RuntimeError):
    """Another collector owns the landing folder; the message says which."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Events that are accepted together or not at all; two are the same only when they are one."""

    source: str
    table: str
    received_at: datetime
    """UTC; its day is the day of the delivery."""
    name: str
    """Its idempotency key, or a name that the collector made."""
    digest: str | None
    """Hash of its content; None when there is no idempotency key, so that nobody can ask for it again."""
    events: Sequence[bytes] = field(repr=False)
    """JSON objects as they were sent."""

    @property
    def lines(self) -> bytes:
        """The lines that are written, each with its line end."""
        moment = self.received_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
        name, of = self.name.encode(), len(self.events)
        digest = b'"_digest":"%b",' % self.digest.encode() if self.digest else b""
        lines = []
        for number, event in enumerate(self.events, start=1):
            # Line ends can only stand between the parts of a JSON object, where any blank will do.
            inside = event.strip()[1:].translate(_ONE_LINE).lstrip()
            lines.append(
                b'{%b"_batch":"%b","_number":%d,"_of":%d,"_received_at":"%b"%b%b\n'
                % (digest if number == 1 else b"", name, number, of, moment, b"" if inside == b"}" else b",", inside)
            )
        return b"".join(lines)


_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


class _Marks(msgspec.Struct):
    """The collector's keys of a line."""

    batch: str = msgspec.field(name="_batch")
    number: int = msgspec.field(name="_number")
    of: int = msgspec.field(name="_of")
    received_at: datetime = msgspec.field(name="_received_at")
    digest: str | None = msgspec.field(name="_digest", default=None)


_decode_marks = msgspec.json.Decoder(_Marks).decode


@dataclass(frozen=True)
class KeptBatch:
    """A batch with an idempotency key that was found in a segment."""

    source: str
    name: str
    digest: str
    events: int
    received_at: datetime


def whole_batches(content: bytes) -> int:
    """Return how many bytes at the beginning of a segment are whole batches; what comes after them is torn."""
    end, whole = 0, 0
    batch, expected, of = "", 1, 0
    while (line_end := content.find(b"\n", end)) >= 0:
        try:
            marks = _decode_marks(content[end:line_end])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return whole
        if expected == 1:
            batch, of = marks.batch, marks.of
        if (marks.batch, marks.number, marks.of) != (batch, expected, of) or not 1 <= expected <= of:
            return whole
        end = line_end + 1
        if expected == of:
            whole, expected = end, 1
        else:
            expected += 1
    return whole


def kept_batches(landing: Path, source: str, table: str, first_day: date) -> Iterator[KeptBatch]:
    """Yield the batches with idempotency keys in the sealed segments of a table that are of `first_day` or later."""
    folder = landing / source / table
    if not folder.is_dir():
        return
    for day in sorted(day for day in folder.iterdir() if day.name >= first_day.isoformat()):
        for path in sorted(day.glob("*.jsonl")):
            if SEALED_NAME.fullmatch(path.name):
                yield from _batches_in(path.read_bytes(), source)


def _batches_in(content: bytes, source: str) -> Iterator[KeptBatch]:
    content = b"\n" + content
    begin = content.find(_FIRST_LINE)
    while begin >= 0:
        end = content.find(b"\n", begin + 1)
        try:
            marks = _decode_marks(content[begin + 1 : end if end >= 0 else len(content)])
        except (msgspec.DecodeError, UnicodeDecodeError):
            marks = None  # Somebody changed the file; what is not there cannot be remembered.
        if marks and marks.digest:
            yield KeptBatch(source, marks.batch, marks.digest, marks.of, marks.received_at)
        begin = content.find(_FIRST_LINE, begin + 1)


@dataclass
class _Segment:
    """A segment that takes events."""

    path: Path
    """With the ending .open."""
    source: str
    table: str
    day: date
    descriptor: int
    opened: float
    """On the monotonic clock, as is `changed`."""
    changed: float
    length: int = 0
    """Bytes that are safe on the disk. Whatever the file has beyond them was never accepted."""
    batches: int = 0
    events: int = 0

    @property
    def sealed_path(self) -> Path:
        return self.path.with_name(self.path.name.removesuffix(OPEN_SUFFIX))


class Segments:
    """All open segments below one landing folder. One thread at a time may use it, and one process in the world."""

    def __init__(self, landing: Path, seal_seconds: float, segment_bytes: int) -> None:
        self.landing = landing
        self._seal_seconds = seal_seconds
        self._segment_bytes = segment_bytes
        self._open: dict[tuple[str, str, date], _Segment] = {}
        self._broken: list[_Segment] = []
        """Segments that could not be cut back or sealed when they should have been; tried again later."""
        self._number = 0
        _make_folder(landing)
        self._lock = self._take_lock()

    def _take_lock(self) -> int:
        path = self.landing / LOCK_NAME
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(descriptor, 40).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise LockedError(
                f"Another collector (process {owner}) already writes to {self.landing}; only one may. "
                "Stop that one first, or give this one another TAGLOOM_LANDING."
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return descriptor

    def recover(self) -> int:
        """Seal what an earlier collector left open, cutting off a torn batch at the end; return how many segments.

        May be killed at any moment and run again. Raises OSError when a file cannot be read or written.
        """
        recovered = 0
        for path in sorted(self.landing.glob(f"*/*/*/*{OPEN_SUFFIX}")):
            if not OPEN_NAME.fullmatch(path.name):
                continue
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                with open(descriptor, "rb", closefd=False) as stream:
                    content = stream.read()
                whole = whole_batches(content)
                if whole < len(content):
                    os.ftruncate(descriptor, whole)
                # What is here may be in memory only: the process that wrote it may have died before its fsync.
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if whole:
                _seal_file(path)
            else:
                path.unlink()
                _sync_folder(path.parent)
            recovered += 1
            _log.warning(
                "recovered %s: kept %d bytes, cut off %d bytes of a batch that was never accepted",
                path.relative_to(self.landing).as_posix().removesuffix(OPEN_SUFFIX),
                whole,
                len(content) - whole,
            )
        return recovered

    def commit(self, batches: Sequence[Batch]) -> list[OSError | None]:
        """Add batches with one fsync a segment; return for each None when it is safe on the disk, else what happened.

        Nothing of a batch that failed stays in a file.
        """
        groups: dict[tuple[str, str, date], list[int]] = {}
        for index, batch in enumerate(batches):
            groups.setdefault((batch.source, batch.table, batch.received_at.date()), []).append(index)
        outcomes: list[OSError | None] = [None] * len(batches)
        for key, indices in groups.items():
            try:
                self._append(key, [batches[index] for index in indices])
            except OSError as error:
                _log.error("cannot write to %s/%s: %s", key[0], key[1], error)
                if key in self._open:
                    self._retire(self._open.pop(key))
                for index in indices:
                    outcomes[index] = error
        return outcomes

    def _append(self, key: tuple[str, str, date], batches: list[Batch]) -> None:
        segment = self._open.get(key) or self._create(*key)
        content = memoryview(b"".join(batch.lines for batch in batches))
        written = 0
        while written < len(content):
            written += os.write(segment.descriptor, content[written:])
        os.fsync(segment.descriptor)
        if os.fstat(segment.descriptor).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "somebody deleted the open segment", str(segment.path))
        segment.length += written
        segment.changed = time.monotonic()
        segment.batches += len(batches)
        segment.events += sum(len(batch.events) for batch in batches)
        if segment.length >= self._segment_bytes:
            del self._open[key]
            self._retire(segment)

    def _create(self, source: str, table: str, day: date) -> _Segment:
        folder = self.landing / source / table / day.isoformat()
        _make_folder(folder)
        while True:
            self._number += 1
            name = f"{day}_{datetime.now(UTC):%H%M%S}_{self._number:06}.jsonl"
            if (folder / name).exists():
                continue
            path = folder / f"{name}{OPEN_SUFFIX}"
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
            except FileExistsError:
                continue
            break
        now = time.monotonic()
        segment = self._open[source, table, day] = _Segment(path, source, table, day, descriptor, now, now)
        # Without it the file could be gone after a power cut, with everything in it.
        _sync_folder(folder)
        return segment

    def seal_due(self) -> None:
        """Seal the segments that are old enough, quiet, or of a day that is over; try broken ones again."""
        now, today = time.monotonic(), datetime.now(UTC).date()
        broken, self._broken = self._broken, []
        for segment in broken:
            self._retire(segment)
        for key, segment in list(self._open.items()):
            if segment.day != today or now >= self._due(segment):
                del self._open[key]
                self._retire(segment)

    def seconds_until_due(self) -> float | None:
        """Return how long `seal_due` has nothing to do; None when it has nothing to do until something is added."""
        if self._broken:
            return QUIET_SECONDS
        if not self._open:
            return None
        now = datetime.now(UTC)
        midnight = 86_400 - (now.hour * 3600 + now.minute * 60 + now.second + now.microsecond / 1e6)
        soonest = min(self._due(segment) for segment in self._open.values()) - time.monotonic()
        return max(0.0, min(soonest, midnight))

    def _due(self, segment: _Segment) -> float:
        quiet = min(QUIET_SECONDS, self._seal_seconds)
        return min(segment.opened + self._seal_seconds, segment.changed + quiet)

    @property
    def open_count(self) -> int:
        """How many segments take events or wait to be sealed."""
        return len(self._open) + len(self._broken)

    @property
    def oldest_seconds(self) -> float:
        """Age of the oldest segment that is not sealed; 0 when there is none."""
        opened = [segment.opened for segment in (*self._open.values(), *self._broken)]
        return time.monotonic() - min(opened) if opened else 0.0

    def close(self) -> None:
        """Seal everything and let another collector in."""
        segments = [*self._open.values(), *self._broken]
        self._open, self._broken = {}, []
        for segment in segments:
            self._retire(segment)
        for segment in self._broken:
            _log.error("%s could not be sealed; the next start of the collector does it", segment.path)
            os.close(segment.descriptor)
        self._broken = []
        os.close(self._lock)

    def _retire(self, segment: _Segment) -> None:
        """Cut a segment to what is safe and seal it; put it among the broken ones when that cannot be done now."""
        try:
            if os.fstat(segment.descriptor).st_size != segment.length:
                os.ftruncate(segment.descriptor, segment.length)
                os.fsync(segment.descriptor)
            if not segment.length:
                segment.path.unlink(missing_ok=True)
            elif segment.path.exists():
                _seal_file(segment.path)
            elif segment.sealed_path.exists():
                _sync_folder(segment.path.parent)
            else:
                _log.critical("%s was deleted by somebody else; %d events are lost", segment.path, segment.events)
        except OSError as error:
            _log.error("cannot seal %s yet: %s", segment.path, error)
            self._broken.append(segment)
            return
        os.close(segment.descriptor)
        if segment.length:
            _log.info(
                "sealed %s: %d events in %d batches, %d bytes",
                segment.sealed_path.relative_to(self.landing).as_posix(),
                segment.events,
                segment.batches,
                segment.length,
            )


def _seal_file(path: Path) -> None:
    path.rename(path.with_name(path.name.removesuffix(OPEN_SUFFIX)))
    _sync_folder(path.parent)


def _make_folder(folder: Path) -> None:
    """Make a folder so that it is still there after a power cut."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        _sync_folder(each.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
