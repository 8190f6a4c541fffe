"""Which delivered files have not landed yet, found out so cheaply that it can be asked every second.

Landing writes <home>/arrivals/<source>.json after each commit: path below the landing zone -> [bytes, time of change in
nanoseconds]. A file that is not in it, or is there with other numbers, has not landed. What could not be landed is kept
in <home>/arrivals/<source>.refused.json, so that it is neither tried nor reported again and again.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from tagloom.reading.deliveries import REPAIRS, as_regular_expression, is_unfinished
from tagloom.settings import Settings
from tagloom.sources import PushReader, Source, SourceError, Table, load_source

SETTLE_SECONDS = 5.0
"""A file that nobody has written to for so long has arrived as a whole."""

FULL_LOOK_SECONDS = 60.0
"""How often every known file is looked at, since rewriting one in place changes no folder. In between new names are."""

RETRY_SECONDS = 3_600.0
"""How long after a file was reported it is reported again when it has still not landed."""

PATIENCE_SECONDS = 60.0
"""So long does what comes in later wait for what was reported to land: the run that lands it takes both."""

TRUSTED_AGE_NS = 2_000_000_000
"""A folder that changed less than this before it was listed is listed again: clocks of file systems tick slowly."""

State = tuple[int, int]
"""Bytes and time of change (nanoseconds since 1970) of a file."""


@dataclass(frozen=True)
class Arrival:
    """A delivered file that has not landed."""

    path: str
    """Below the landing folder of its source, with slashes."""
    table: str
    day: date
    """The day of the delivery that it belongs to (UTC)."""
    state: State
    is_sealed: bool
    """Whether it was put in place as a whole, as the collector does."""


class Folder:
    """The files below one folder, kept in step by looking only where something has changed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, _Listed] = {}
        self._looked_at_all = float("-inf")
        self._look_again_after = FULL_LOOK_SECONDS
        self.files: dict[str, State] = {}
        """Path below the root, with slashes -> state. Names of what is still being written are left out."""

    def look(self, again: Iterable[str] = ()) -> set[str]:
        """Look for changes and return the paths that came, changed or went. The files `again` are looked at anyway."""
        now = time.monotonic()
        is_full = now - self._looked_at_all >= self._look_again_after
        changed: set[str] = set()
        met: set[str] = set()
        inodes: set[tuple[int, int]] = set()
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            listed = self._list(folder, is_full, changed, inodes)
            if listed is not None:
                met.add(folder)
                waiting.extend(listed.folders)
        for gone in self._known.keys() - met:
            changed.update(self._known.pop(gone).files)
        for path in again:
            if path not in changed:
                self._look_at(path, changed)
        for path in changed:
            if path.rpartition("/")[0] not in self._known:
                self.files.pop(path, None)
        if is_full:
            self._looked_at_all = now
            # A huge folder is looked at as a whole less often, so that it takes one per cent of the time at most.
            self._look_again_after = max(FULL_LOOK_SECONDS, 100 * (time.monotonic() - now))
        return changed

    def _list(self, folder: str, is_full: bool, changed: set[str], inodes: set[tuple[int, int]]) -> _Listed | None:
        path = self._root / folder if folder else self._root
        known = self._known.get(folder)
        try:
            status = path.stat()
            inode = (status.st_dev, status.st_ino)
            if inode in inodes:
                return None  # a link that leads back
            inodes.add(inode)
            if known and not is_full and known.is_trusted and known.modified == status.st_mtime_ns:
                return known
            looked_at = time.time_ns()
            with os.scandir(path) as entries:
                found = [entry for entry in entries if not is_unfinished(entry.name)]
        except OSError:
            return None
        prefix = f"{folder}/" if folder else ""
        listed = _Listed(status.st_mtime_ns, is_trusted=looked_at - status.st_mtime_ns > TRUSTED_AGE_NS)
        for entry in found:
            name = prefix + entry.name
            try:
                if entry.is_dir():
                    listed.folders.append(name)
                    continue
                listed.files.add(name)
                if is_full or name not in self.files:
                    self._note(name, entry.stat(), changed)
            except OSError:
                continue  # gone meanwhile
        for name in (known.files if known else set()) - listed.files:
            changed.add(name)
            self.files.pop(name, None)
        self._known[folder] = listed
        return listed

    def _look_at(self, path: str, changed: set[str]) -> None:
        try:
            self._note(path, (self._root / path).stat(), changed)
        except OSError:
            if self.files.pop(path, None) is not None:
                changed.add(path)

    def _note(self, path: str, status: os.stat_result, changed: set[str]) -> None:
        if not stat.S_ISREG(status.st_mode):
            return
        state = (status.st_size, status.st_mtime_ns)
        if self.files.get(path) != state:
            self.files[path] = state
            changed.add(path)


