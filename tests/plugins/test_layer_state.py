"""Layer state: a layer counts as done for just these inputs, and an update is never taken for a full build."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import duckdb
import pytest
from tagloom import layer_state
from tagloom.transform import LAYERS

DAY, NEXT_DAY = date(2017, 12, 30), date(2017, 12, 31)


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        connection.execute(
            """
            create schema operations;
            create table operations.landing_log (
                source varchar, table_name varchar, first_day date, end_day date, status varchar, fingerprint varchar,
                logged_at timestamp
            );
            create schema raw_web;
            create table raw_web.events as select timestamp '2026-11-22 01:00:00' as _landed_at;
            create view raw_web.accounts as select cast(null as timestamp) as _landed_at where false;
            """
        )
        yield connection


def build(connection, settings, day: date) -> str:
    fingerprint = layer_state.inputs_fingerprint(connection, settings, day)
    for layer in LAYERS:
        layer_state.begin(connection, layer)
        layer_state.finish(connection, layer, fingerprint, day)
    return fingerprint


def test_the_first_half_of_a_fingerprint_is_what_values_mean(connection, settings):
    one, other_day = (layer_state.inputs_fingerprint(connection, settings, day) for day in (DAY, NEXT_DAY))
    elsewhere = layer_state.inputs_fingerprint(connection, replace(settings, time_zone="Asia/Shanghai"), DAY)
    assert one.split("-")[0] == other_day.split("-")[0] == layer_state.definitions_fingerprint(settings)
    assert one.split("-")[1] != other_day.split("-")[1]
    assert elsewhere.split("-")[0] != one.split("-")[0]


def test_what_lands_changes_the_second_half(connection, settings):
    before = layer_state.inputs_fingerprint(connection, settings, DAY)
    connection.execute("insert into operations.landing_log (source, status) values ('web', 'landed')")
    after = layer_state.inputs_fingerprint(connection, settings, DAY)
    assert (before.split("-")[0], before != after) == (after.split("-")[0], True)


def test_after_an_update_no_layer_is_current_but_its_definitions_and_day_are_known(connection, settings):
    fingerprint = build(connection, settings, DAY)
    assert all(layer_state.is_current(connection, layer, fingerprint) for layer in LAYERS)
    layer_state.note_update(connection)
    layer_state.note_update(connection, "identity_mapping", NEXT_DAY)
    assert not any(layer_state.is_current(connection, layer, fingerprint) for layer in LAYERS)
    definitions = layer_state.definitions_fingerprint(settings)
    assert layer_state.last_build(connection) == {
        layer: (definitions, NEXT_DAY if layer == "identity_mapping" else DAY) for layer in LAYERS
    }


def test_identity_mapping_notes_which_rows_the_build_reaches(connection, settings):
    build(connection, settings, DAY)
    connection.execute("insert into operations.update_state values ('gone', 'table', timestamp '2026-11-22', null)")
    connection.execute("insert into raw_web.events values (timestamp '2026-11-22 02:00:00')")
    connection.execute("create table operations.identity_before (person_id bigint)")
    layer_state.begin(connection, "intermediate")
    assert len(connection.execute("from operations.update_state").fetchall()) == 3
    layer_state.begin(connection, "identity_mapping")
    assert connection.execute("from operations.update_state order by all").fetchall() == [
        ("web", "accounts", None, None),
        ("web", "events", datetime(2026, 11, 22, 2), None),
    ]
    assert not connection.execute("from duckdb_tables() where table_name = 'identity_before'").fetchall()
    assert set(layer_state.last_build(connection)) == {"staging"}


def test_a_whole_checked_version_of_the_day_is_published(connection, settings):
    build(connection, settings, DAY)
    assert layer_state.reasons_not_to_publish(connection, DAY) == []


def test_nothing_else_is(connection, settings):
    assert layer_state.reasons_not_to_publish(connection, DAY) == [
        f"Not built, or not checked, since something below changed: {', '.join(LAYERS)}."
    ]
    build(connection, settings, DAY)
    assert [f"The tables of {layer} are of {DAY}, not of {NEXT_DAY}." for layer in LAYERS] == (
        layer_state.reasons_not_to_publish(connection, NEXT_DAY)
    )
    layer_state.begin(connection, "tag_integration")
    (reason,) = layer_state.reasons_not_to_publish(connection, DAY)
    assert reason.endswith("tag_integration, serving.")


def test_identity_mapping_may_have_been_taken_on_by_an_update(connection, settings):
    build(connection, settings, DAY)
    layer_state.note_update(connection, "identity_mapping", NEXT_DAY)
    assert layer_state.reasons_not_to_publish(connection, DAY) == []
    layer_state.note_update(connection, "identity_mapping", date(2017, 12, 29))
    assert layer_state.reasons_not_to_publish(connection, DAY) != []


def test_failed_checks_are_known_until_they_pass(connection, settings):
    build(connection, settings, DAY)
    for _ in range(2):
        layer_state.note_checks(connection, "landing", DAY, "run-7", passed=False)
    (failed,) = layer_state.failed_checks(connection)
    assert failed == f"Checks of landing for {DAY} have failed in run run-7 and not passed since."
    assert layer_state.reasons_not_to_publish(connection, DAY) == [failed]
    layer_state.note_checks(connection, "intermediate", DAY, "run-8", passed=True)
    assert len(layer_state.failed_checks(connection)) == 1
    layer_state.note_checks(connection, "landing", DAY, "run-8", passed=True)
    assert layer_state.failed_checks(connection) == []
