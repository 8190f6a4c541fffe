"""Which batches with idempotency keys came in during the last hours, in about 170 bytes of memory each."""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

_ENTRY = struct.Struct("<16sId")

_log = logging.getLogger("tagloom.collector")


class Known(NamedTuple):
    """What is remembered of a batch."""

    digest: str
    events: int


class RememberedBatches:
    """Batches by source and idempotency key, forgotten after some hours. Lives in one thread.

    When there are more than `most` of them the oldest are forgotten before their time, and the log says so.
    """

    def __init__(self, hours: int, most: int) -> None:
        self._span = timedelta(hours=hours).total_seconds()
        self._most = most
        self._hours: dict[int, dict[bytes, bytes]] = {}
        """Hour since 1970 -> its batches, so that a whole hour is forgotten at once."""

    def add(self, source: str, name: str, digest: str, events: int, received_at: datetime) -> None:
        """Remember a batch; `digest` is the one of `content_digest`."""
        moment = received_at.timestamp()
        hour = self._hours.setdefault(int(moment // 3600), {})
        hour[_key(source, name)] = _ENTRY.pack(bytes.fromhex(digest), events, moment)
        if len(self) > self._most:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        oldest = min(self._hours)
        batches = self._hours[oldest]
        _log.warning(
            "more than %d batches with idempotency keys: the oldest, of %s, are forgotten before their time "
            "(TAGLOOM_COLLECTOR_REMEMBER_BATCHES)",
            self._most,
            datetime.fromtimestamp(oldest * 3600, UTC).isoformat(),
        )
        # Many at once, so that this does not happen with every batch.
        for key in list(islice(batches, max(1, self._most // 10))):
            del batches[key]
        if not batches:
            del self._hours[oldest]

    def find(self, source: str, name: str, now: datetime | None = None) -> Known | None:
        """Return what is known of a batch, or None when it never came or was forgotten."""
        oldest = (now or datetime.now(UTC)).timestamp() - self._span
        for hour in [hour for hour in self._hours if hour < oldest // 3600]:
            del self._hours[hour]
        key = _key(source, name)
        for batches in self._hours.values():
            entry = batches.get(key)
            if entry is not None:
                digest, events, moment = _ENTRY.unpack(entry)
                if moment >= oldest:
                    return Known(digest.hex(), events)
        return None

    def __len__(self) -> int:
        return sum(len(batches) for batches in self._hours.values())


def content_digest(table: str, events: Sequence[bytes]) -> str:
    """Return the hash that tells whether two batches are the same: 32 hexadecimal digits."""
    digest = blake2b(table.encode(), digest_size=16)
    for event in events:
        # Length first, so that no two lists of events give the same bytes.
        digest.update(b"\n%d\n" % len(event))
        digest.update(event)
    return digest.hexdigest()


def _key(source: str, name: str) -> bytes:
    return blake2b(f"{source}\n{name}".encode(), digest_size=16).digest()
