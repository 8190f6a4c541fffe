"""A simulation says what another policy or decisions would change, and leaves no trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date

import duckdb
import pytest
from tagloom import layer_state
from tagloom.identity import simulate as simulation
from tagloom.identity.decisions import DecisionError, live_decisions
from tagloom.identity.differences import Change, Persons, Simulation, compare_persons, compare_tags
from tagloom.identity.identifiers import IdentifierError
from tagloom.identity.policy import load_policy
from tagloom.identity.simulate import FOLDER, SimulationError, simulate
from tagloom.identity.simulation_report import report
from tagloom.transform import LAYERS
from tagloom.warehouse import WarehouseBusyError, open_warehouse

from tests.plugins.identity.people import Edge, make_people

DAY = date(2017, 1, 11)


@pytest.fixture
def two_maps():
    """before.identity_map and identity_mapping.identity_map, to be filled."""
    with duckdb.connect() as connection:
        for schema in ("before", "identity_mapping"):
            connection.execute(f"create schema {schema}")
            connection.execute(f"create table {schema}.identity_map (identifier_key bigint, person_id bigint)")
        yield connection


def fill(connection, schema, persons):
    rows = [(key, person) for person, keys in persons.items() for key in keys]
    connection.executemany(f"insert into {schema}.identity_map values (?, ?)", rows)


def test_persons_are_compared_by_their_identifiers(two_maps):
    fill(two_maps, "before", {1: [1, 2], 2: [3], 3: [4, 5, 6], 4: [7], 5: [8], 6: [9]})
    # 1 and 2 are merged, 3 falls into three, 4 is gone, 5 has another number, 6 stays, 20 is new.
    fill(two_maps, "identity_mapping", {1: [1, 2, 3], 3: [4], 7: [5], 8: [6], 9: [8], 6: [9], 20: [10]})
    assert compare_persons(two_maps) == Persons(
        before=6,
        after=7,
        merged=2,
        merged_into=1,
        split=1,
        split_into=3,
        gone=1,
        new=1,
        moved_identifiers=6,
    )


def test_the_same_persons_do_not_differ(two_maps):
    for schema in ("before", "identity_mapping"):
        fill(two_maps, schema, {1: [1, 2], 2: [3]})
    assert compare_persons(two_maps) == Persons(2, 2, 0, 0, 0, 0, 0, 0, 0)


def test_tags_are_counted_over_persons_that_are_there_before_and_after():
    with duckdb.connect() as connection:
        connection.execute("create schema before; create schema tag_integration")
        connection.execute(
            "create table before.person_tags as from (values (1, 'a', 5, true), (2, null, 5, true), (3, 'c', 5, true)) "
            "as t (person_id, stage, visits, gone_tag)"
        )
        connection.execute(
            "create table tag_integration.person_tags as from (values (1, 'b', 5, 0), (2, 'b', 6, 0), (4, 'd', 7, 0)) "
            "as t (person_id, stage, visits, new_tag)"
        )
        assert compare_tags(connection) == (("stage", 2), ("visits", 1))


FOUND = Simulation(
    as_of_date=DAY,
    policy_before="aaa",
    policy_after="bbb",
    persons=Persons(1200, 1199, 2, 1, 0, 0, 0, 0, 3),
    examples=(("merge person 7 and 9, 3 identifiers", "email key:4 (12345678…)", "linked"),),
    tags=tuple((f"tag_{number:02}", 40 - number) for number in range(20)),
    audiences=(Change("dormant", 38, 37, entered=0, left=1),),
    metrics=(Change("over_merge_rate", 0.25, 0.125), Change("persons", 1200, 1199), Change("rare", None, 1)),
)


def test_the_report_names_both_policies_and_every_difference():
    text = report(FOUND)
    assert text.startswith("Policy aaa -> bbb for 2017-01-11. Nothing was changed.")
    lines = {" ".join(line.split()) for line in text.splitlines()}
    assert lines >= {
        "before 1,200",
        "merged (into 1) 2",
        "merge person 7 and 9, 3 identifiers email key:4 (12345678…) linked",
        "dormant 38 37 0 1",
        "over_merge_rate 0.2500 0.1250",
        "persons 1,200 1,199",
        "rare - 1",
        "5 more tags change.",
    }


def test_the_report_says_when_nothing_changes_or_was_not_compared():
    assert "No tag of a person" in report(replace(FOUND, tags=()))
    only_identity = report(replace(FOUND, tags=None, audiences=None, policy_after="aaa"))
    assert "tag" not in only_identity
    assert "audience" not in only_identity
    assert "Policy aaa, with the decisions tried, for" in only_identity


@pytest.fixture
def people():
    with duckdb.connect() as connection:
        kinds = {1: "loyalty_card", 2: "email", 3: "phone", 4: "loyalty_card"}
        make_people(connection, kinds, [Edge(1, 2), Edge(2, 3)])
        yield connection


def try_lines(people, tmp_path, *lines):
    file = tmp_path / "try.txt"
    file.write_text("\n".join(lines), encoding="utf-8")
    simulation._try_decisions(people, file, load_policy())
    return [(one.kind, one.batch_id) for one in live_decisions(people)]


def test_decisions_to_try_are_written_as_on_the_command_line(people, tmp_path):
    assert try_lines(
        people,
        tmp_path,
        "# first the cards",
        "link loyalty_card:1 loyalty_card:4",
        "",
        'never-link "phone:+1 612 555 0003" key:4  # a family',
        "withdraw 2",
        "split person:10 key:3",
    ) == [("link", 1), ("never_link", 3)]


@pytest.mark.parametrize(
    ("line", "error", "sentence"),
    [
        ("link key:1", DecisionError, "try.txt, line 2: Write link A B"),
        ("marry key:1 key:2", DecisionError, "try.txt, line 2: Write link A B"),
        ("block key:99", IdentifierError, "try.txt, line 2: No identifier has the number 99"),
        ("withdraw 9", DecisionError, "try.txt, line 2: There is no batch 9"),
    ],
)
def test_a_line_that_cannot_be_tried_is_named(people, tmp_path, line, error, sentence):
    with pytest.raises(error) as refusal:
        try_lines(people, tmp_path, "block key:3", line)
    assert sentence in str(refusal.value)


def folders(settings):
    return [path.name for path in settings.home.glob(f"{FOLDER}*")]


def test_before_the_first_build_there_is_nothing_to_try(settings):
    with pytest.raises(SimulationError, match="Nothing is built yet"):
        simulate(settings, load_policy())
    assert folders(settings) == []


def finish_layers(settings, layers):
    with open_warehouse(settings) as connection:
        layer_state.begin(connection, LAYERS[0])
        for layer in layers:
            layer_state.finish(connection, layer, "definitions-inputs", DAY)


def test_half_a_build_is_no_ground_to_compare_with(settings):
    finish_layers(settings, LAYERS[:2])
    with pytest.raises(SimulationError, match=r"No build is finished .*serving missing"):
        simulate(settings, load_policy())
    assert folders(settings) == []


def test_a_busy_warehouse_is_left_alone(settings, monkeypatch):
    finish_layers(settings, LAYERS)
    monkeypatch.setattr("tagloom.warehouse.LOCK_WAIT_SECONDS", 0)
    holder = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()",
            str(settings.warehouse),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(WarehouseBusyError, match="is open in another process"):
            simulate(settings, load_policy())
    finally:
        holder.communicate()
    assert folders(settings) == []


def test_a_policy_without_a_type_that_sources_deliver_is_refused(settings):
    policy = load_policy()
    types = {name: rules for name, rules in policy.identifier_types.items() if name != "device_mac"}
    with pytest.raises(SimulationError, match="does not know device_mac"):
        simulate(settings, policy.model_copy(update={"identifier_types": types}))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_simulation_that_is_stopped_leaves_nothing(settings, monkeypatch, number):
    finish_layers(settings, LAYERS)
    seen = []

    def stop(copy, *_arguments, **_options):
        seen.extend(path.name for path in copy.home.iterdir())
        os.kill(os.getpid(), number)
        time.sleep(10)
        raise AssertionError("the signal was not heard")

    monkeypatch.setattr(simulation, "run_dbt", stop)
    # A shell starts what it puts into the background with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            simulate(settings, load_policy())
    finally:
        signal.signal(signal.SIGINT, before)
    assert "warehouse.duckdb" in seen
    assert folders(settings) == []


def test_what_a_killed_simulation_left_is_removed_by_the_next(settings, monkeypatch):
    process = os.fork()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)
    for owner in (process, os.getppid()):
        (settings.home / f"{FOLDER}{owner}").mkdir()
    with pytest.raises(SimulationError):
        simulate(settings, load_policy())
    assert folders(settings) == [f"{FOLDER}{os.getppid()}"], "the folder of one that is still running was taken away"


def test_the_original_is_only_read(settings, monkeypatch):
    finish_layers(settings, LAYERS)
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("checkpoint")
    before = settings.warehouse.read_bytes()
    monkeypatch.setattr(simulation, "run_dbt", lambda *_arguments, **_options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        simulate(settings, load_policy())
    assert settings.warehouse.read_bytes() == before
