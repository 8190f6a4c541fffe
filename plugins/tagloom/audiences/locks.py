"""One process at a time: locks that the operating system lets go of when a process is killed."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def only_one(file: Path, wait: bool = True) -> Iterator[None]:
    """Wait until no other process or thread is in a block with the same file, then enter.

    Without `wait`, raises BlockingIOError when one is.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
