"""One thread that writes: while one fsync runs the next requests gather, and the next fsync makes all of them safe."""

from __future__ import annotations

import logging
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread

from tagloom.collector.segments import Batch, Segments

COMMIT_EVENTS = 20_000
"""At most about so many events share an fsync, so that the first of them does not wait too long."""

Outcomes = list[tuple[Batch, OSError | None]]

_log = logging.getLogger("tagloom.collector")


class Writer:
    """Takes batches from any thread and says through `completed`, from its own, what became of them."""

    def __init__(self, segments: Segments, completed: Callable[[Outcomes], None]) -> None:
        self._segments = segments
        self._completed = completed
        self._queue: SimpleQueue[Batch | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it still works."""
        return self._thread.is_alive()

    def submit(self, batch: Batch) -> None:
        """Have a batch written."""
        self._queue.put(batch)

    def stop(self) -> None:
        """Write what was submitted, seal everything, let go of the landing folder and wait for that."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        stopping = False
        while not stopping:
            batches, stopping = self._next()
            if batches:
                self._completed(list(zip(batches, self._commit(batches), strict=True)))
            self._segments.seal_due()
        self._segments.close()

    def _next(self) -> tuple[list[Batch], bool]:
        """Wait for batches, or until a segment has to be sealed; return them, and whether it is time to stop."""
        batches: list[Batch] = []
        events = 0
        try:
            item = self._queue.get(timeout=self._segments.seconds_until_due())
            while item is not None:
                batches.append(item)
                events += len(item.events)
                if events >= COMMIT_EVENTS:
                    return batches, False
                item = self._queue.get_nowait()
        except Empty:
            return batches, False
        return batches, True

    def _commit(self, batches: list[Batch]) -> list[OSError | None]:
        try:
            return self._segments.commit(batches)
        except Exception as error:
            # Whatever it is, those who wait must hear of it, and the next ones get another chance.
            _log.exception("unexpected error while writing")
            return [OSError(str(error))] * len(batches)
