"""Counts audiences by bitmaps: who meets a condition is looked up once per published version, then conditions are
combined in memory.

A builder changes one condition at a time and asks for the size after each change; all conditions but the new one were
met before. A boolean tag, or one with a fixed set of values, is read once for all its values; any other condition,
events and chance included, is asked of DuckDB once with the very SQL that `compile` makes. So both ways agree.

Nobody waits for bitmaps: what they do not have yet SQL counts, and a thread reads it for the next time. It also reads
the tags with few values of a new version, resting as long as it works.

Bitmaps hold the places of persons in the wide table (Roaring, pyroaring: optional; without it everything is counted by
SQL). They go when a new version is published, and the least used ones when they take too much memory.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import duckdb
from sqlglot import exp

from tagloom.audiences.compile import AudienceOf, Conditions, check
from tagloom.audiences.evaluate import Size, events_of_version
from tagloom.audiences.rules import (
    CONSENT_TAGS,
    SUPPRESSION_TAGS,
    AudienceRule,
    Definition,
    Group,
    Leaf,
    RuleError,
    TagRule,
    leaves,
)

try:
    from pyroaring import BitMap
except ImportError:
    BitMap = None

if TYPE_CHECKING:
    import numpy

    from tagloom.portal.serving import Snapshot, Tag

FEWEST_PERSONS = 20_000
"""Below this SQL counts in a few milliseconds, and bitmaps are not worth their memory."""

MAXIMUM_BYTES = 512 * 2**20
"""Memory of all bitmaps of a version."""

SECONDS = 60.0
"""How long reading a tag or a condition once may take."""

BY_CODES = ("=", "!=", "in", "notIn", "null", "notNull")
"""Operators that need no more than who has which value."""

UNKNOWN = 255
"""Code of an unknown value."""

MOST_CODES = 200
"""Values of a tag that is read as a whole."""

_current: dict[str, Bitmaps] = {}
_lock = threading.Lock()

log = logging.getLogger(__name__)


def size(snapshot: Snapshot, definition: Definition, audiences: AudienceOf) -> Size | None:
    """Count an audience; None where SQL should. Raises RuleError when the definition does not fit the version."""
    if BitMap is None or snapshot.persons < FEWEST_PERSONS:
        return None
    found = bitmaps_of(snapshot)
    return found.size(definition, audiences) if found.has_all(definition, audiences) else None


def bitmaps_of(snapshot: Snapshot) -> Bitmaps:
    """The bitmaps of a version; those of another version go."""
    with _lock:
        found = _current.get(snapshot.name)
        if found is None or found.snapshot is not snapshot:
            for old in _current.values():
                old.close()
            _current.clear()
            found = _current[snapshot.name] = Bitmaps(snapshot)
            found.read_soon(("tag", tag.name) for tag in snapshot.tags.values() if found.has_codes(tag))
        return found


class Bitmaps:
    """Who meets which condition, in one version. Thread-safe."""

    def __init__(self, snapshot: Snapshot, maximum_bytes: int = MAXIMUM_BYTES) -> None:
        """Reads nothing yet."""
        self.snapshot = snapshot
        self.maximum_bytes = maximum_bytes
        self.bytes = 0
        """Memory of the bitmaps that are kept."""
        self._kept: OrderedDict[Any, tuple[dict[int, BitMap], int]] = OrderedDict()
        self._short = threading.Lock()
        self._building = threading.Lock()
        self._events = events_of_version(snapshot)
        self._everybody = BitMap(range(snapshot.persons)) if snapshot.persons else BitMap()
        self._enums = self._enum_columns()
        self._wanted: OrderedDict[Any, Callable[[], dict[int, BitMap]]] = OrderedDict()
        self._unreadable: set[Any] = set()
        self._reader: threading.Thread | None = None
        self._is_closed = False

    def size(self, definition: Definition, audiences: AudienceOf) -> Size:
        """Count an audience. Raises RuleError when the definition does not fit the version."""
        problems = check(definition, self.snapshot.tags, self._events, audiences)
        if problems:
            raise RuleError(problems)
        matched = self._group(definition.rule, audiences)
        reachable = matched & self._consenting(definition) if definition.consent in CONSENT_TAGS else matched
        objecting = self._objecting(definition) if definition.suppression else BitMap()
        members = reachable - objecting
        held_out = members & self._once(*self._holdout(definition))[1] if definition.holdout_percent else BitMap()
        sent = members - held_out
        parts = {}
        for number, part in enumerate(definition.split.parts if definition.split else ()):
            parts[part.name] = sent.intersection_cardinality(self._once(*self._part(definition, number))[1])
        return Size(
            population=self.snapshot.persons,
            matched=len(matched),
            without_consent=len(matched) - len(reachable),
            objected=reachable.intersection_cardinality(objecting),
            members=len(members),
            held_out=len(held_out),
            parts=parts,
        )

    def members(self, definition: Definition, audiences: AudienceOf) -> BitMap:
        """Places of the members in the wide table, which is sorted by person_id; the definition was checked before."""
        found = self._group(definition.rule, audiences)
        if definition.consent in CONSENT_TAGS:
            found &= self._consenting(definition)
        return found - self._objecting(definition) if definition.suppression else found

    def has_all(self, definition: Definition, audiences: AudienceOf) -> bool:
        """Whether everything that a definition asks for was read; what was not will be soon.

        Raises RuleError when the definition does not fit the version.
        """
        problems = check(definition, self.snapshot.tags, self._events, audiences)
        if problems:
            raise RuleError(problems)
        needed = self._needed(definition, audiences)
        with self._short:
            missing = {key: read for key, read in needed.items() if key not in self._kept}
        self._read_soon(missing, first=True)
        return not missing

    def read_soon(self, keys: Iterable[tuple[str, str]]) -> None:
        """Read whole tags, as ("tag", name), one after the other in a thread of its own."""
        self._read_soon({key: partial(self._read_codes, key[1]) for key in keys}, first=False)

    def wait(self, seconds: float) -> bool:
        """Wait until the thread has read all that it should; False when that takes longer."""
        reader = self._reader
        if reader is not None:
            reader.join(seconds)
        return reader is None or not reader.is_alive()

    def close(self) -> None:
        """Let the thread end."""
        self._is_closed = True

    def _read_soon(self, wanted: Mapping[Any, Callable[[], dict[int, BitMap]]], first: bool) -> None:
        with self._short:
            for key, read in wanted.items():
                if key not in self._unreadable:
                    self._wanted[key] = read
                    self._wanted.move_to_end(key, last=not first)
            if self._wanted and self._reader is None:
                self._reader = threading.Thread(target=self._read_all, name="tagloom bitmaps", daemon=True)
                self._reader.start()

    def _read_all(self) -> None:
        while True:
            with self._short:
                if self._is_closed or not self._wanted:
                    self._reader = None
                    return
                key, read = self._wanted.popitem(last=False)
            began = time.monotonic()
            try:
                self._once(key, read)
            except duckdb.Error:
                log.exception("What %s needs cannot be read; SQL counts it", key)
                self._unreadable.add(key)
            time.sleep(time.monotonic() - began)

    def _needed(self, definition: Definition, audiences: AudienceOf) -> dict[Any, Callable[[], dict[int, BitMap]]]:
        """Key -> how to read it, of everything that counting a definition looks up."""
        needed: dict[Any, Callable[[], dict[int, BitMap]]] = {}
        tags = [CONSENT_TAGS[definition.consent]] if definition.consent in CONSENT_TAGS else []
        for tag in [*tags, *(SUPPRESSION_TAGS if definition.suppression else ())]:
            needed["tag", tag] = partial(self._read_codes, tag)
        for _, leaf in leaves(definition.rule):
            if isinstance(leaf, AudienceRule):
                needed |= self._needed(audiences(leaf.audience_id), audiences)
            else:
                key, read = self._source(leaf)
                needed[key] = read
        if definition.holdout_percent:
            key, read = self._holdout(definition)
            needed[key] = read
        for number in range(len(definition.split.parts) if definition.split else 0):
            key, read = self._part(definition, number)
            needed[key] = read
        return needed

    def _group(self, group: Group, audiences: AudienceOf) -> BitMap:
        if not group.rules:
            found = self._everybody
        else:
            parts = [
                self._group(rule, audiences) if isinstance(rule, Group) else self._leaf(rule, audiences)
                for rule in group.rules
            ]
            if group.combinator == "and":
                # The smallest first: what is cut away once need not be looked at again.
                found = reduce(lambda one, other: one & other, sorted(parts, key=len))
            else:
                found = BitMap.union(*parts)
        return self._everybody - found if group.negated else found

    def _leaf(self, leaf: Leaf, audiences: AudienceOf) -> BitMap:
        if isinstance(leaf, AudienceRule):
            inner = self.members(audiences(leaf.audience_id), audiences)
            return inner if leaf.operator == "in" else self._everybody - inner
        key, read = self._source(leaf)
        found = self._once(key, read)
        if key[0] != "tag":
            return found[1]
        return _by_codes(leaf, self._enums.get(leaf.tag), self._everybody, found)

    def _source(self, leaf: Leaf) -> tuple[tuple[str, str], Callable[[], dict[int, BitMap]]]:
        """What a condition is looked up in, and how that is read: a whole tag, or the condition by itself."""
        if isinstance(leaf, TagRule) and leaf.operator in BY_CODES and self.has_codes(self.snapshot.tags[leaf.tag]):
            return ("tag", leaf.tag), partial(self._read_codes, leaf.tag)
        return ("condition", leaf.model_dump_json()), partial(self._read, lambda conditions: conditions.leaf(leaf))

    def _consenting(self, definition: Definition) -> BitMap:
        return self._codes(CONSENT_TAGS[definition.consent]).get(1, BitMap())

    def _objecting(self, definition: Definition) -> BitMap:
        return reduce(lambda one, other: one | other, (self._codes(tag).get(1, BitMap()) for tag in SUPPRESSION_TAGS))

    def _holdout(self, definition: Definition) -> tuple[Any, Callable[[], dict[int, BitMap]]]:
        key = ("held out", definition.seed, definition.holdout_percent)
        return key, partial(self._read, lambda conditions: conditions.is_held_out(definition))

    def _part(self, definition: Definition, number: int) -> tuple[Any, Callable[[], dict[int, BitMap]]]:
        def condition(conditions: Conditions) -> exp.Expression:
            name = exp.Literal.string(definition.split.parts[number].name)
            return exp.EQ(this=exp.paren(conditions.part(definition)), expression=name)

        parts = tuple((part.name, part.percent) for part in definition.split.parts)
        return ("part", definition.seed, parts, number), partial(self._read, condition)

    def has_codes(self, tag: Tag) -> bool:
        """Whether a tag is read as a whole: a boolean, or one with a fixed set of values."""
        return tag.data_type == "boolean" or tag.name in self._enums

    def _codes(self, tag: str) -> dict[int, BitMap]:
        """Code of a value -> who has it: 0 and 1 of booleans, the place in the enum of others, UNKNOWN."""
        return self._once(("tag", tag), lambda: self._read_codes(tag))

    def _read_codes(self, tag: str) -> dict[int, BitMap]:
        import numpy

        column = '"' + tag.replace('"', '""') + '"'
        code = f"{column}::utinyint" if self.snapshot.tags[tag].data_type == "boolean" else f"enum_code({column})"
        found = self._arrays(
            f"select rowid::uinteger as place, coalesce({code}, {UNKNOWN})::utinyint as code "
            "from tag_integration.person_tags"
        )
        order = numpy.argsort(found["code"], kind="stable")
        places, codes = found["place"][order], found["code"][order]
        edges = numpy.flatnonzero(numpy.diff(codes)) + 1
        starts = [0, *edges.tolist()] if len(codes) else []
        return {
            int(codes[start]): _bitmap(places[start:end])
            for start, end in zip(starts, [*edges.tolist(), len(codes)], strict=False)
        }

    def _read(self, condition: Callable[[Conditions], exp.Expression]) -> dict[int, BitMap]:
        conditions = Conditions(self.snapshot.tags, self._events, _nobody, self.snapshot.as_of_date)
        sql = condition(conditions).sql(dialect="duckdb")
        found = self._arrays(
            f"select person_tags.rowid::uinteger as place from tag_integration.person_tags where {sql}",
            conditions.parameters,
        )
        return {1: _bitmap(found["place"])}

    def _once(self, key: Any, read: Callable[[], dict[int, BitMap]]) -> dict[int, BitMap]:
        found = self._get(key)
        if found is not None:
            return found
        # One at a time: reading takes all threads of DuckDB anyway.
        with self._building:
            found = self._get(key)
            if found is not None:
                return found
            found = read()
            taken = sum(_bytes(bitmap) for bitmap in found.values())
            with self._short:
                self._kept[key] = (found, taken)
                self.bytes += taken
                while self.bytes > self.maximum_bytes and len(self._kept) > 1:
                    _, (_, freed) = self._kept.popitem(last=False)
                    self.bytes -= freed
        return found

    def _get(self, key: Any) -> dict[int, BitMap] | None:
        with self._short:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def _arrays(self, sql: str, parameters: Mapping[str, Any] | None = None) -> dict[str, numpy.ndarray]:
        cursor = self.snapshot._connection.cursor()
        timer = threading.Timer(SECONDS, cursor.interrupt)
        timer.daemon = True
        timer.start()
        try:
            return cursor.execute(sql, parameters or {}).fetchnumpy()
        finally:
            timer.cancel()
            cursor.close()

    def _enum_columns(self) -> dict[str, tuple[str, ...]]:
        """Tags whose column is an enum of few values -> these, in the order of their codes."""
        columns = [
            row["column_name"]
            for row in self.snapshot.rows(
                "select column_name from duckdb_columns() where schema_name = 'tag_integration' "
                "and table_name = 'person_tags' and starts_with(data_type, 'ENUM')"
            )
            if row["column_name"] in self.snapshot.tags
        ]
        listed = ", ".join(f'enum_range("{name}") as "{name}"' for name in columns)
        row = self.snapshot.row(f"select {listed} from tag_integration.person_tags limit 1") if columns else None
        return {name: tuple(values) for name, values in (row or {}).items() if len(values) <= MOST_CODES}


def _by_codes(
    leaf: TagRule, values: tuple[str, ...] | None, everybody: BitMap, by_code: Mapping[int, BitMap]
) -> BitMap:
    """Who meets a condition on a tag that was read as a whole."""
    unknown = by_code.get(UNKNOWN, BitMap())
    if leaf.operator in ("null", "notNull"):
        return unknown if leaf.operator == "null" else everybody - unknown
    given = leaf.value if isinstance(leaf.value, list) else [leaf.value]
    if values is None:
        wanted = {int(value in (True, "true")) for value in given}
    else:
        places = {value: number for number, value in enumerate(values)}
        wanted = {places[str(value)] for value in given if str(value) in places}
    found = BitMap.union(BitMap(), *(by_code[code] for code in wanted if code in by_code))
    return found if leaf.operator in ("=", "in") else everybody - found - unknown


def _bitmap(places: numpy.ndarray) -> BitMap:
    bitmap = BitMap(places)
    bitmap.run_optimize()
    return bitmap


def _bytes(bitmap: BitMap) -> int:
    counts = bitmap.get_statistics()
    return sum(counts[f"n_bytes_{kind}_containers"] for kind in ("array", "run", "bitset"))


def _nobody(audience_id: int) -> Definition:
    raise LookupError(f"There is no audience {audience_id} here.")
