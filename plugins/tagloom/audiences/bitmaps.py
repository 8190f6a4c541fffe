"""Counts audiences by bitmaps: who meets a condition is looked up once per published version, then conditions are
combined in memory.

A builder changes one condition at a time and asks for the size after each change; all conditions but the new one were
met before. A boolean tag, or one with a fixed set of values, is read once for all its values; any other condition,
events and chance included, is asked of DuckDB once with the very SQL that `compile` makes. So both ways agree.

Bitmaps hold the places of persons in the wide table (Roaring, pyroaring: optional; without it everything is counted by
SQL). They go when a new version is published, and the least used ones when they take too much memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

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
)

try:
    from pyroaring import BitMap
except ImportError:
    BitMap = None

if TYPE_CHECKING:
    import numpy
    from sqlglot import exp

    from tagloom.portal.serving import Snapshot, Tag

FEWEST_PERSONS = 20_000
"""Below this SQL counts in a few milliseconds, and bitmaps are not worth their memory."""

MAXIMUM_BYTES = 512 * 2**20
"""Memory of all bitmaps of a version."""

SECONDS = 60.0
"""How long reading a tag or a condition once may take."""

UNKNOWN = 255
"""Code of an unknown value."""

MOST_CODES = 200
"""Values of a tag that is read as a whole."""

_current: dict[str, Bitmaps] = {}
_lock = threading.Lock()


def size(snapshot: Snapshot, definition: Definition, audiences: AudienceOf) -> Size | None:
    """Count an audience; None where SQL should. Raises RuleError when the definition does not fit the version."""
    if BitMap is None or snapshot.persons < FEWEST_PERSONS:
        return None
    return bitmaps_of(snapshot).size(definition, audiences)


def bitmaps_of(snapshot: Snapshot) -> Bitmaps:
    """The bitmaps of a version; those of another version go."""
    with _lock:
        found = _current.get(snapshot.name)
        if found is None or found.snapshot is not snapshot:
            _current.clear()
            found = _current[snapshot.name] = Bitmaps(snapshot)
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

    def size(self, definition: Definition, audiences: AudienceOf) -> Size:
        """Count an audience. Raises RuleError when the definition does not fit the version."""
        problems = check(definition, self.snapshot.tags, self._events, audiences)
        if problems:
            raise RuleError(problems)
        matched = self._group(definition.rule, audiences)
        reachable = matched & self._consenting(definition) if definition.consent in CONSENT_TAGS else matched
        objecting = self._objecting(definition) if definition.suppression else BitMap()
        members = reachable - objecting
        held_out = members & self._held_out(definition) if definition.holdout_percent else BitMap()
        sent = members - held_out
        parts = {}
        for number, part in enumerate(definition.split.parts if definition.split else ()):
            parts[part.name] = sent.intersection_cardinality(self._part(definition, number))
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

    def warm(self, tags: Iterable[str]) -> None:
        """Read boolean tags, and those with a fixed set of values, before anybody asks."""
        for name in tags:
            if name in self.snapshot.tags and self._has_codes(self.snapshot.tags[name]):
                self._codes(name)

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
        if isinstance(leaf, TagRule):
            tag = self.snapshot.tags[leaf.tag]
            if self._has_codes(tag):
                found = _by_codes(leaf, self._enums.get(tag.name), self._everybody, lambda: self._codes(tag.name))
                if found is not None:
                    return found
        return self._asked(leaf.model_dump_json(), lambda conditions: conditions.leaf(leaf))

    def _consenting(self, definition: Definition) -> BitMap:
        return self._codes(CONSENT_TAGS[definition.consent]).get(1, BitMap())

    def _objecting(self, definition: Definition) -> BitMap:
        return reduce(lambda one, other: one | other, (self._codes(tag).get(1, BitMap()) for tag in SUPPRESSION_TAGS))

    def _held_out(self, definition: Definition) -> BitMap:
        key = ("held out", definition.seed, definition.holdout_percent)
        return self._asked(key, lambda conditions: conditions.is_held_out(definition))

    def _part(self, definition: Definition, number: int) -> BitMap:
        from sqlglot import exp

        parts = definition.split.parts
        key = ("part", definition.seed, tuple((part.name, part.percent) for part in parts), number)
        return self._asked(
            key,
            lambda conditions: exp.EQ(
                this=exp.paren(conditions.part(definition)), expression=exp.Literal.string(parts[number].name)
            ),
        )

    def _has_codes(self, tag: Tag) -> bool:
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

    def _asked(self, key: Any, condition: Callable[[Conditions], exp.Expression]) -> BitMap:
        def read() -> dict[int, BitMap]:
            conditions = Conditions(self.snapshot.tags, self._events, _nobody, self.snapshot.as_of_date)
            sql = condition(conditions).sql(dialect="duckdb")
            found = self._arrays(
                f"select person_tags.rowid::uinteger as place from tag_integration.person_tags where {sql}",
                conditions.parameters,
            )
            return {1: _bitmap(found["place"])}

        return self._once(key, read)[1]

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
    leaf: TagRule, values: tuple[str, ...] | None, everybody: BitMap, codes: Callable[[], dict[int, BitMap]]
) -> BitMap | None:
    """Who meets a condition on a tag that was read as a whole; None when it asks for a part of a text."""
    if leaf.operator in ("null", "notNull"):
        unknown = codes().get(UNKNOWN, BitMap())
        return unknown if leaf.operator == "null" else everybody - unknown
    if leaf.operator not in ("=", "!=", "in", "notIn"):
        return None
    given = leaf.value if isinstance(leaf.value, list) else [leaf.value]
    if values is None:
        wanted = {int(value in (True, "true")) for value in given}
    else:
        places = {value: number for number, value in enumerate(values)}
        wanted = {places[str(value)] for value in given if str(value) in places}
    by_code = codes()
    found = BitMap.union(BitMap(), *(by_code[code] for code in wanted if code in by_code))
    if leaf.operator in ("=", "in"):
        return found
    return everybody - found - by_code.get(UNKNOWN, BitMap())


def _bitmap(places: numpy.ndarray) -> BitMap:
    bitmap = BitMap(places)
    bitmap.run_optimize()
    return bitmap


def _bytes(bitmap: BitMap) -> int:
    counts = bitmap.get_statistics()
    return sum(counts[f"n_bytes_{kind}_containers"] for kind in ("array", "run", "bitset"))


def _nobody(audience_id: int) -> Definition:
    raise LookupError(f"There is no audience {audience_id} here.")
