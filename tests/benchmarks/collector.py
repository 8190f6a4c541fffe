"""Measure what one collector takes: events and requests a second, and how long a sender waits for its answer.

A real process on a free port; the senders keep their connections and wait for each answer before the next request.
Run it with: python tests/benchmarks/collector.py [seconds for each measurement]
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import quantiles

PROJECT = Path(__file__).resolve().parents[2]
KEY = "a-key-that-only-this-benchmark-uses"
BATCHES = (1, 10, 100)
SENDERS = (1, 16, 128)
DECLARATION = """
{name: web, title: Web, title_zh: Web, owner: web@example.com, party: first, consent_basis: consent, licence: own,
 tables: [{name: events, title: Events, reader: {kind: pushed}, grain: event, primary_key: [event_id],
           columns: [{name: event_id, type: text}]}]}
"""


def main() -> None:
    """Print a line for each number of events in a request and of senders."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        sources = Path(home) / "sources"
        sources.mkdir()
        (sources / "web.yml").write_text(DECLARATION, encoding="utf-8")
        environment = os.environ | {
            "TAGLOOM_HOME": home,
            "TAGLOOM_LANDING": f"{home}/landing",
            "TAGLOOM_SOURCES": str(sources),
            "TAGLOOM_COLLECTOR_KEYS": f"web:{KEY}",
            "TAGLOOM_COLLECTOR_PORT": str(port),
            "TAGLOOM_COLLECTOR_REQUESTS_PER_SECOND": "1000000",
            "PYTHONPATH": str(PROJECT / "plugins"),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tagloom", "collect"], env=environment, stderr=subprocess.DEVNULL
        )
        try:
            _wait_until_ready(port)
            print(f"{os.cpu_count()} processors, {_fsync_milliseconds(Path(home)):.1f} ms an fsync")
            print("events a request  senders  events/s  requests/s  p50 ms  p99 ms  requests an fsync")
            for events in BATCHES:
                for senders in SENDERS:
                    commits = _commits(port)
                    waits = asyncio.run(_measure(port, events, senders, seconds))
                    commits = _commits(port) - commits
                    cuts = quantiles(waits, n=100)
                    requests = len(waits) / seconds
                    print(
                        f"{events:16}  {senders:7}  {requests * events:8,.0f}  {requests:10,.0f}"
                        f"  {cuts[49] * 1000:6.1f}  {cuts[98] * 1000:6.1f}  {len(waits) / commits:17.1f}"
                    )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _fsync_milliseconds(folder: Path) -> float:
    with (folder / "fsync").open("wb", buffering=0) as stream:
        begin = time.perf_counter()
        for _ in range(100):
            stream.write(b"x" * 1000)
            os.fsync(stream.fileno())
        return (time.perf_counter() - begin) * 10


def _wait_until_ready(port: int) -> None:
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
                return
        except OSError:
            time.sleep(0.05)
    sys.exit("The collector did not start.")


def _commits(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("tagloom_collector_commits_total "))


async def _measure(port: int, events: int, senders: int, seconds: float) -> list[float]:
    """Return how long each request waited, in seconds."""
    end = time.perf_counter() + seconds
    waits: list[float] = []
    await asyncio.gather(*(_send(port, number, events, end, waits) for number in range(senders)))
    return waits


async def _send(port: int, sender: int, events: int, end: float, waits: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    event = {
        "occurred_at": "2026-03-01T12:34:56.789Z",
        "web_user_id": "W000123",
        "event": "product_view",
        "platform": "mobile",
        "channel": "paid_search",
        "context": {"page": {"path": "/products/1234567", "title": "A product", "referrer": "https://example.com/"}},
    }
    number = 0
    while (begin := time.perf_counter()) < end:
        number += 1
        body = json.dumps(
            [{"event_id": f"{sender}-{number}-{index}-{events}"} | event for index in range(events)]
        ).encode()
        head = (
            f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
            f"Content-Type: application/json\r\nIdempotency-Key: {sender}-{number}-{events}-{begin}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        begin = time.perf_counter()
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"}")
        if not answer.startswith(b"HTTP/1.1 202"):
            sys.exit(answer.decode())
        waits.append(time.perf_counter() - begin)
    writer.close()


if __name__ == "__main__":
    main()
