"""Airflow's triggerer runs this: it watches the landing folder of a source and says when files have arrived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from tagloom.arrivals import Watch
from tagloom.settings import load_settings

LOOK_SECONDS = 1.0
"""How often the folder is looked at."""

BUSY_SHARE = 10
"""A look at a huge folder takes longer: then the next one waits so many times as long as it took."""

PROBLEM_SECONDS = 30.0
"""How long after an error, for example of a network disk, the folder is looked at again."""


class ArrivalTrigger(BaseEventTrigger):
    """Fires {"source": ..., "days": [...], "files": n} when files have arrived that have not landed.

    It fires once for a state of a file and, should that still not have landed, again an hour later. A triggerer that
    starts remembers nothing, so everything that has not landed fires again: nothing is lost.
    """

    def __init__(self, source_name: str) -> None:
        super().__init__()
        self.source_name = source_name

    def serialize(self) -> tuple[str, dict[str, str]]:
        """Class and arguments to make it again from."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"source_name": self.source_name}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look for ever. The files are looked at in a thread: the event loop belongs to all triggers."""
        watch = Watch(load_settings(), self.source_name)
        clock = asyncio.get_running_loop()
        while True:
            begin = clock.time()
            try:
                due = await asyncio.to_thread(watch.due)
            except OSError as error:
                self.log.warning("%s: its landing folder cannot be read: %s", self.source_name, error)
                await asyncio.sleep(PROBLEM_SECONDS)
                continue
            if due:
                days = sorted({arrival.day.isoformat() for arrival in due})
                yield TriggerEvent({"source": self.source_name, "days": days, "files": len(due)})
            await asyncio.sleep(max(LOOK_SECONDS, BUSY_SHARE * (clock.time() - begin)))
