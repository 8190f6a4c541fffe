"""A copy of the warehouse is made without writing the warehouse, and its folder is gone afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import duckdb
import pytest
from tagloom import scratch
from tagloom.scratch import ScratchError, StopWatch, copy_warehouse, scratch_folder
from tagloom.warehouse import WarehouseBusyError, open_warehouse

PREFIX = ".trial-"


def test_the_folder_is_gone_afterwards(tmp_path):
    with scratch_folder(tmp_path, PREFIX) as folder:
        (folder / "file").write_text("x", encoding="utf-8")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", [KeyboardInterrupt, ValueError])
def test_the_folder_is_gone_when_something_happens(tmp_path, end):
    with pytest.raises(end), scratch_folder(tmp_path, PREFIX):
        raise end
    assert list(tmp_path.iterdir()) == []


def test_termination_ends_it_like_ctrl_c(tmp_path):
    with pytest.raises(KeyboardInterrupt), scratch_folder(tmp_path, PREFIX):
        os.kill(os.getpid(), signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def test_what_the_dead_left_is_removed_and_the_living_are_left_alone(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as living:
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        for process in (living, dead):
            (tmp_path / f"{PREFIX}{process.pid}").mkdir()
        with scratch_folder(tmp_path, PREFIX) as folder:
            assert sorted(tmp_path.iterdir()) == sorted([folder, tmp_path / f"{PREFIX}{living.pid}"])
        living.stdin.close()


def test_a_copy_has_what_a_killed_process_had_committed(settings, tmp_path):
    code = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('create table t as select 7 as x'); "
        "c.execute('set checkpoint_threshold = \\'1TB\\''); c.execute('insert into t values (8)'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(settings.warehouse)], check=False)
    assert settings.warehouse.with_name("warehouse.duckdb.wal").exists()
    before = settings.warehouse.read_bytes()
    copy_warehouse(settings, tmp_path / "warehouse.duckdb")
    assert settings.warehouse.read_bytes() == before
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        assert connection.execute("from t order by x").fetchall() == [(7,), (8,)]


def test_without_a_warehouse_there_is_nothing_to_copy(settings, tmp_path):
    with pytest.raises(ScratchError, match="Nothing is built yet"):
        copy_warehouse(settings, tmp_path / "warehouse.duckdb")


def test_a_copy_that_does_not_fit_is_not_begun(settings, tmp_path, monkeypatch):
    with open_warehouse(settings):
        pass
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _path: type("Usage", (), {"free": 1})())
    with pytest.raises(ScratchError, match="The copy needs about"):
        copy_warehouse(settings, tmp_path / "warehouse.duckdb")


def test_a_warehouse_that_is_written_is_not_copied(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("tagloom.warehouse.LOCK_WAIT_SECONDS", 0)
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(settings.warehouse)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout.readline() == b"open\n"
        with pytest.raises(WarehouseBusyError, match="Try again when it is done"):
            copy_warehouse(settings, tmp_path / "warehouse.duckdb")
        writer.stdin.close()
    assert not (tmp_path / "warehouse.duckdb").exists()


def test_a_stop_watch_says_how_long_each_step_took():
    said = []
    watch = StopWatch(said.append)
    watch.lap("copied")
    assert said[0].endswith("s] copied")
