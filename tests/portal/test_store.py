"""Migrations: from nothing, twice, at the same moment, killed in the middle, and just what the models say."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from tagloom.portal.store import audit, tables
from tagloom.portal.store.base import Base, Moment, Store, database_url, open_store, store_exists
from tagloom.portal.store.tables import VERSION_TABLE
from tagloom.settings import Settings, SettingsError

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"sqlite:///{tmp_path / 'portal.sqlite'}")


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an empty PostgreSQL database, in a cluster of its own that only a socket leads to."""
    if not POSTGRES or not shutil.which("runuser"):
        pytest.skip("PostgreSQL is not installed")
    folder = tmp_path_factory.mktemp("postgres")
    cluster, user = folder / "cluster", []
    if os.getuid() == 0:
        # It refuses to run as root.
        for place in (folder, *folder.parents):
            if place.is_relative_to("/tmp") and place != Path("/tmp"):
                place.chmod(0o755)
        shutil.chown(folder, "postgres")
        user = ["runuser", "-u", "postgres", "--"]
    binaries = POSTGRES[-1]
    run = {"check": True, "capture_output": True, "cwd": folder}
    subprocess.run([*user, binaries / "initdb", "-D", cluster, "-U", "tagloom", "--auth=trust", "--no-sync"], **run)
    control = [*user, binaries / "pg_ctl", "-D", cluster, "-w"]
    options = f"-c listen_addresses='' -k {folder} -c fsync=off"
    subprocess.run([*control, "-l", folder / "log", "-o", options, "start"], **run)
    yield f"postgresql://tagloom@/postgres?host={folder}"
    stopped = subprocess.run(
        [*control, "-m", "immediate", "stop"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert stopped.returncode == 0, stopped.stderr


def _tables(store: Store) -> set[str]:
    return set(inspect(store.engine).get_table_names())


def _difference(store: Store) -> list[object]:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        return list(compare_metadata(context, Base.metadata))


def test_an_empty_database_gets_every_table(store: Store) -> None:
    store.upgrade()

    assert _tables(store) == {*Base.metadata.tables, VERSION_TABLE}


def test_migrations_make_what_the_models_say(store: Store) -> None:
    store.upgrade()

    assert _difference(store) == [], "write a migration: python -m tagloom.portal.store.new_migration '...'"


def test_a_second_start_changes_nothing(store: Store) -> None:
    store.upgrade()
    with store.transaction() as session:
        audit.record(session, "ada", "admin", "looked", "person:1")

    Store(store.url).upgrade()

    with Store(store.url).session() as session:
        assert [entry.user_name for entry in audit.entries(session)] == ["ada"]


def test_those_who_start_at_the_same_moment_wait_for_each_other(store: Store) -> None:
    problems: list[BaseException] = []

    def start() -> None:
        try:
            Store(store.url).upgrade()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert _difference(store) == []


def test_one_that_is_killed_leaves_nothing_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*arguments: object) -> None:
        real(*arguments)
        raise KeyboardInterrupt

    real = tables.command.upgrade
    monkeypatch.setattr(tables.command, "upgrade", killed)
    with pytest.raises(KeyboardInterrupt):
        store.upgrade()
    assert _tables(store) <= {VERSION_TABLE}

    monkeypatch.undo()
    store.upgrade()
    assert _difference(store) == []


def test_a_database_of_a_newer_tagloom_is_left_alone(store: Store) -> None:
    store.upgrade()
    with store.engine.begin() as connection:
        connection.execute(text(f"update {VERSION_TABLE} set version_num = '9999'"))

    with pytest.raises(RuntimeError, match="version 9999, which this Tagloom does not know"):
        Store(store.url).upgrade()


def test_postgres_gets_the_same_tables(postgres: str) -> None:
    store = Store(postgres)
    store.upgrade()
    Store(postgres).upgrade()

    assert _difference(store) == []
    with store.transaction() as session:
        audit.record(session, "ada", "admin", "looked", "person:1")
    with store.session() as session:
        found = audit.entries(session, "ada")
        assert found[0].at.tzinfo is UTC
    store.engine.dispose()


def test_a_moment_keeps_its_time_zone(store: Store) -> None:
    moment = datetime(2017, 12, 31, 5, tzinfo=UTC)
    kind = Moment()
    dialect = store.engine.dialect

    assert kind.process_result_value(kind.process_bind_param(moment, dialect), dialect) == moment
    with pytest.raises(ValueError, match="time zone"):
        kind.process_bind_param(datetime(2017, 12, 31), dialect)


def test_looking_does_not_make_the_file(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAGLOOM_PORTAL_DATABASE", raising=False)

    assert not store_exists(settings)
    open_store(settings)
    assert not store_exists(settings)
    open_store(settings).upgrade()
    assert store_exists(settings)


@pytest.mark.parametrize("address", ["what is this", "oracle://x", "mysql+nodriver://x/y"])
def test_a_wrong_address_is_told_without_it(settings: Settings, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("TAGLOOM_PORTAL_DATABASE", address)
    assert database_url(settings) == address

    with pytest.raises(SettingsError, match="TAGLOOM_PORTAL_DATABASE") as refused:
        open_store(settings)
    assert address not in str(refused.value)
