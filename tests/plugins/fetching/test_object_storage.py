"""Files of a store are copied once, again when they change, and go when they are taken back."""

from __future__ import annotations

import errno
import os
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import known_implementations
from tagloom.fetching import object_storage
from tagloom.fetching.fetch import ConnectionDetails, FetchError, fetch_table
from tagloom.sources import Source

from tests.plugins.fetching.visits import source_of_visits

DAY = date(2024, 3, 10)


def source_of(url: str, connection: str | None = None) -> Source:
    """A source of one table, `visits`, of an object store."""
    reader = {"kind": "object_storage", "url": url, "connection": connection, "format": "csv"}
    return source_of_visits(reader, grain="event")


def fetch(url: str, landing: Path, days: int = 1, connection: ConnectionDetails | None = None) -> dict[str, bytes]:
    """Fetch the days from DAY on; path below the table's folder -> content."""
    source = source_of(url, connection.connection_id if connection else None)
    paths = fetch_table(source, source.tables[0], DAY, DAY + timedelta(days=days), landing, connection)
    return {str(path.relative_to(landing / "shop" / "visits")): path.read_bytes() for path in paths}


def landed(landing: Path) -> set[str]:
    """Every file in the landing zone that could be taken for a delivery."""
    return {
        str(path.relative_to(landing / "shop" / "visits"))
        for path in (landing / "shop" / "visits").rglob("*")
        if path.is_file()
    }


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    """An empty store in memory."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, memory: MemoryFileSystem) -> tuple[object, str]:
    """An empty store, and the address that its paths begin with."""
    if request.param == "memory":
        return memory, "memory://bucket"
    (tmp_path / "store").mkdir()
    return LocalFileSystem(auto_mkdir=True), f"file://{tmp_path}/store"


def test_files_of_each_day_are_copied(store, tmp_path: Path) -> None:
    system, root = store
    system.pipe_file(f"{root}/2024-03-10/a.csv", b"id\n1\n")
    system.pipe_file(f"{root}/2024-03-10/b.csv", b"id\n2\n")
    system.pipe_file(f"{root}/2024-03-10/readme.txt", b"no")
    system.pipe_file(f"{root}/2024-03-11/a.csv", b"id\n3\n")
    system.pipe_file(f"{root}/2024-03-12/a.csv", b"id\n4\n")
    found = fetch(f"{root}/{{date}}/*.csv", tmp_path / "landing", days=2)
    assert found == {
        "2024-03-10/a.csv": b"id\n1\n",
        "2024-03-10/b.csv": b"id\n2\n",
        "2024-03-11/a.csv": b"id\n3\n",
    }
    assert landed(tmp_path / "landing") == set(found)


def test_only_what_changed_is_copied_again(store, tmp_path: Path, monkeypatch) -> None:
    system, root = store
    url, landing = f"{root}/{{date}}/*.csv", tmp_path / "landing"
    for name in ("a", "b"):
        system.pipe_file(f"{root}/2024-03-10/{name}.csv", b"id\n1\n")
    fetch(url, landing)
    copied, copy = [], object_storage._copy
    monkeypatch.setattr(object_storage, "_copy", lambda *all: (copied.append(Path(all[1]["name"]).name), copy(*all)))
    fetch(url, landing)
    assert copied == []
    system.pipe_file(f"{root}/2024-03-10/b.csv", b"id\n9\n")
    assert fetch(url, landing)["2024-03-10/b.csv"] == b"id\n9\n"
    assert copied == ["b.csv"]
    (landing / "shop" / "visits" / "2024-03-10" / "a.csv").write_bytes(b"torn")
    assert fetch(url, landing)["2024-03-10/a.csv"] == b"id\n1\n"
    (landing / "shop" / "visits" / "2024-03-10" / "a.csv").unlink()
    assert fetch(url, landing)["2024-03-10/a.csv"] == b"id\n1\n"
    assert copied == ["b.csv", "a.csv", "a.csv"]


def test_a_file_that_was_taken_back_goes(store, tmp_path: Path) -> None:
    system, root = store
    url, landing = f"{root}/{{date}}/*.csv", tmp_path / "landing"
    for name in ("a", "b"):
        system.pipe_file(f"{root}/2024-03-10/{name}.csv", b"id\n1\n")
        system.pipe_file(f"{root}/2024-03-11/{name}.csv", b"id\n1\n")
    fetch(url, landing, days=2)
    system.rm_file(f"{root}/2024-03-10/a.csv")
    assert set(fetch(url, landing)) == {"2024-03-10/b.csv"}
    assert landed(landing) == {"2024-03-10/b.csv", "2024-03-11/a.csv", "2024-03-11/b.csv"}


def test_a_store_that_forgets_a_whole_day_takes_nothing_away(store, tmp_path: Path, caplog) -> None:
    system, root = store
    url, landing = f"{root}/{{date}}/*.csv", tmp_path / "landing"
    system.pipe_file(f"{root}/2024-03-10/a.csv", b"id\n1\n")
    fetch(url, landing)
    system.rm_file(f"{root}/2024-03-10/a.csv")
    assert fetch(url, landing) == {"2024-03-10/a.csv": b"id\n1\n"}
    assert "has no file any more" in caplog.text


def test_a_day_without_files_is_nothing(store, tmp_path: Path) -> None:
    assert fetch(f"{store[1]}/{{date}}/*.csv", tmp_path / "landing") == {}


def test_files_of_one_name_in_several_folders_stay_apart(store, tmp_path: Path) -> None:
    system, root = store
    for region in ("eu", "us"):
        system.pipe_file(f"{root}/region={region}/day=2024-03-10/part.csv", region.encode())
    assert fetch(f"{root}/region=*/day={{date}}/part.csv", tmp_path / "landing") == {
        "2024-03-10/region=eu__day=2024-03-10__part.csv": b"eu",
        "2024-03-10/region=us__day=2024-03-10__part.csv": b"us",
    }


def test_a_path_without_wildcards_is_one_file(store, tmp_path: Path) -> None:
    system, root = store
    system.pipe_file(f"{root}/export_2024-03-10.csv", b"id\n1\n")
    url = f"{root}/export_{{date}}.csv"
    assert fetch(url, tmp_path / "landing") == {"2024-03-10/export_2024-03-10.csv": b"id\n1\n"}


def test_files_that_are_still_written_are_left_alone(store, tmp_path: Path) -> None:
    system, root = store
    for name in ("a.csv", "b.csv.part", ".c.csv", "_tmp_d.csv", "e.tmp", "f.open"):
        system.pipe_file(f"{root}/2024-03-10/{name}", b"id\n1\n")
    assert set(fetch(f"{root}/{{date}}/*", tmp_path / "landing")) == {"2024-03-10/a.csv"}


def test_files_inside_an_archive(tmp_path: Path) -> None:
    for number in (1, 2):
        with zipfile.ZipFile(tmp_path / "2024-03-10.zip", "w") as archive:
            archive.writestr("inner/a.csv", f"id\n{number}\n")
        found = fetch(f"zip://inner/*.csv::file://{tmp_path}/{{date}}.zip", tmp_path / "landing")
        assert found == {"2024-03-10/a.csv": f"id\n{number}\n".encode()}


def test_a_file_that_changes_while_it_is_copied_is_not_taken(store, tmp_path: Path, monkeypatch) -> None:
    system, root = store
    url, landing = f"{root}/{{date}}/*.csv", tmp_path / "landing"
    system.pipe_file(f"{root}/2024-03-10/a.csv", b"id\n1\n")
    fetch(url, landing)
    system.pipe_file(f"{root}/2024-03-10/a.csv", b"id\n1\n2\n")
    listed = object_storage._listed

    def list_and_append(*arguments: object) -> dict:
        files = listed(*arguments)
        system.pipe_file(f"{root}/2024-03-10/a.csv", b"id\n1\n2\n3\n")
        return files

    with monkeypatch.context() as patch:
        patch.setattr(object_storage, "_listed", list_and_append)
        with pytest.raises(FetchError, match=r"gave 9 bytes, but the store says 7; run the task again"):
            fetch(url, landing)
    assert (landing / "shop" / "visits" / "2024-03-10" / "a.csv").read_bytes() == b"id\n1\n"
    assert fetch(url, landing) == {"2024-03-10/a.csv": b"id\n1\n2\n3\n"}


def test_a_file_that_comes_while_others_are_copied_stops_the_run(store, tmp_path: Path, monkeypatch) -> None:
    system, root = store
    url, landing = f"{root}/{{date}}/*.csv", tmp_path / "landing"
    system.pipe_file(f"{root}/2024-03-10/a.csv", b"id\n1\n")
    copy = object_storage._copy

    def copy_and_add(*arguments: object) -> None:
        copy(*arguments)
        system.pipe_file(f"{root}/2024-03-10/b.csv", b"id\n2\n")

    with monkeypatch.context() as patch:
        patch.setattr(object_storage, "_copy", copy_and_add)
        with pytest.raises(FetchError, match=r"b\.csv came or changed while the day was copied"):
            fetch(url, landing)
    assert set(fetch(url, landing)) == {"2024-03-10/a.csv", "2024-03-10/b.csv"}


def test_broken_off_and_repeated_gives_the_same_files(store, tmp_path: Path, monkeypatch) -> None:
    system, root = store
    url, landing = f"{root}/{{date}}/*.csv", tmp_path / "landing"
    for number in range(5):
        system.pipe_file(f"{root}/2024-03-10/{number}.csv", str(number).encode())
    copy, done = object_storage._copy, []

    def copy_two(*arguments: object) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(copy(*arguments))

    with monkeypatch.context() as patch:
        patch.setattr(object_storage, "_copy", copy_two)
        with pytest.raises(KeyboardInterrupt):
            fetch(url, landing)
    assert len(landed(landing)) == 2
    assert fetch(url, landing) == {f"2024-03-10/{number}.csv": str(number).encode() for number in range(5)}


def test_a_missing_driver_names_its_package(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(known_implementations, "s3", {"class": "nowhere_s3fs.S3", "err": "Install s3fs to access S3"})
    with pytest.raises(FetchError, match=r"shop\.visits: a package for s3:// is not installed: Install s3fs.*require"):
        fetch("s3://bucket/{date}/*.csv", tmp_path)


def test_an_unknown_scheme_is_named(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"Protocol not known: abacus; check reader\.url"):
        fetch("abacus://bucket/{date}/*.csv", tmp_path)


def test_errors_of_a_store_hide_its_secrets(tmp_path: Path, monkeypatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise RuntimeError(f"cannot log in with {options}")

    monkeypatch.setattr(fsspec.core, "url_to_fs", refuse)
    connection = ConnectionDetails("store", "aws", login="AKIA1", password="hush", extra={"token": "also-hush"})
    with pytest.raises(FetchError, match=r"by connection 'store'.*cannot log in.*\*\*\*") as caught:
        fetch("s3://bucket/{date}/*.csv", tmp_path, connection=connection)
    assert "hush" not in str(caught.value)
    assert "AKIA1" in str(caught.value)


def test_a_full_disk_is_no_error_of_the_store(memory, tmp_path: Path, monkeypatch) -> None:
    memory.pipe_file("memory://bucket/2024-03-10/a.csv", b"id\n1\n")

    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(object_storage.shutil, "copyfileobj", refuse)
    with pytest.raises(OSError, match="No space left"):
        fetch("memory://bucket/{date}/*.csv", tmp_path)
    assert landed(tmp_path) == set()


@pytest.mark.parametrize(
    ("url", "connection", "options"),
    [
        ("s3://b/{date}/*", None, {}),
        (
            "s3://b/{date}/*",
            ConnectionDetails(
                "c", "aws", login="AKIA1", password="hush", extra={"endpoint_url": "http://localhost:9000"}
            ),
            {"endpoint_url": "http://localhost:9000", "key": "AKIA1", "secret": "hush"},
        ),
        (
            "sftp://h/{date}/*",
            ConnectionDetails("c", "sftp", login="me", password="hush", extra={"port": 2222}),
            {"port": 2222, "username": "me", "password": "hush"},
        ),
        (
            "gs://b/{date}/*",
            ConnectionDetails("c", "google_cloud_platform", extra={"token": "t.json"}),
            {"token": "t.json"},
        ),
    ],
)
def test_connections_become_options_of_the_file_system(
    url: str, connection: ConnectionDetails | None, options: dict
) -> None:
    assert object_storage._options(url, connection) == options
