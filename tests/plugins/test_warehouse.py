"""The warehouse: one process at a time, and identifiers hashed by a key that stays out of it."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import subprocess
import sys
import time

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from tagloom import warehouse
from tagloom.settings import PROJECT, SettingsError
from tagloom.warehouse import WarehouseBusyError, open_warehouse, prepare_connection

HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
"""A program that keeps a DuckDB file open until its standard input is closed."""

KEYS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"], max_codepoint=0x2FF), min_size=32, max_size=200
)


def macro_sql(identifier_type: str, column: str) -> str:
    """The SQL of dbt's macro identifier_hash, so that the test computes what the models compute."""
    text = (PROJECT / "dbt_project" / "macros" / "identity" / "identifier_hash.sql").read_text(encoding="utf-8")
    body = re.search(r"macro default__identifier_hash\(.*?%}(.*?)\{%-? endmacro", text, re.DOTALL).group(1)
    return body.replace("{{ identifier_type }}", identifier_type).replace("{{ column }}", column)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        yield connection


@limits(max_examples=60, deadline=None)
@given(key=KEYS, value=st.text(st.characters(exclude_categories=["Cs"])))
def test_the_hash_of_an_identifier_is_an_hmac(connection, key, value):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAGLOOM_IDENTITY_KEY", key)
        prepare_connection(connection)
    [(hashed,)] = connection.execute(f"select {macro_sql('email', '$value')}", {"value": value}).fetchall()
    assert hashed == hmac.new(key.encode(), f"email:{value}".encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("length", [32, 63, 64, 65, 200])
def test_keys_around_the_block_size(connection, monkeypatch, length):
    key = "k" * length
    monkeypatch.setenv("TAGLOOM_IDENTITY_KEY", key)
    prepare_connection(connection)
    [(hashed,)] = connection.execute(f"select {macro_sql('phone', '$value')}", {"value": "+12125550100"}).fetchall()
    assert hashed == hmac.new(key.encode(), b"phone:+12125550100", hashlib.sha256).hexdigest()


def test_null_has_no_hash_and_types_do_not_meet(connection):
    prepare_connection(connection)
    hashes = [macro_sql("email", "null::varchar"), macro_sql("email", "'1'"), macro_sql("phone", "'1'")]
    [(of_null, of_email, of_phone)] = connection.execute(f"select {', '.join(hashes)}").fetchall()
    assert of_null is None
    assert of_email != of_phone


def test_a_session_counts_in_utc(settings):
    with open_warehouse(settings) as connection:
        [(zone,)] = connection.execute("select current_setting('TimeZone')").fetchall()
        [(limit,)] = connection.execute("select current_setting('threads')").fetchall()
    assert (zone, limit) == ("UTC", settings.threads)


def test_the_key_is_not_in_the_file(settings):
    with open_warehouse(settings) as connection:
        hashed = macro_sql("email", "'a@example.com'")
        connection.execute(f"create table hashes as select {hashed} as identifier_hash")
    content = settings.warehouse.read_bytes()
    key = os.environ["TAGLOOM_IDENTITY_KEY"].encode().ljust(64, b"\0")
    for mask in (0, 0x36, 0x5C):
        assert bytes(byte ^ mask for byte in key) not in content
        assert bytes(byte ^ mask for byte in key).hex().encode() not in content


def test_the_file_is_free_afterwards_even_after_an_error(settings):
    with pytest.raises(ZeroDivisionError), open_warehouse(settings) as connection:
        connection.execute(f"create table kept as select {1 // 0}")
    program = "import duckdb, sys; print(duckdb.connect(sys.argv[1]).execute('select 41 + 1').fetchall())"
    reader = [sys.executable, "-c", program, str(settings.warehouse)]
    assert subprocess.run(reader, capture_output=True, text=True, check=True).stdout == "[(42,)]\n"


def test_a_missing_key_leaves_the_file_free(settings, monkeypatch):
    monkeypatch.delenv("TAGLOOM_IDENTITY_KEY")
    with pytest.raises(SettingsError), open_warehouse(settings):
        pass
    duckdb.connect(str(settings.warehouse), config={"threads": 1}).close()


@pytest.fixture
def holder(settings):
    settings.home.mkdir(parents=True, exist_ok=True)
    program = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(settings.warehouse)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout.readline() == "open\n"
    yield program
    program.communicate()


def test_another_process_that_keeps_the_file_is_named_with_the_rule(settings, holder, monkeypatch):
    monkeypatch.setattr(warehouse, "LOCK_WAIT_SECONDS", 0)
    with pytest.raises(WarehouseBusyError, match="pool `warehouse`") as error, open_warehouse(settings):
        pass
    assert str(settings.warehouse) in str(error.value)
    assert str(holder.pid) in str(error.value)


def test_waits_for_a_process_that_is_about_to_end(settings, holder, monkeypatch):
    waits = []

    def let_go(seconds):
        waits.append(seconds)
        holder.communicate()

    monkeypatch.setattr(time, "sleep", let_go)
    with open_warehouse(settings) as connection:
        assert connection.execute("select 1").fetchall() == [(1,)]
    assert len(waits) == 1


def test_a_file_that_is_no_warehouse_is_not_waited_for(settings, monkeypatch):
    settings.warehouse.write_bytes(b"this is no DuckDB file at all, not even in its first few bytes")
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("waited for a file that nobody holds"))
    with pytest.raises(duckdb.IOException, match="not a valid DuckDB"), open_warehouse(settings):
        pass
