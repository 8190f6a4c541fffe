"""Rows of databases become Parquet files: on a real PostgreSQL, started here and thrown away, and on SQLite."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest
import sqlalchemy
from tagloom.fetching import databases, postgres_copy
from tagloom.fetching.databases import as_text
from tagloom.fetching.fetch import ConnectionDetails, FetchError, fetch_table
from tagloom.settings import PROJECT
from tagloom.sources import Source

from tests.plugins.fetching.visits import source_of_visits

DAY = date(2024, 3, 10)
NEXT_DAY = date(2024, 3, 11)
LARGEST = 2**63 - 1


def _program(name: str) -> str | None:
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, places)]))


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


@pytest.fixture(scope="module")
def server() -> Iterator[ConnectionDetails]:
    """A PostgreSQL of its own that only a socket in a temporary folder leads to."""
    if not (_program("initdb") and _program("postgres")):
        pytest.skip(
            "there is no PostgreSQL, neither in PATH nor in /usr/lib/postgresql/*/bin: apt-get install postgresql"
        )
    user = _unprivileged_user()
    # Not below pytest's own folder, which only its owner may enter; and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="tagloom-pg-"))
    if user:
        shutil.chown(folder, user)
    quiet = {"user": user, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    data = folder / "data"
    arguments = [_program("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
    subprocess.run([*arguments, "--no-sync"], check=True, **quiet)
    settings = [f"-cunix_socket_directories={folder}", "-clisten_addresses=", "-cfsync=off", "-ctimezone=Asia/Tokyo"]
    process = subprocess.Popen([_program("postgres"), "-D", data, *settings], **quiet)
    try:
        connection = ConnectionDetails(
            "shop_database", "postgres", host=str(folder), login="postgres", password="very-secret", schema="postgres"
        )
        _wait_for(connection)
        yield connection
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        shutil.rmtree(folder)


def _wait_for(connection: ConnectionDetails) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(host=connection.host, user="postgres", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL did not start within a minute"
            time.sleep(0.1)


@pytest.fixture
def postgres(server: ConnectionDetails) -> Iterator[psycopg.Connection]:
    """A connection to the server, which is emptied afterwards."""
    with psycopg.connect(host=server.host, user="postgres", dbname="postgres", autocommit=True) as connection:
        yield connection
        connection.execute("drop schema public cascade; create schema public")


@pytest.fixture
def sqlite(tmp_path: Path) -> tuple[sqlite3.Connection, ConnectionDetails]:
    """An empty SQLite file, and how Airflow describes it."""
    path = tmp_path / "a shop#1.db"
    return sqlite3.connect(path, isolation_level=None), ConnectionDetails("shop_database", "sqlite", host=str(path))


def source_of(
    watermark: str | None = None,
    time_zone: str = "UTC",
    overlap_days: int = 0,
    kind_of_watermark: str = "timestamp",
    **reader: object,
) -> Source:
    """A source of one table, `visits`, of a database."""
    columns = [{"name": "id", "type": "integer"}, {"name": "changed_at", "type": kind_of_watermark}]
    return source_of_visits(
        {"kind": "database", "connection": "shop_database", "watermark": watermark} | (reader or {"table": "visits"}),
        time_zone,
        grain="event" if watermark else "snapshot",
        overlap_days=overlap_days,
        columns=columns,
    )


def fetch(source: Source, landing: Path, connection: ConnectionDetails, days: int = 1) -> list[pa.Table]:
    """Fetch the days from DAY on, and read the files."""
    paths = fetch_table(source, source.tables[0], DAY, DAY + timedelta(days=days), landing, connection)
    return [pa.parquet.read_table(path) for path in paths]


# PostgreSQL: types ---------------------------------------------------------------------------------------------------


def test_every_type_of_postgresql_arrives_exactly(postgres, server, tmp_path: Path) -> None:
    postgres.execute(
        """
        create type colour as enum ('red', 'green');
        create table visits (
            "small" int2, whole int4, large int8, money numeric(38, 10), free numeric, single float4, double float8,
            yes bool, day date, at timestamp, at_zone timestamptz, words text, fixed char(3), "Näme" varchar(9),
            json json, jsonb jsonb, bytes bytea, list int[], texts text[], key uuid, lasts interval, clock time,
            colour colour
        );
        insert into visits values (
            -32768, 2147483647, 9223372036854775807, 1234567890123456789012345678.1234567891,
            123456789012345678901234567890123456789012345.678, 1.1, 0.1, true, '2024-02-29',
            '2024-03-10 02:30:00.123456', '2024-03-10 01:30+08',
            E'comma, "quote"\\nnew line\\\\N中文', 'a', '\\N', '{"a":1.10}', '{"b": [1, 2]}',
            '\\x0001ff', array[1, null, 3], array['a,b', null, '"'], 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
            '1 day 2 hours', '12:34:56.789', 'green'
        ), ("""
        + ", ".join(["null"] * 23)
        + """);
        insert into visits (words, fixed, single, double, free) values ('', '', 'NaN', '-Infinity', 'NaN');
    """
    )
    (table,) = fetch(source_of(), tmp_path, server)
    good, nothing, odd = table.to_pylist()
    assert good == {
        "small": -32768,
        "whole": 2147483647,
        "large": LARGEST,
        "money": Decimal("1234567890123456789012345678.1234567891"),
        "free": "123456789012345678901234567890123456789012345.678",
        "single": 1.1,
        "double": 0.1,
        "yes": True,
        "day": date(2024, 2, 29),
        "at": datetime(2024, 3, 10, 2, 30, 0, 123456),
        "at_zone": datetime(2024, 3, 9, 17, 30, tzinfo=UTC),
        "words": 'comma, "quote"\nnew line\\N中文',
        "fixed": "a  ",
        "Näme": "\\N",
        "json": '{"a":1.10}',
        "jsonb": '{"b": [1, 2]}',
        "bytes": "\\x0001ff",
        "list": "[1,null,3]",
        "texts": '["a,b",null,"\\""]',
        "key": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "lasts": "1 day 02:00:00",
        "clock": "12:34:56.789",
        "colour": "green",
    }
    assert set(nothing.values()) == {None}
    assert (odd["words"], odd["fixed"], odd["double"], odd["free"]) == ("", "   ", float("-inf"), "NaN")
    assert odd["single"] != odd["single"]
    kinds = dict(zip(table.schema.names, table.schema.types, strict=True))
    assert kinds["money"] == pa.decimal128(38, 10)
    assert kinds["at"] == pa.timestamp("us")
    assert kinds["at_zone"] == pa.timestamp("us", "UTC")
    assert kinds["whole"] == pa.int32()


def test_infinity_and_far_years_keep_their_meaning(postgres, server, tmp_path: Path) -> None:
    postgres.execute("""
        create table visits as
        select 1 as id, timestamp 'infinity' as local, timestamptz '-infinity' as at_zone, date 'infinity' as day
        union all
        select 2, '0044-03-15 12:00 BC', '20000-01-01 00:00+00', '0044-03-15 BC'
        union all
        select 3, '2024-03-10 02:30:00.123456', '1890-01-01 00:00+00', '2024-02-29'
    """)
    fetch(source_of(time_zone="Asia/Shanghai"), tmp_path, server)
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        found = connection.execute(
            "select local::varchar, at_zone::varchar, day::varchar "
            f"from '{tmp_path}/shop/visits/{DAY}.parquet' order by id"
        ).fetchall()
    assert found == [
        ("infinity", "-infinity", "infinity"),
        ("0044-03-15 (BC) 12:00:00", "20000-01-01 00:00:00+00", "0044-03-15 (BC)"),
        ("2024-03-10 02:30:00.123456", "1890-01-01 00:00:00+00", "2024-02-29"),
    ]


def test_a_value_without_a_place_in_its_type_names_the_cure(postgres, server, tmp_path: Path) -> None:
    postgres.execute("create table visits as select 1 as id, 'NaN'::numeric(12, 2) as amount")
    with pytest.raises(FetchError, match=r"shop\.visits by connection 'shop_database': .*NaN.*cast the column to text"):
        fetch(source_of(), tmp_path, server)
    (table,) = fetch(source_of(query="select id, amount::text from visits"), tmp_path, server)
    assert table.to_pylist() == [{"id": 1, "amount": "NaN"}]


def test_rows_larger_than_a_block_are_read(postgres, server, tmp_path: Path) -> None:
    size = postgres_copy.BLOCK_SIZES[0] + 1000
    postgres.execute(
        f"create table visits as select n as id, repeat('x', {size} * (n % 2)) as t from generate_series(1, 3) n"
    )
    (table,) = fetch(source_of(), tmp_path, server)
    assert [(row["id"], len(row["t"])) for row in table.to_pylist()] == [(1, size), (2, 0), (3, size)]


def test_one_column_of_nothing_keeps_its_rows(postgres, server, tmp_path: Path) -> None:
    postgres.execute("create table visits (id int); insert into visits values (null), (1), (null)")
    (table,) = fetch(source_of(), tmp_path, server)
    assert table.column("id").to_pylist() == [None, 1, None]


# PostgreSQL: which rows ----------------------------------------------------------------------------------------------


def test_a_watermark_without_zone_is_a_time_of_the_sources_zone(postgres, server, tmp_path: Path) -> None:
    # New York's clocks went forward at 07:00 UTC on the 10th: its midnight UTC is 19:00 before and 20:00 after.
    postgres.execute("""
        create table visits (id int, changed_at timestamp);
        insert into visits values (1, '2024-03-09 18:59:59.999999'), (2, '2024-03-09 19:00'), (3, '2024-03-10 02:30'),
            (4, '2024-03-10 19:59:59.999999'), (5, '2024-03-10 20:00'), (6, '2024-03-11 20:00'), (7, null);
    """)
    first, second = fetch(source_of("changed_at", "America/New_York"), tmp_path, server, days=2)
    assert first.column("id").to_pylist() == [2, 3, 4]
    assert second.column("id").to_pylist() == [5]
    assert first.column("changed_at")[1].as_py() == datetime(2024, 3, 10, 2, 30)


def test_a_watermark_with_zone_is_an_instant(postgres, server, tmp_path: Path) -> None:
    postgres.execute("""
        create table visits (id int, changed_at timestamptz);
        insert into visits values (1, '2024-03-09 23:59:59.999999Z'), (2, '2024-03-10 00:00Z'),
            (3, '2024-03-11 07:59:59.999999+08'), (4, '2024-03-11 08:00+08');
    """)
    (table,) = fetch(source_of("changed_at", "America/New_York"), tmp_path, server)
    assert table.column("id").to_pylist() == [2, 3]
    assert table.column("changed_at")[0].as_py() == datetime(2024, 3, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("time_zone", "dates"),
    [("UTC", ["10"]), ("Asia/Shanghai", ["10"]), ("America/New_York", ["09"]), ("Pacific/Kiritimati", ["10"])],
)
def test_a_date_belongs_to_the_day_in_which_it_ends(postgres, server, tmp_path: Path, time_zone: str, dates) -> None:
    postgres.execute(
        "create table visits as select n as id, date '2024-03-07' + n as changed_at from generate_series(0, 6) n"
    )
    source = source_of("changed_at", time_zone, kind_of_watermark="date")
    (table,) = fetch(source, tmp_path, server)
    assert [f"{day:%d}" for day in table.column("changed_at").to_pylist()] == dates


@pytest.mark.parametrize("time_zone", ["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati", "Asia/Beirut"])
@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
def test_every_row_is_in_one_file_only(postgres, server, tmp_path: Path, time_zone: str, kind: str) -> None:
    """A month of hours over a change of the clocks: no row is left out, none is fetched twice."""
    postgres.execute(
        "create table visits as "
        f"select n as id, (timestamp '2024-03-10' + n * interval '1 hour')::{kind} as changed_at "
        "from generate_series(1, 30 * 24) n"
    )
    source = source_of("changed_at", time_zone, kind_of_watermark="date" if kind == "date" else "timestamp")
    found = Counter(number for table in fetch(source, tmp_path, server, days=32) for number in table["id"].to_pylist())
    late = {number for number in range(1, 30 * 24 + 1) if found[number] == 0}
    assert set(found.values()) == {1}
    # Only what lies before the first day may be missing.
    assert late == set(range(1, len(late) + 1))
    assert len(late) < 24


def test_a_watermark_of_days_and_a_query_are_filtered_from_outside(postgres, server, tmp_path: Path) -> None:
    postgres.execute("""
        create table visits (id int, "Day" date, note text);
        insert into visits values (1, '2024-03-09', 'a%'), (2, '2024-03-10', 'a%'), (3, '2024-03-10', 'b:c'),
            (4, '2024-03-11', 'a%');
    """)
    source = source_of(
        "changed_at", query="select id, \"Day\" as changed_at from visits where note like 'a%' -- all\n;"
    )
    (table,) = fetch(source, tmp_path, server)
    assert table.to_pylist() == [{"id": 2, "changed_at": DAY}]


def test_overlap_days_fetch_what_was_committed_late(postgres, server, tmp_path: Path) -> None:
    postgres.execute("""
        create table visits (id int, changed_at timestamp);
        insert into visits values (1, '2024-03-07 12:00'), (2, '2024-03-08 00:00'), (3, '2024-03-10 12:00');
    """)
    (table,) = fetch(source_of("changed_at", overlap_days=2), tmp_path, server)
    assert table.column("id").to_pylist() == [2, 3]


def test_days_and_tables_without_rows_give_files_with_their_columns(postgres, server, tmp_path: Path) -> None:
    postgres.execute("create table visits (id int, changed_at timestamp, amount numeric(12, 2))")
    schema = {"id": pa.int32(), "changed_at": pa.timestamp("us"), "amount": pa.decimal128(12, 2)}
    for name, source in (("day", source_of("changed_at")), ("table", source_of())):
        (table,) = fetch(source, tmp_path / name, server)
        assert table.num_rows == 0
        assert dict(zip(table.schema.names, table.schema.types, strict=True)) == schema


def test_a_snapshot_is_one_file_for_the_last_day_and_is_kept(postgres, server, tmp_path: Path) -> None:
    postgres.execute("create table visits as select 1 as id")
    source = source_of()
    arguments = (source, source.tables[0], DAY, DAY + timedelta(days=7), tmp_path, server)
    (path,) = fetch_table(*arguments)
    assert path == tmp_path / "shop" / "visits" / "2024-03-16.parquet"
    postgres.execute("insert into visits values (2)")
    assert fetch_table(*arguments) == [path]
    assert pa.parquet.read_table(path).num_rows == 1
    path.unlink()
    fetch_table(*arguments)
    assert pa.parquet.read_table(path).num_rows == 2


def test_a_repeated_fetch_gives_the_same_bytes(postgres, server, tmp_path: Path) -> None:
    postgres.execute(
        "create table visits as select n as id, timestamp '2024-03-10' + n * interval '1 s' as changed_at "
        "from generate_series(1, 1000) n"
    )
    source = source_of("changed_at")
    (path,) = fetch_table(source, source.tables[0], DAY, NEXT_DAY, tmp_path, server)
    before, touched = path.read_bytes(), path.stat().st_mtime_ns
    fetch_table(source, source.tables[0], DAY, NEXT_DAY, tmp_path, server)
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == touched


def test_all_days_come_from_one_state_of_the_database(postgres, server, tmp_path: Path, monkeypatch) -> None:
    """A row that moves from the second day to the first while fetching is in exactly one file."""
    postgres.execute(
        "create table visits (id int, changed_at timestamp); insert into visits values (1, '2024-03-11 12:00')"
    )
    copy_rows = databases.copy_rows

    def copy_and_move(*arguments: object) -> None:
        copy_rows(*arguments)
        postgres.execute("update visits set changed_at = '2024-03-10 12:00'")

    monkeypatch.setattr(databases, "copy_rows", copy_and_move)
    first, second = fetch(source_of("changed_at"), tmp_path, server, days=2)
    assert (first.num_rows, second.num_rows) == (0, 1)


def test_fetching_cannot_write_to_the_database(postgres, server, tmp_path: Path) -> None:
    postgres.execute(
        "create table visits (id int); "
        "create function f() returns int language sql as 'insert into visits values (1) returning id'"
    )
    with pytest.raises(FetchError, match="read-only transaction"):
        fetch(source_of(query="select f() as id"), tmp_path, server)


# PostgreSQL: failures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        ({"table": "nowhere"}, 'relation "nowhere" does not exist.*correct its table, query or watermark'),
        ({"query": "select 1 as id, 2 as id"}, "two columns called id; rename one by `as`"),
        ({"query": "select 1 / (n - 5) as id from generate_series(1, 9) n"}, "division by zero"),
    ],
)
def test_wrong_readers_are_one_sentence(postgres, server, tmp_path: Path, reader: dict, said: str) -> None:
    with pytest.raises(FetchError, match=rf"^shop\.visits.*{said}") as caught:
        fetch(source_of(**reader), tmp_path, server)
    assert "\n" not in str(caught.value)
    assert caught.value.may_pass is False
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_watermark_that_is_not_there_or_no_time_is_named(postgres, server, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="watermark 'changed_at' is not among the columns id, at; correct"):
        fetch(source_of("changed_at", query="select 1 as id, now() as at"), tmp_path, server)
    with pytest.raises(FetchError, match="operator does not exist: integer >= timestamp"):
        fetch(source_of("changed_at", query="select 1 as id, 5 as changed_at"), tmp_path, server)


def test_a_server_that_is_down_and_a_wrong_login_hide_the_password(server, tmp_path: Path) -> None:
    down = ConnectionDetails("shop_database", "postgres", "127.0.0.1", 1, "me", "very-secret", "postgres")
    with pytest.raises(FetchError, match=r"'shop_database': .*check that the database runs") as caught:
        fetch(source_of(), tmp_path, down)
    stranger = ConnectionDetails("shop_database", "postgres", server.host, None, "very-secret", "very-secret")
    with pytest.raises(FetchError, match=r'role "\*\*\*" does not exist') as other:
        fetch(source_of(), tmp_path, stranger)
    assert "very-secret" not in str(caught.value) + str(other.value)
    assert caught.value.may_pass


def test_a_server_that_goes_away_leaves_no_file(postgres, server, tmp_path: Path) -> None:
    postgres.execute("create table visits as select n as id, pg_sleep(0)::text from generate_series(1, 1000) n")
    source = source_of(query="select id, pg_sleep(0.005)::text as p from visits")

    def cut() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            copying = "pg_stat_activity where query like 'copy%' and pid <> pg_backend_pid()"
            if postgres.execute(f"select pg_terminate_backend(pid) from {copying}").fetchall():
                return
            time.sleep(0.05)

    cutter = threading.Thread(target=cut)
    cutter.start()
    with pytest.raises(FetchError, match="check that the database runs"):
        fetch(source, tmp_path, server)
    cutter.join()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


PROGRAM = textwrap.dedent("""
    import sys
    from datetime import date
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from tests.plugins.fetching.test_databases import DAY, NEXT_DAY, source_of
    from tagloom.fetching.fetch import ConnectionDetails, fetch_table
    source = source_of("changed_at")
    connection = ConnectionDetails("shop_database", "postgres", host=sys.argv[3], login="postgres", schema="postgres")
    print("ready", flush=True)
    fetch_table(source, source.tables[0], DAY, NEXT_DAY, Path(sys.argv[2]), connection)