@dataclass
class _Listed:
    """What a folder held when it was listed."""

    modified: int
    is_trusted: bool
    folders: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)


class Watch:
    """Watches the landing folder of one source for files that have not landed; made to be asked again and again."""

    def __init__(self, settings: Settings, source_name: str) -> None:
        self._settings = settings
        self._name = source_name
        self._declaration = settings.sources / f"{source_name}.yml"
        self._folder = Folder(settings.landing / source_name)
        self._tables: list[tuple[Table, re.Pattern]] = []
        self._declared: State | None = None
        self._landed: dict[str, State] = {}
        self._landed_state: State | None = None
        self._refused: dict[str, State] = {}
        self._refused_state: State | None = None
        self._unlanded: dict[str, Arrival] = {}
        self._unsettled: dict[str, tuple[State, float]] = {}
        self._reported: dict[str, tuple[State, float]] = {}

    def due(self) -> list[Arrival]:
        """Files to report now: they have arrived, have not landed, and were not reported as they are for RETRY_SECONDS.

        Nothing while a file that was reported before is being landed, PATIENCE_SECONDS at most: the run that lands it
        takes what has come in meanwhile, and another run would find nothing to do. After a change of the declaration
        everything that has not landed is reported again.
        """
        now = time.monotonic()
        arrived = self.arrived()
        due = []
        for arrival in arrived:
            state, reported = self._reported.get(arrival.path, (None, float("-inf")))
            if state != arrival.state or now - reported >= RETRY_SECONDS:
                due.append(arrival)
            elif now - reported < PATIENCE_SECONDS and self._refused.get(arrival.path) != arrival.state:
                return []
        self._reported = {path: told for path, told in self._reported.items() if path in self._unlanded}
        self._reported |= {arrival.path: (arrival.state, now) for arrival in due}
        return due

    def arrived(self) -> list[Arrival]:
        """Every file that has arrived and has not landed."""
        self._refresh()
        now, clock = time.monotonic(), time.time()
        arrived, unsettled = [], {}
        for arrival in self._unlanded.values():
            if arrival.is_sealed or clock - arrival.state[1] / 1e9 >= SETTLE_SECONDS:
                arrived.append(arrival)
                continue
            # The same rule by our own clock: that of the file may be ahead.
            state, since = self._unsettled.get(arrival.path, (arrival.state, now))
            unsettled[arrival.path] = (arrival.state, since if state == arrival.state else now)
            if now - unsettled[arrival.path][1] >= SETTLE_SECONDS:
                arrived.append(arrival)
        self._unsettled = unsettled
        return arrived

    def _refresh(self) -> None:
        declared, landed = _state(self._declaration), _state(landed_file(self._settings, self._name))
        refused = _state(refused_file(self._settings, self._name))
        if refused != self._refused_state:
            self._refused = _refused_files(self._settings, self._name)
            self._refused_state = refused
        changed = self._folder.look(again=self._unsettled)
        if declared != self._declared or landed != self._landed_state:
            if declared != self._declared:
                self._read_declaration()
                self._declared = declared
                self._reported = {}
            if landed != self._landed_state:
                self._landed = read_landed(self._settings, self._name)
                self._landed_state = landed
            changed = self._folder.files.keys() | self._unlanded.keys()
        for path in changed:
            self._unlanded.pop(path, None)
            state = self._folder.files.get(path)
            if state is not None and self._landed.get(f"{self._name}/{path}") != state:
                self._add(path, state)

    def _add(self, path: str, state: State) -> None:
        for table, pattern in self._tables:
            if found := pattern.fullmatch(path):
                day = _day(found, state)
                if day is not None:
                    self._unlanded[path] = Arrival(
                        path, table.name, day, state, is_sealed=isinstance(table.reader, PushReader)
                    )
                return

    def _read_declaration(self) -> None:
        try:
            source = load_source(self._declaration)
        except (SourceError, OSError):
            return  # the last one that could be read counts; the source's DAG says what is wrong
        self._tables = [(table, pattern) for table in source.tables for pattern in _patterns(table)]


