"""Person ids: the laws that hold whatever comes in, in whatever order, and wherever a run is killed."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugins.identity.identity_layer import MODELS, IdentityLayer, KilledError, components_of

DAY = date(2017, 6, 1)

IDENTIFIERS = list(range(1, 9))

quickly = settings(max_examples=10, deadline=None, print_blob=False)

some_edges = st.lists(st.tuples(st.sampled_from(IDENTIFIERS), st.sampled_from(IDENTIFIERS)), max_size=9)

some_identifiers = st.sets(st.sampled_from(IDENTIFIERS), min_size=1).map(sorted)


@st.composite
def partitions(draw: st.DrawFn) -> dict[int, int]:
    """Components over some of the identifiers: those left out are blocked, or were never seen."""
    identifiers = draw(some_identifiers)
    edges = [edge for edge in draw(some_edges) if set(edge) <= set(identifiers)]
    return components_of(edges, identifiers)


histories = st.lists(st.tuples(partitions(), st.integers(0, 2)), min_size=1, max_size=4)
"""Steps: components, and how many days after the step before."""


def days_of(history: list[tuple[dict[int, int], int]]) -> list[tuple[date, dict[int, int]]]:
    steps, day = [], DAY
    for components, days in history:
        day += timedelta(days=days)
        steps.append((day, components))
    return steps


def identifiers_by_person(identity_map: dict[int, int]) -> dict[int, set[int]]:
    persons = defaultdict(set)
    for identifier, person in identity_map.items():
        persons[person].add(identifier)
    return persons


def assert_certificate(layer: IdentityLayer) -> None:
    """What the data tests of the layer prove after each run."""
    open_rows = layer.rows(
        "select identifier_key, person_id from identity_mapping.identity_map_history where valid_to is null"
    )
    assert dict(open_rows) == layer.map()
    assert len(open_rows) == len(layer.map())
    logged = layer.rows(
        "select coalesce(sum(case when kind in ('create', 'split', 'revive') then 1 "
        "when kind in ('merge', 'retire') then -1 else 0 end), 0) from identity_mapping.identity_changes"
    )
    assert logged == [(len(set(layer.map().values())),)]
    anchors = dict(layer.rows("select person_id, anchor_key from identity_mapping.person_registry"))
    for person, identifiers in identifiers_by_person(layer.map()).items():
        assert anchors[person] in identifiers
    assert layer.rows("select count(*) - count(distinct person_id) from identity_mapping.person_registry") == [(0,)]


@pytest.mark.slow
@quickly
@given(histories)
def test_a_number_never_changes_hands(history):
    layer = IdentityLayer()
    ever = defaultdict(set)
    for day, components in days_of(history):
        identity_map = layer.build(day, components)
        assert components_of_map(identity_map) == components_of_map(components)
        for person, identifiers in identifiers_by_person(identity_map).items():
            assert not ever[person] or ever[person] & identifiers, f"person {person} has nothing of what it had"
            ever[person] |= identifiers
        assert_certificate(layer)
        assert layer.as_of(day) == identity_map


def components_of_map(identity_map: dict[int, int]) -> set[frozenset[int]]:
    return {frozenset(identifiers) for identifiers in identifiers_by_person(identity_map).values()}


@pytest.mark.slow
@quickly
@given(histories, st.integers(0, 3), st.sampled_from(MODELS))
def test_a_run_killed_anywhere_and_run_again_leaves_what_an_undisturbed_one_leaves(history, step, model):
    undisturbed, killed = IdentityLayer(), IdentityLayer()
    for number, (day, components) in enumerate(days_of(history)):
        undisturbed.build(day, components)
        if number == min(step, len(history) - 1):
            with pytest.raises(KilledError):
                killed.build(day, components, killed_after=model)
        killed.build(day, components)
        assert killed.map() == undisturbed.map()
        assert killed.state() == undisturbed.state()


@pytest.mark.slow
@quickly
@given(histories, partitions(), st.integers(0, 3), st.sampled_from(MODELS[:-1]))
def test_a_number_does_not_change_hands_when_other_rows_have_come_in_after_a_kill(history, other, step, model):
    layer = IdentityLayer()
    ever = defaultdict(set)
    for number, (day, components) in enumerate(days_of(history)):
        if number == step:
            with pytest.raises(KilledError):
                layer.build(day, other, killed_after=model)
        for person, identifiers in identifiers_by_person(layer.build(day, components)).items():
            assert not ever[person] or ever[person] & identifiers
            ever[person] |= identifiers
        assert_certificate(layer)


@pytest.mark.slow
@quickly
@given(histories)
def test_the_same_again_changes_nothing(history):
    layer = IdentityLayer()
    for day, components in days_of(history):
        identity_map = layer.build(day, components)
        state = layer.state()
        assert layer.build(day, components) == identity_map
        assert layer.build(day + timedelta(days=1), components) == identity_map
        assert layer.state() == state


@pytest.mark.slow
@quickly
@given(histories, st.data())
def test_a_past_day_changes_no_state_and_gives_no_number_away(history, data):
    layer = IdentityLayer()
    steps = days_of(history)
    maps = {day: layer.build(day, components) for day, components in steps}
    state = layer.state()
    last_change = max(
        day
        for (day,) in layer.rows(
            "select greatest(valid_from, coalesce(valid_to, valid_from)) from identity_mapping.identity_map_history"
        )
    )
    for day in {day for day in maps if day < last_change}:
        components = next(components for step_day, components in reversed(steps) if step_day == day)
        assert layer.build(day, components) == maps[day]
        assert layer.state() == state
    before_all = layer.build(DAY - timedelta(days=9), data.draw(partitions()))
    assert layer.state() == state
    known = {person for (person,) in layer.rows("select person_id from identity_mapping.person_registry")}
    held = identifiers_by_person(
        dict(layer.rows("select identifier_key, person_id from identity_mapping.identity_map_history"))
    )
    for person, identifiers in identifiers_by_person(before_all).items():
        if person > 0:
            assert person in known
            ever = {
                key
                for key, who in layer.rows(
                    "select identifier_key, person_id from identity_mapping.identity_map_history"
                )
                if who == person
            }
            assert ever & identifiers or not held[person]
    day, components = steps[-1]
    assert layer.build(day, components) == maps[day]
    assert layer.state() == state


@st.composite
def growing_graphs(draw: st.DrawFn) -> list[list[tuple[int, int]]]:
    """Edges that come in step by step, none of which goes away."""
    return draw(st.lists(some_edges, min_size=1, max_size=3))


@pytest.mark.slow
@quickly
@given(growing_graphs(), st.data())
def test_split_and_then_linked_again_is_as_before(graphs, data):
    layer, edges, day = IdentityLayer(), [], DAY
    for new_edges in graphs:
        edges += new_edges
        day += timedelta(days=1)
        linked = layer.build(day, components_of(edges, IDENTIFIERS))
        rejected = data.draw(st.sets(st.sampled_from(edges))) if edges else set()
        parted = components_of([edge for edge in edges if edge not in rejected], IDENTIFIERS)
        first = layer.build(day, parted)
        assert layer.build(day, components_of(edges, IDENTIFIERS)) == linked
        assert layer.build(day, parted) == first, "the parts come back under the numbers that they had"
        assert layer.build(day, components_of(edges, IDENTIFIERS)) == linked
        assert_certificate(layer)


@pytest.mark.slow
@quickly
@given(some_edges, st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_change_who_is_one_person(edges, random):
    at_once = IdentityLayer().build(DAY, components_of(edges, IDENTIFIERS))
    layer, shuffled = IdentityLayer(), list(edges)
    random.shuffle(shuffled)
    last = layer.build(DAY, components_of([], IDENTIFIERS))
    for number in range(0, len(shuffled) + 1, 3):
        last = layer.build(DAY + timedelta(days=number), components_of(shuffled[: number + 3], IDENTIFIERS))
    assert components_of_map(last) == components_of_map(at_once)


def test_the_older_person_survives_and_the_log_names_the_edge():
    layer = IdentityLayer()
    assert layer.build(DAY, {1: 1, 2: 2, 6: 2}, edges={(2, 6): None}) == {1: 1, 2: 2, 6: 2}
    day = DAY + timedelta(days=1)
    edges = {(2, 6): None, (1, 6): None, (1, 2): None}
    assert layer.build(day, {1: 1, 2: 1, 6: 1}, edges=edges) == {1: 1, 2: 1, 6: 1}
    assert layer.rows(
        "select run_number, kind, person_id, other_person_id, identifiers, left_key, right_key, because "
        "from identity_mapping.identity_changes order by all"
    ) == [
        (1, "create", 1, None, 1, None, None, "first seen"),
        (1, "create", 2, None, 2, None, None, "first seen"),
        (2, "merge", 1, 2, 2, 1, 2, "seen together"),
    ]


def test_a_merge_through_a_new_identifier_names_the_edge_that_reached_the_person():
    layer = IdentityLayer()
    layer.build(DAY, {1: 1, 2: 2})
    layer.build(DAY, {1: 1, 2: 1, 3: 1}, edges={(1, 3): None, (2, 3): None})
    query = "select kind, left_key, right_key from identity_mapping.identity_changes where run_number = 2"
    assert layer.rows(query) == [("merge", 2, 3)]


def test_a_split_names_the_rejected_edge_and_its_reason():
    layer = IdentityLayer()
    layer.build(DAY, {1: 1, 2: 1, 4: 1}, edges={(1, 4): None, (2, 4): None})
    assert layer.build(DAY, {1: 1, 4: 1, 2: 2}, edges={(1, 4): None, (2, 4): "recycled"}) == {1: 1, 4: 1, 2: 2}
    query = (
        "select kind, person_id, other_person_id, left_key, right_key, because "
        "from identity_mapping.identity_changes where run_number = 2"
    )
    assert layer.rows(query) == [("split", 2, 1, 2, 4, "recycled")]


def test_a_split_by_a_blocked_bridge_names_an_edge_to_the_bridge():
    layer = IdentityLayer()
    layer.build(DAY, {1: 1, 3: 1, 5: 1}, edges={(1, 3): None, (3, 5): None})
    layer.build(DAY, {1: 1, 5: 5}, edges={(1, 3): "shared identifier", (3, 5): "shared identifier"})
    query = (
        "select kind, person_id, other_person_id, left_key, right_key, because "
        "from identity_mapping.identity_changes where run_number = 2"
    )
    assert layer.rows(query) == [("split", 2, 1, 3, 5, "shared identifier")]


def test_somebody_without_any_identifier_left_retires_and_comes_back():
    layer = IdentityLayer()
    layer.build(DAY, {1: 1, 2: 2})
    assert layer.build(DAY, {1: 1}) == {1: 1}
    assert layer.build(DAY, {1: 1, 3: 3}) == {1: 1, 3: 3}
    assert layer.build(DAY, {1: 1, 2: 2, 3: 3}) == {1: 1, 2: 2, 3: 3}
    query = "select kind, person_id, because from identity_mapping.identity_changes where run_number > 1 order by all"
    assert layer.rows(query) == [
        ("create", 3, "first seen"),
        ("retire", 2, "no identifier left"),
        ("revive", 2, "seen again"),
    ]


def test_an_identifier_that_goes_from_one_person_to_another_is_logged():
    layer = IdentityLayer()
    layer.build(DAY, {1: 1, 3: 1, 2: 2}, edges={(1, 3): None})
    layer.build(DAY, {1: 1, 2: 2, 3: 2}, edges={(1, 3): "recycled", (2, 3): None})
    query = (
        "select kind, person_id, other_person_id, identifiers, left_key, right_key, because "
        "from identity_mapping.identity_changes where run_number = 2"
    )
    assert layer.rows(query) == [("reassign", 2, 1, 1, 2, 3, "seen together")]


def test_changes_of_one_day_leave_rows_of_no_length():
    layer = IdentityLayer()
    layer.build(DAY, {1: 1, 2: 2})
    layer.build(DAY, {1: 1, 2: 1})
    assert layer.rows(
        "select identifier_key, person_id, valid_from, valid_to from identity_mapping.identity_map_history order by all"
    ) == [
        (1, 1, DAY, None),
        (2, 1, DAY, None),
        (2, 2, DAY, DAY),
    ]
    assert layer.as_of(DAY) == {1: 1, 2: 1}
    assert layer.as_of(DAY - timedelta(days=1)) == {}