""")


@pytest.mark.slow
def test_killed_at_any_moment_and_repeated_gives_the_same_file(postgres, server, tmp_path: Path) -> None:
    postgres.execute(
        "create table visits as select n as id, timestamp '2024-03-10' + n * interval '1 ms' as changed_at,"
        " md5(n::text) as note from generate_series(1, 300000) n"
    )
    (whole,) = fetch(source_of("changed_at"), tmp_path / "whole", server)
    landing = tmp_path / "killed"
    environment = os.environ | {"PYTHONPATH": f"{PROJECT / 'plugins'}{os.pathsep}{PROJECT}"}
    for tenths in range(1, 10, 2):
        run = [sys.executable, "-c", PROGRAM, str(PROJECT), str(landing), server.host]
        process = subprocess.Popen(run, env=environment, stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        time.sleep(tenths / 10)
        process.kill()
        process.wait()
        process.stdout.close()
        files = [path for path in landing.rglob("*.parquet") if not path.name.startswith("._tmp_")]
        for path in files:
            assert pa.parquet.read_table(path).equals(whole)
            path.unlink()
    (table,) = fetch(source_of("changed_at"), landing, server)
    assert table.equals(whole)
    assert [path.name for path in landing.rglob("*") if path.is_file()] == [f"{DAY}.parquet"]


# SQLite --------------------------------------------------------------------------------------------------------------


def test_sqlite_gives_its_values_as_text(sqlite, tmp_path: Path) -> None:
    database, connection = sqlite
    database.execute("create table visits (id integer, amount, note text, raw blob, big integer)")
    database.executemany(
        "insert into visits values (?, ?, ?, ?, ?)",
        [(1, 0.1, "中文", b"\x00\xff", LARGEST), (2, "12.50", None, None, None), (3, None, "", b"", -1)],
    )
    (table,) = fetch(source_of(), tmp_path, connection)
    assert table.to_pylist() == [
        {"id": "1", "amount": "0.1", "note": "中文", "raw": "\\x00ff", "big": str(LARGEST)},
        {"id": "2", "amount": "12.50", "note": None, "raw": None, "big": None},
        {"id": "3", "amount": None, "note": "", "raw": "\\x", "big": "-1"},
    ]


def test_sqlite_counts_days_however_times_are_written(sqlite, tmp_path: Path) -> None:
    database, connection = sqlite
    database.execute("create table visits (id integer, changed_at text)")
    # Midnight UTC is 08:00 in Shanghai; times with an offset are instants.
    moments = [
        "2024-03-10 07:59:59",
        "2024-03-10 08:00",
        "2024-03-10T08:00:00",
        "2024-03-10T00:00:00Z",
        "2024-03-09 23:59:59Z",
        "2024-03-09T19:00:00.123-05:00",
        "2024-03-11 07:59:59.9",
        "2024-03-11",
        "2024-03-11 08:00:00",
        "2024-03-11T09:00:00+08:00",
        None,
    ]
    database.executemany("insert into visits values (?, ?)", enumerate(moments))
    first, second = fetch(source_of("changed_at", "Asia/Shanghai"), tmp_path, connection, days=2)
    assert first.column("id").to_pylist() == ["1", "2", "3", "5", "6", "7"]
    assert second.column("id").to_pylist() == ["8", "9"]


def test_sqlite_dates(sqlite, tmp_path: Path) -> None:
    database, connection = sqlite
    database.execute("create table visits (id integer, changed_at text)")
    dates = ["2024-03-08", "2024-03-09", "2024-03-10", "2024-03-11"]
    database.executemany("insert into visits values (?, ?)", enumerate(dates))
    source = source_of("changed_at", "America/New_York", kind_of_watermark="date", overlap_days=1)
    first, second = fetch(source, tmp_path, connection, days=2)
    assert first.column("id").to_pylist() == ["0", "1"]
    assert second.column("id").to_pylist() == ["1", "2"]


@pytest.mark.parametrize("stored", ["unixepoch('2024-03-10 12:00')", "'10/03/2024'", "''"])
def test_sqlite_moments_that_it_does_not_know_are_refused_with_the_cure(sqlite, tmp_path: Path, stored: str) -> None:
    database, connection = sqlite
    database.execute("create table visits (id integer, changed_at)")
    database.execute(f"insert into visits values (1, {stored})")
    with pytest.raises(
        FetchError, match=r"does not know for a time.*datetime\(changed_at, 'unixepoch'\) as changed_at"
    ):
        fetch(source_of("changed_at"), tmp_path, connection)
    query = "select id, coalesce(datetime(changed_at, 'unixepoch'), '2024-03-10 12:00:00') as changed_at from visits"
    (table,) = fetch(source_of("changed_at", query=query), tmp_path, connection)
    assert table.to_pylist() == [{"id": "1", "changed_at": "2024-03-10 12:00:00"}]


def test_sqlite_without_rows_gives_the_columns(sqlite, tmp_path: Path) -> None:
    database, connection = sqlite
    database.execute("create table visits (id integer, changed_at text)")
    (table,) = fetch(source_of("changed_at"), tmp_path, connection)
    assert table.num_rows == 0
    assert table.schema.names == ["id", "changed_at"]
    assert table.schema.types == [pa.string(), pa.string()]


def test_more_rows_than_a_driver_hands_over_at_once(sqlite, tmp_path: Path) -> None:
    database, connection = sqlite
    database.execute("create table visits (id integer)")
    count = databases.ROWS_AT_ONCE * 3 + 1
    database.execute("begin")
    database.executemany("insert into visits values (?)", ((number,) for number in range(count)))
    database.execute("commit")
    (table,) = fetch(source_of(), tmp_path, connection)
    assert table.column("id").to_pylist() == [str(number) for number in range(count)]


def test_rows_come_in_large_pieces_and_by_a_cursor_of_the_server(postgres, server, tmp_path: Path, monkeypatch) -> None:
    """What other databases go through, shown with PostgreSQL, whose cursors can be seen."""
    postgres.execute("create table visits as select n as id, 'x' as note from generate_series(1, 12001) n")
    sizes, cursors, texts, execute = [], set(), databases._texts, databases.execute
    monkeypatch.setattr(databases, "_texts", lambda values: (sizes.append(len(values)), texts(values))[1])

    def execute_and_look(*arguments: object, **options: object) -> sqlalchemy.CursorResult:
        result = execute(*arguments, **options)
        cursors.add(type(result.cursor))
        return result

    monkeypatch.setattr(databases, "execute", execute_and_look)
    engine = sqlalchemy.create_engine(databases._address(server))
    with engine.connect() as database:
        databases._stream_texts(database, "select * from visits order by id", tmp_path / "visits.parquet")
    engine.dispose()
    table = pa.parquet.read_table(tmp_path / "visits.parquet")
    assert table.column("id").to_pylist() == [str(number) for number in range(1, 12002)]
    assert sizes == [5000, 5000, 5000, 5000, 2001, 2001]
    assert cursors == {psycopg.ServerCursor}


def test_a_wrong_path_is_an_error_and_makes_no_empty_database(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.db"
    with pytest.raises(FetchError, match="unable to open database file; check that the database runs"):
        fetch(source_of(), tmp_path / "landing", ConnectionDetails("shop_database", "sqlite", host=str(path)))
    assert not path.exists()


# Other databases -----------------------------------------------------------------------------------------------------


def test_missing_drivers_and_unknown_databases_are_named(tmp_path: Path) -> None:
    missing = ConnectionDetails("shop_database", "oracle", extra={"sqlalchemy_scheme": "mysql+mysqldb"})
    with pytest.raises(FetchError, match=r"the driver 'MySQLdb' is not installed; add it to requirements\.in"):
        fetch(source_of(), tmp_path, missing)
    with pytest.raises(FetchError, match="SQLAlchemy knows no database of type 'abacus'"):
        fetch(source_of(), tmp_path, ConnectionDetails("shop_database", "abacus"))


@pytest.mark.parametrize(
    ("connection", "address"),
    [
        (
            ConnectionDetails(
                "c", "mysql", "db", 3306, "me", "p@ss", "shop", {"charset": "utf8mb4", "connect_timeout": 5}
            ),
            "mysql+pymysql://me:p%40ss@db:3306/shop?charset=utf8mb4",
        ),
        (
            ConnectionDetails("c", "oracle", "db", 1521, "me", "p", None, {"service_name": "SHOP"}),
            "oracle+oracledb://me:p@db:1521?service_name=SHOP",
        ),
        (
            ConnectionDetails("c", "postgres", "db", None, "me", None, "shop", {"sslmode": "require"}),
            "postgresql+psycopg://me@db/shop?connect_timeout=30&sslmode=require",
        ),
        (ConnectionDetails("c", "sqlite", schema="data/shop.db"), "sqlite:///file%3A/data/shop.db?mode=ro&uri=true"),
    ],
)
def test_airflow_connections_become_addresses(connection: ConnectionDetails, address: str) -> None:
    assert databases._address(connection).render_as_string(hide_password=False) == address


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (10**30, "1" + "0" * 30),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.10"),
        (0.1, "0.1"),
        (datetime(2024, 3, 10, 2, 30), "2024-03-10 02:30:00"),
        (datetime.fromisoformat("2024-03-10T02:30:00.5+08:00"), "2024-03-09 18:30:00.500000+00:00"),
        (DAY, "2024-03-10"),
        (b"\x00\xff", "\\x00ff"),
        ({"a": [1, Decimal("1.10")], "b": "中"}, '{"a": [1, "1.10"], "b": "中"}'),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_values_of_other_drivers_become_exact_text(value: object, text: str) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("dialect", "kind", "condition"),
    [
        ("mssql", "timestamp", "w >= '20240310 08:00:00' and w < '20240311 08:00:00'"),
        ("mssql", "date", "w >= '20240310' and w < '20240311'"),
        ("oracle", "timestamp", "w >= timestamp '2024-03-10 08:00:00' and w < timestamp '2024-03-11 08:00:00'"),
        ("oracle", "date", "w >= date '2024-03-10' and w < date '2024-03-11'"),
        ("mysql", "timestamp", "w >= timestamp '2024-03-10 08:00:00' and w < timestamp '2024-03-11 08:00:00'"),
    ],
)
def test_days_as_each_dialect_compares_them(dialect: str, kind: str, condition: str) -> None:
    table = source_of("changed_at", kind_of_watermark=kind).tables[0]
    assert databases._condition(dialect, "w", table, DAY, NEXT_DAY, "Asia/Shanghai") == condition


@pytest.mark.slow
def test_memory_does_not_grow_with_the_table(postgres, server, tmp_path: Path) -> None:
    """Fetches 40 and 400 MB in processes of their own; the difference of their peaks stays below 150 MB."""
    program = PROGRAM + textwrap.dedent("""
        import resource
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    """)
    environment = os.environ | {"PYTHONPATH": f"{PROJECT / 'plugins'}{os.pathsep}{PROJECT}"}
    peaks = []
    for rows in (40_000, 400_000):
        postgres.execute("drop table if exists visits")
        postgres.execute(
            "create table visits as select n as id, timestamp '2024-03-10' as changed_at, "
            f"repeat(md5(n::text), 32) as note from generate_series(1, {rows}) n"
        )
        run = [sys.executable, "-c", program, str(PROJECT), str(tmp_path / str(rows)), server.host]
        output = subprocess.run(run, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout
        peaks.append(int(output.split()[-1]))
    assert peaks[1] - peaks[0] < 150, f"peaks in MB: {peaks}"
