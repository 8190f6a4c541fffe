"""Connections to the DuckDB warehouse file. One process at a time may hold it (Airflow pool `warehouse`)."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from tagloom.settings import Settings, identity_key

POOL = "warehouse"
"""Airflow pool with one slot: DuckDB has one writing process, so tasks that open the warehouse take it in turn."""

HMAC_BLOCK = 64
"""Block size of SHA-256 in bytes (RFC 2104)."""

LOCK_WAIT_SECONDS = 60
"""How long a task waits for another process to let go of the file, for example one that is being killed."""


class WarehouseBusyError(RuntimeError):
    """Another process holds the warehouse file."""


@contextmanager
def open_warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse for writing and close it afterwards, so that the next task can open it.

    Raises WarehouseBusyError when another process keeps the file for longer than LOCK_WAIT_SECONDS.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    connection = _connect(settings)
    try:
        prepare_connection(connection)
        yield connection
    finally:
        connection.close()


def _connect(settings: Settings) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            return duckdb.connect(
                str(settings.warehouse),
                config={"memory_limit": settings.memory_limit, "threads": settings.threads},
            )
        except duckdb.IOException as error:
            if "lock" not in str(error):
                raise
            if time.monotonic() > deadline:
                raise WarehouseBusyError(
                    f"{settings.warehouse} is open in another process for more than {LOCK_WAIT_SECONDS} s: {error}. "
                    "Tasks that write take the one-slot pool `warehouse`; readers open published versions only."
                ) from error
            time.sleep(0.5)


def prepare_connection(connection: duckdb.DuckDBPyConnection) -> None:
    """Set what every session needs: UTC, and the two padded keys that `identifier_hash` computes an HMAC with.

    HMAC(k, m) = H((k ^ opad) || H((k ^ ipad) || m)), RFC 2104. The keys are session variables and not dbt variables so
    that they never reach a compiled file, a log or the warehouse.
    """
    key = identity_key()
    if len(key) > HMAC_BLOCK:
        key = hashlib.sha256(key).digest()
    key = key.ljust(HMAC_BLOCK, b"\0")
    connection.execute("set time zone 'UTC'")
    connection.execute("set variable identity_key_inner = ?", [bytes(byte ^ 0x36 for byte in key)])
    connection.execute("set variable identity_key_outer = ?", [bytes(byte ^ 0x5C for byte in key)])
