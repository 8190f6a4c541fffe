"""Publishing twenty times under eight clients: no request fails, and what one request shows is of one version."""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from fastapi import FastAPI
from starlette.testclient import TestClient
from tagloom.portal.serving import Serving

from tests.portal.tiny import publish_tiny

CLIENTS = 8
PUBLISHES = 20

COUNTED = """
    select count(*) as persons, sum(person_id)::bigint as total, (select any_value(name) from main.version) as name
    from tag_integration.person_tags
"""


def app_over(settings) -> FastAPI:
    """What every handler of the portal does: ask for a snapshot, then read several times from it."""
    app = FastAPI()
    serving = Serving(settings)

    @app.get("/")
    def answer() -> dict:
        snapshot = serving.snapshot()
        first = snapshot.row(COUNTED)
        again = snapshot.row(COUNTED)
        return {"name": snapshot.name, "persons": snapshot.persons, "answers": [first, again]}

    return app


def test_twenty_publishes_under_eight_clients(settings):
    publish_tiny(settings, 100)
    client = TestClient(app_over(settings))
    stop = threading.Event()
    answers: list[list[dict]] = [[] for _ in range(CLIENTS)]

    def ask(number: int) -> None:
        while not stop.is_set():
            response = client.get("/")
            assert response.status_code == 200, response.text
            answers[number].append(response.json())

    with ThreadPoolExecutor(CLIENTS) as pool:
        asking = [pool.submit(ask, number) for number in range(CLIENTS)]
        try:
            for number in range(1, PUBLISHES + 1):
                _wait_until_somebody_saw(publish_tiny(settings, 100 + number).name, answers)
        finally:
            stop.set()
        for future in asking:
            future.result()

    sizes = defaultdict(set)
    for answer in [answer for of_client in answers for answer in of_client]:
        for read in answer["answers"]:
            assert read["name"] == answer["name"]
            sizes[answer["name"]].add((answer["persons"], read["persons"], read["total"]))
    assert all(len(found) == 1 for found in sizes.values())
    assert all(persons == counted for found in sizes.values() for persons, counted, _ in found)
    assert len(sizes) >= PUBLISHES
    for of_client in answers:
        # Nobody sees an older version after a newer one.
        seen = [answer["persons"] for answer in of_client]
        assert seen == sorted(seen)


def _wait_until_somebody_saw(name: str, answers: list[list[dict]], seconds: float = 20) -> None:
    deadline = perf_counter() + seconds
    while not any(of_client and of_client[-1]["name"] == name for of_client in answers):
        assert perf_counter() < deadline, f"nobody saw {name}"
        threading.Event().wait(0.005)
