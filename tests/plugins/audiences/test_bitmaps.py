"""Bitmaps: every random rule counts as SQL does, what was seen once is not read again, and memory stays bounded."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tagloom.audiences import bitmaps
from tagloom.audiences.bitmaps import Bitmaps
from tagloom.audiences.evaluate import counted_size
from tagloom.audiences.rules import Definition, RuleError, parse
from tagloom.portal.serving import Snapshot

from tests.plugins.audiences.test_compile import World, audience_of, definitions
from tests.plugins.audiences.test_compile import world as world

SPLIT = {"parts": [{"name": "it's A", "percent": 30}, {"name": "B", "percent": 30}, {"name": "C", "percent": 40}]}


def everything_else(definition: Definition, holdout: int, is_split: bool) -> Definition:
    """The same rule with a holdout and a split."""
    given = definition.as_json() | {"holdout_percent": holdout, "split": SPLIT if is_split else None, "seed": "spring"}
    return parse(given)


def test_random_rules_count_as_sql_does(world: World) -> None:
    """The law of the bitmaps: 250 random trees with chance, step by step, over one and the same cache."""
    found = Bitmaps(world.snapshot)
    sizes = []

    @settings(
        max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
    )
    @given(definition=definitions(world), holdout=st.sampled_from([0, 0, 20]), is_split=st.booleans())
    def holds(definition: Definition, holdout: int, is_split: bool) -> None:
        whole = everything_else(definition, holdout, is_split)
        expected = counted_size(world.snapshot, whole, audience_of)
        assert found.size(whole, audience_of) == expected
        sizes.append(expected.members)

    holds()
    assert sum(0 < one < world.snapshot.persons for one in sizes) > len(sizes) / 3


def test_members_are_the_places_of_the_persons(world: World) -> None:
    definition = parse({"rule": {"rules": [{"field": "tag:has_app", "operator": "=", "value": True}]}})
    found = Bitmaps(world.snapshot).members(definition, audience_of)
    persons = [row["person_id"] for row in world.snapshot.rows("select person_id from tag_integration.person_tags")]
    rows = world.snapshot.rows("select person_id from tag_integration.person_tags where has_app and not do_not_promote")
    assert {persons[place] for place in found} == {row["person_id"] for row in rows}


def a_rule(*rules: dict) -> Definition:
    return parse({"rule": {"rules": list(rules)}, "suppression": False})


SEGMENT = {"field": "tag:rfm_segment", "operator": "in", "value": ["champion", "lost"]}
ORDERS = {"field": "tag:orders_365d", "operator": "between", "value": [2, 9]}


def counted_reads(found: Bitmaps, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    reads: list[str] = []
    read = Bitmaps._arrays

    def noted(self: Bitmaps, sql: str, *rest: object) -> dict:
        reads.append(sql)
        return read(self, sql, *rest)

    monkeypatch.setattr(Bitmaps, "_arrays", noted)
    return reads


def test_a_condition_is_read_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Bitmaps(world.snapshot)
    reads = counted_reads(found, monkeypatch)
    found.size(a_rule(SEGMENT, ORDERS), audience_of)
    assert len(reads) == 2
    found.size(a_rule(ORDERS, SEGMENT | {"operator": "notIn", "value": ["at risk"]}), audience_of)
    assert len(reads) == 2, "all values of a tag are read at once"
    found.size(a_rule(ORDERS | {"value": [2, 8]}), audience_of)
    assert len(reads) == 3


def test_memory_is_bounded(world: World) -> None:
    small = Bitmaps(world.snapshot, maximum_bytes=4_000)
    for low in range(20):
        small.size(a_rule(ORDERS | {"value": [low, 25]}), audience_of)
    assert 0 < small.bytes <= 4_000
    assert small.size(a_rule(SEGMENT, ORDERS), audience_of) == counted_size(
        world.snapshot, a_rule(SEGMENT, ORDERS), audience_of
    )


def test_many_threads_get_the_same(world: World) -> None:
    found = Bitmaps(world.snapshot)
    expected = counted_size(world.snapshot, a_rule(SEGMENT, ORDERS), audience_of)
    answers: list[object] = []
    threads = [
        threading.Thread(target=lambda: answers.append(found.size(a_rule(SEGMENT, ORDERS), audience_of)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 8


def test_a_wrong_definition_is_refused(world: World) -> None:
    with pytest.raises(RuleError, match="there is no tag no_such_tag"):
        Bitmaps(world.snapshot).size(a_rule({"field": "tag:no_such_tag", "operator": "null"}), audience_of)


def test_nobody_waits_for_bitmaps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not read yet SQL counts; the next time it is there. Few persons are always counted by SQL."""
    definition = everything_else(a_rule(SEGMENT, ORDERS), 20, is_split=True)
    assert bitmaps.size(world.snapshot, definition, audience_of) is None
    monkeypatch.setattr(bitmaps, "FEWEST_PERSONS", 1)
    bitmaps._current.clear()
    assert bitmaps.size(world.snapshot, definition, audience_of) is None
    assert bitmaps.bitmaps_of(world.snapshot).wait(30)
    reads = counted_reads(bitmaps.bitmaps_of(world.snapshot), monkeypatch)
    assert bitmaps.size(world.snapshot, definition, audience_of) == counted_size(
        world.snapshot, definition, audience_of
    )
    any_flag = a_rule({"field": "tag:has_kids", "operator": "null"})
    assert bitmaps.size(world.snapshot, any_flag, audience_of), "tags with few values are read before anybody asks"
    assert reads == []
    with pytest.raises(RuleError, match="no_such_tag"):
        bitmaps.size(world.snapshot, a_rule({"field": "tag:no_such_tag", "operator": "null"}), audience_of)
    monkeypatch.setattr(bitmaps, "BitMap", None)
    assert bitmaps.size(world.snapshot, definition, audience_of) is None


def test_what_cannot_be_read_is_left_to_sql(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Bitmaps(world.snapshot)

    def broken(self: Bitmaps, *rest: object) -> dict:
        raise duckdb.InterruptException("too long")

    monkeypatch.setattr(Bitmaps, "_arrays", broken)
    for _ in range(2):
        assert not found.has_all(a_rule(SEGMENT), audience_of)
        assert found.wait(30)
    assert found._unreadable == {("tag", "rfm_segment")}


def test_a_new_version_begins_anew(world: World, tmp_path: Path) -> None:
    first = bitmaps.bitmaps_of(world.snapshot)
    assert bitmaps.bitmaps_of(world.snapshot) is first
    other: Snapshot = replace(world.snapshot, name="20180101-00000000")
    second = bitmaps.bitmaps_of(other)
    assert second is not first
    assert bitmaps._current == {other.name: second}
    assert first.wait(30), "the thread of the version before ends"
    assert second.wait(60)


def test_the_published_enum_has_the_values_of_the_catalogue(world: World) -> None:
    """Codes are places in the enum; were they in another order, every count would be wrong."""
    found = Bitmaps(world.snapshot)
    assert len(found._enums) > 20
    for name, values in found._enums.items():
        assert values == world.snapshot.tags[name].values
