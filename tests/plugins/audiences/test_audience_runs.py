"""Members of saved audiences per published version: who they are, who entered and left, twice and after a kill."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing import get_context

import duckdb
import pytest
from sqlalchemy.orm import Session
from tagloom.audiences import library, runs
from tagloom.audiences.library import SavedAudience
from tagloom.portal.serving import Serving, Snapshot
from tagloom.portal.store.audiences import AudienceRun
from tagloom.portal.store.base import open_store
from tagloom.settings import Settings

from tests.plugins.audiences.conftest import PERSONS, a_definition, has


@pytest.fixture
def apps(store: Session) -> SavedAudience:
    saved = library.save(store, a_definition(has("has_app"), holdout_percent=20), "Apps", by="ana")
    store.commit()
    return saved


def members(settings: Settings, run: AudienceRun) -> list[tuple]:
    file = runs.members_file(settings, run)
    return duckdb.execute("select person_id, part, is_held_out from read_parquet(?)", [str(file)]).fetchall()


def persons_with(snapshot: Snapshot, condition: str) -> set[int]:
    rows = snapshot.rows(f"select person_id from tag_integration.person_tags where {condition}")
    return {row["person_id"] for row in rows}


def test_members_are_those_of_the_published_version(home: Settings, snapshot: Snapshot, apps: SavedAudience) -> None:
    run, is_new = runs.materialise(home, snapshot, apps.id)
    found = members(home, run)
    assert is_new
    assert {person for person, _, _ in found} == persons_with(snapshot, "has_app")
    assert [person for person, _, _ in found] == sorted(person for person, _, _ in found)
    assert (run.size, run.entered, run.stayed, run.left_count) == (len(found), len(found), 0, 0)
    assert (run.published_version, run.as_of_date) == (snapshot.name, snapshot.as_of_date)
    held_out = sum(held for _, _, held in found) / len(found)
    assert 0.1 < held_out < 0.3


def test_a_second_time_changes_nothing(home: Settings, snapshot: Snapshot, apps: SavedAudience, store: Session) -> None:
    run, _ = runs.materialise(home, snapshot, apps.id)
    written = runs.members_file(home, run).stat().st_mtime_ns
    again, is_new = runs.materialise(home, snapshot, apps.id)
    assert not is_new
    assert again.id == run.id
    assert runs.members_file(home, run).stat().st_mtime_ns == written
    assert len(library.runs(store, apps.id)) == 1


def test_who_entered_stayed_and_left(home: Settings, snapshot: Snapshot, apps: SavedAudience, publish_second) -> None:
    before = persons_with(snapshot, "has_app")
    runs.materialise(home, snapshot, apps.id)
    newer = publish_second()
    assert newer.name != snapshot.name
    run, _ = runs.materialise(home, newer, apps.id)
    after = persons_with(newer, "has_app")
    assert (run.size, run.entered) == (len(after), len(after - before))
    assert (run.stayed, run.left_count) == (len(after & before), len(before - after))
    assert run.entered
    assert run.left_count


def test_a_changed_definition_is_compared_with_what_it_was(
    home: Settings, snapshot: Snapshot, apps: SavedAudience, store: Session
) -> None:
    first, _ = runs.materialise(home, snapshot, apps.id)
    changed = a_definition(has("has_app"), has("has_web_account"))
    library.save(store, changed, "Apps", by="ana", audience_id=apps.id)
    store.commit()
    run, is_new = runs.materialise(home, snapshot, apps.id)
    assert is_new
    assert (run.version_number, run.entered, run.left_count) == (2, 0, first.size - run.size)
    assert run.left_count > 0


def test_a_version_that_comes_back_is_compared_with_the_one_before(
    home: Settings, snapshot: Snapshot, apps: SavedAudience, publish_second
) -> None:
    first, _ = runs.materialise(home, snapshot, apps.id)
    second, _ = runs.materialise(home, publish_second(), apps.id)
    third, is_new = runs.materialise(home, snapshot, apps.id)
    assert is_new
    assert (third.size, third.stayed) == (first.size, second.stayed)
    assert (third.entered, third.left_count) == (second.left_count, second.entered)


def test_a_file_that_is_gone_is_written_again_into_the_same_run(
    home: Settings, snapshot: Snapshot, apps: SavedAudience, store: Session, publish_second
) -> None:
    runs.materialise(home, snapshot, apps.id)
    newer = publish_second()
    run, _ = runs.materialise(home, newer, apps.id)
    runs.members_file(home, run).unlink()
    again, is_new = runs.materialise(home, newer, apps.id)
    assert is_new
    assert (again.id, again.size, again.entered, again.left_count) == (run.id, run.size, run.entered, run.left_count)
    assert len(members(home, again)) == run.size


def test_one_that_cannot_be_worked_out_does_not_stop_the_others(
    home: Settings, snapshot: Snapshot, store: Session
) -> None:
    broken = library.save(store, a_definition(has("was_a_tag_once")), "Old", by="ana")
    library.save(store, a_definition(), "Everybody", by="ana")
    store.commit()
    everybody, old = sorted(runs.materialise_all(home, snapshot), key=lambda done: done.audience.name)
    assert everybody.run.size == PERSONS
    assert old.run is None
    assert old.problem.startswith("Audience Old: rule.rules[0].field: there is no tag was_a_tag_once")
    assert library.runs(store, broken.id) == []


def test_the_audiences_of_a_person(home: Settings, snapshot: Snapshot, store: Session, apps: SavedAudience) -> None:
    library.save(store, a_definition(), "Everybody", by="ana")
    store.commit()
    runs.materialise_all(home, snapshot)
    inside, outside = min(persons_with(snapshot, "has_app")), min(persons_with(snapshot, "not has_app"))
    everybody = {run.audience_id for run in runs.audiences_of_person(home, outside)}
    assert {run.audience_id for run in runs.audiences_of_person(home, inside)} == everybody | {apps.id}
    assert apps.id not in everybody


def _materialise_again_and_again(settings: Settings) -> None:
    snapshot = Serving(settings).snapshot()
    while True:
        for done in runs.materialise_all(settings, snapshot):
            runs.members_file(settings, done.run).unlink()
            (settings.home / "done_once").touch()


def test_it_may_be_killed_at_any_moment(home: Settings, snapshot: Snapshot, apps: SavedAudience) -> None:
    for milliseconds in (5, 20, 45):
        process = get_context("fork").Process(target=_materialise_again_and_again, args=(home,))
        process.start()
        begun = home.home / "done_once"
        while not begun.exists():
            assert process.is_alive()
            time.sleep(0.01)
        begun.unlink()
        time.sleep(milliseconds / 1_000)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    run, _ = runs.materialise(home, snapshot, apps.id)
    assert {person for person, _, _ in members(home, run)} == persons_with(snapshot, "has_app")
    with open_store(home).session() as store:
        assert len(library.runs(store, apps.id)) == 1


def test_old_files_go_and_those_in_use_stay(
    home: Settings, snapshot: Snapshot, apps: SavedAudience, publish_second
) -> None:
    first, _ = runs.materialise(home, snapshot, apps.id)
    folder = runs.members_file(home, first).parent
    old = folder / "20170101-00000000-1.parquet"
    old.write_bytes(b"")
    for file in (old, runs.members_file(home, first)):
        os.utime(file, (0, 0))
    second, _ = runs.materialise(home, publish_second(), apps.id)
    left = {file.name for file in folder.glob("*.parquet")}
    assert left == {runs.members_file(home, run).name for run in (first, second)}
