"""A folder to try something in, and a copy of the warehouse in it; both are gone afterwards, whatever happens."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from tagloom import warehouse
from tagloom.settings import Settings
from tagloom.warehouse import WarehouseBusyError

if TYPE_CHECKING:
    from types import FrameType


class ScratchError(RuntimeError):
    """There is nothing to copy, or no room for it; the message says what to do."""


@contextmanager
def scratch_folder(home: Path, prefix: str) -> Iterator[Path]:
    """A folder of the home that is removed afterwards, after Ctrl-C and the signal of service managers, too.

    Its name is the prefix and the process id; what a killed process of the same prefix left behind is removed, too.
    """
    for leftover in home.glob(f"{prefix}*"):
        if not _is_alive(leftover.name.removeprefix(prefix)):
            shutil.rmtree(leftover, ignore_errors=True)
    folder = home / f"{prefix}{os.getpid()}"
    with _interrupted_by_termination():
        try:
            folder.mkdir(parents=True)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def copy_warehouse(settings: Settings, file: Path) -> None:
    """Copy the warehouse while nobody can write it, without writing it either.

    Raises ScratchError when there is none or the disk is too small for twice its size (the copy will grow),
    WarehouseBusyError when another process keeps writing it.
    """
    if not settings.warehouse.exists():
        raise ScratchError("Nothing is built yet; run `make demo` or build_tags first.")
    needed, free = 2 * settings.warehouse.stat().st_size, shutil.disk_usage(file.parent).free
    if needed > free:
        raise ScratchError(
            f"The copy needs about {needed / 1e9:,.1f} GB in {settings.home}, where {free / 1e9:,.1f} GB are free."
        )
    with _open_read_only(settings):
        shutil.copyfile(settings.warehouse, file)
        # What a killed process had committed and not yet moved into the file.
        log = settings.warehouse.with_name(f"{settings.warehouse.name}.wal")
        if log.exists():
            shutil.copyfile(log, file.with_name(f"{file.name}.wal"))


@contextmanager
def _open_read_only(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    deadline = time.monotonic() + warehouse.LOCK_WAIT_SECONDS
    while True:
        try:
            connection = duckdb.connect(str(settings.warehouse), read_only=True)
            break
        except duckdb.IOException as error:
            if "lock" not in str(error):
                raise
            if time.monotonic() > deadline:
                raise WarehouseBusyError(
                    f"{settings.warehouse} is being written by another process, probably a build or an update of tags. "
                    "Try again when it is done."
                ) from error
            time.sleep(0.5)
    with connection:
        yield connection


class StopWatch:
    """Says what was done and how long it took."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """`say` is told about every step."""
        self._say = say
        self._last = time.monotonic()

    def lap(self, text: str) -> None:
        """Say that something is done, with the seconds since the last time."""
        now = time.monotonic()
        self._say(f"[{now - self._last:6.1f} s] {text}")
        self._last = now


@contextmanager
def _interrupted_by_termination() -> Iterator[None]:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = None
    # Only the main thread may set a handler; elsewhere nobody sends signals to us.
    with suppress(ValueError):
        before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
