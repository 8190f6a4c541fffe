"""What all ways to fetch share: whole files, days, and errors without secrets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from tagloom.fetching.fetch import (
    ConnectionDetails,
    FetchError,
    day_start,
    days_between,
    delivery_path,
    fetch_table,
    short,
    whole_file,
)
from tagloom.settings import PROJECT

from tests.plugins.fetching.visits import source_of_visits

DATABASE = {"kind": "database", "connection": "shop_database", "table": "visits"}


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "visits" / "2024-03-10.jsonl"

    def break_off() -> None:
        with whole_file(path) as file:
            file.write(b"half")
            assert not path.exists() or path.read_bytes() == b"whole"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert list(path.parent.iterdir()) == []
    with whole_file(path) as file:
        file.write(b"whole")
    assert path.read_bytes() == b"whole"
    with pytest.raises(ZeroDivisionError):
        break_off()
    assert path.read_bytes() == b"whole"
    assert [file.name for file in path.parent.iterdir()] == ["2024-03-10.jsonl"]


def test_the_same_content_leaves_the_file_untouched(tmp_path: Path) -> None:
    path = tmp_path / "2024-03-10.jsonl"
    with whole_file(path) as file:
        file.write(b"one")
    os.utime(path, ns=(1, 1))
    with whole_file(path) as file:
        file.write(b"one")
    assert path.stat().st_mtime_ns == 1
    with whole_file(path) as file:
        file.write(b"two")
    assert path.stat().st_mtime_ns > 1


def test_what_a_killed_run_leaves_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    path = tmp_path / "2024-03-10.jsonl"
    program = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from tagloom.fetching.fetch import whole_file
        with whole_file(Path(sys.argv[1])) as file:
            file.write(b"half")
            file.flush()
            print("writing", flush=True)
            time.sleep(60)
    """)
    killed = subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(PROJECT / "plugins")},
    )
    assert killed.stdout.readline() == b"writing\n"
    with whole_file(path) as file:
        file.write(b"whole")
    assert len(list(tmp_path.iterdir())) == 2, "the file of the process that still writes must stay"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    assert path.read_bytes() == b"whole"
    with whole_file(path) as file:
        file.write(b"again")
    assert [file.name for file in tmp_path.iterdir()] == ["2024-03-10.jsonl"]


def test_many_writers_of_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    path, problems = tmp_path / "2024-03-10.jsonl", []

    def write(number: int) -> None:
        try:
            for _ in range(20):
                with whole_file(path) as file:
                    file.write(str(number).encode() * 1000)
                    time.sleep(0.001)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    content = path.read_bytes()
    assert len(content) == 1000
    assert len(set(content)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["2024-03-10.jsonl"]


def test_days_and_their_first_moments() -> None:
    assert days_between(date(2024, 2, 28), date(2024, 3, 1)) == [date(2024, 2, 28), date(2024, 2, 29)]
    assert days_between(date(2024, 3, 1), date(2024, 3, 1)) == []
    assert day_start(date(2024, 3, 10), "America/New_York") == datetime(2024, 3, 10, 5, tzinfo=UTC)
    assert day_start(date(2024, 3, 11), "America/New_York") == datetime(2024, 3, 11, 4, tzinfo=UTC)
    # Midnight does not exist on the day that Beirut's clocks go forward; the day begins when they do.
    assert day_start(date(2024, 3, 31), "Asia/Beirut") == datetime(2024, 3, 30, 22, tzinfo=UTC)


def test_a_delivery_lies_where_its_table_says(tmp_path: Path) -> None:
    source = source_of_visits(DATABASE)
    path = delivery_path(source, source.table("visits"), date(2024, 3, 10), tmp_path)
    assert path == tmp_path / "shop" / "visits" / "2024-03-10.parquet"


def test_no_day_fetches_nothing(tmp_path: Path) -> None:
    source = source_of_visits(DATABASE)
    day = date(2024, 3, 10)
    assert fetch_table(source, source.table("visits"), day, day, tmp_path, None) == []
    assert list(tmp_path.iterdir()) == []


def test_a_missing_connection_is_named_with_the_cure(tmp_path: Path) -> None:
    source = source_of_visits(DATABASE)
    with pytest.raises(FetchError, match=r"shop\.visits: there is no Airflow connection 'shop_database'.*AIRFLOW_CONN"):
        fetch_table(source, source.table("visits"), date(2024, 3, 10), date(2024, 3, 11), tmp_path, None)


def test_what_is_not_fetched_is_refused(tmp_path: Path) -> None:
    source = source_of_visits({"kind": "files", "format": "csv", "path": "visits/{date}.csv"})
    with pytest.raises(FetchError, match="of kind files; nothing is to be fetched"):
        fetch_table(source, source.table("visits"), date(2024, 3, 10), date(2024, 3, 11), tmp_path, None)


def test_secrets_are_neither_in_messages_nor_in_reprs() -> None:
    connection = ConnectionDetails(
        "shop_api",
        "http",
        password="p@ss word",
        extra={
            "token_url": "https://login.example.com/token",
            "client_secret": "hush",
            "headers": {"X-Api-Key": "k1", "Accept": "application/json"},
            "endpoint": "https://api.example.com",
        },
    )
    said = "p@ss word p%40ss%20word p%40ss+word hush k1 https://login.example.com/token application/json"
    assert short(said, connection) == "*** *** *** *** *** https://login.example.com/token application/json"
    assert "p@ss" not in repr(connection)
    assert "hush" not in repr(connection)


def test_long_messages_become_one_short_line() -> None:
    assert short("a\n  b") == "a b"
    assert short("x" * 500) == "x" * 200 + "..."


def test_options_leave_out_what_forms_add() -> None:
    connection = ConnectionDetails(
        "d", "postgres", extra={"sslmode": "require", "__extra__": "{}", "extra__x__y": "1", "empty": "", "known": 1}
    )
    assert connection.options("known") == {"sslmode": "require"}