def new_days(settings: Settings, source: Source) -> list[date]:
    """Days with files that have arrived and have not landed yet, sorted."""
    return sorted({arrival.day for arrival in Watch(settings, source.name).arrived()})


def waiting_days(settings: Settings, source: Source) -> list[date]:
    """The same without days of which all that waits was refused as it is now."""
    refused = _refused_files(settings, source.name)
    arrived = Watch(settings, source.name).arrived()
    return sorted({arrival.day for arrival in arrived if refused.get(arrival.path) != arrival.state})


def refuse(settings: Settings, source: Source, day: date, problem: str) -> bool:
    """Remember that a day could not be landed, and return whether people are to be told.

    They are told when the day is refused for the first time, and again when more than RETRY_SECONDS later it is refused
    for another reason: while bad events trickle in, the numbers in the reason change every few seconds.
    """
    refused = _read_json(refused_file(settings, source.name))
    before = refused.get(day.isoformat(), {})
    now = datetime.now(UTC)
    told_at = datetime.fromisoformat(before.get("told_at", "1970-01-01T00:00:00+00:00"))
    arrived = Watch(settings, source.name).arrived()
    is_news = problem != before.get("problem") and now - told_at >= timedelta(seconds=RETRY_SECONDS)
    refused[day.isoformat()] = {
        "problem": problem if is_news else before["problem"],
        "told_at": (now if is_news else told_at).isoformat(),
        "files": {arrival.path: arrival.state for arrival in arrived if arrival.day == day},
    }
    _write_json(refused_file(settings, source.name), refused)
    return is_news


def accept(settings: Settings, source: Source, days: Iterable[date]) -> None:
    """Forget that these days were refused: they have landed."""
    refused = _read_json(refused_file(settings, source.name))
    left = {day: entry for day, entry in refused.items() if date.fromisoformat(day) not in set(days)}
    if left != refused:
        _write_json(refused_file(settings, source.name), left)


def intervals(days: Iterable[date]) -> Iterator[tuple[date, date]]:
    """Gather days into runs of consecutive ones: (first day, day after the last one)."""
    first = end = None
    for day in sorted(set(days)):
        if day == end:
            end += timedelta(days=1)
            continue
        if first is not None:
            yield first, end
        first, end = day, day + timedelta(days=1)
    if first is not None:
        yield first, end


def landed_file(settings: Settings, source_name: str) -> Path:
    """Where landing says which files of a source have landed."""
    return settings.home / "arrivals" / f"{source_name}.json"


def refused_file(settings: Settings, source_name: str) -> Path:
    """Where the days are kept that could not be landed."""
    return settings.home / "arrivals" / f"{source_name}.refused.json"


def read_landed(settings: Settings, source_name: str) -> dict[str, State]:
    """Path below the landing zone -> state in which the file has landed; empty before the first landing."""
    return {path: tuple(state) for path, state in _read_json(landed_file(settings, source_name)).items()}


def _refused_files(settings: Settings, source_name: str) -> dict[str, State]:
    days = _read_json(refused_file(settings, source_name)).values()
    return {path: tuple(state) for day in days for path, state in day["files"].items()}


def _patterns(table: Table) -> list[re.Pattern]:
    return [as_regular_expression(glob) for glob in (table.path, f"{REPAIRS}/{table.name}/{{date}}_*.jsonl")]


def _day(found: re.Match, state: State) -> date | None:
    if not found.groups():
        return datetime.fromtimestamp(state[1] / 1e9, UTC).date()
    try:
        return date.fromisoformat(found.group(1))
    except ValueError:
        return None  # no day of the calendar: landing says so


def _state(path: Path) -> State | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Missing or damaged: then nothing has landed as far as anybody knows, and landing it again changes nothing.
        return {}


def _write_json(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
