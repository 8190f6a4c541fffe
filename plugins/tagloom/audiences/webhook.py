"""Posts an export to a webhook in batches of JSON: each is tried again, and has a key by which it is known again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb

from tagloom.audiences.export_book import ExportError
from tagloom.portal.store.audiences import ExportRun
from tagloom.portal.store.base import open_store

if TYPE_CHECKING:
    import httpx

    from tagloom.audiences.exports import Counts, Job

ATTEMPTS = 4
FIRST_WAIT_SECONDS = 0.5
"""Doubled after each attempt; a server that says Retry-After is waited for, up to LONGEST_WAIT_SECONDS."""
LONGEST_WAIT_SECONDS = 30
TIMEOUT_SECONDS = 30


def post_batches(
    connection: duckdb.DuckDBPyConnection,
    job: Job,
    counts: Counts,
    address: str,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Post the rows of the temporary table `sent`, going on after the last batch that was taken.

    A batch has the header Idempotency-Key, the same whenever it is sent again: a receiver that has seen it may answer
    200 and do nothing. Raises ExportError when a batch is refused, or not taken after ATTEMPTS attempts.
    """
    # Only who has a webhook pays for it.
    import httpx

    size = job.config.batch_rows
    batches = -(-counts.rows // size)
    done = job.run.batches
    rows = connection.execute("select * from sent order by person_id limit ? offset ?", [counts.rows, done * size])
    names = [column[0] for column in rows.description]
    with httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False) as client:
        for number in range(done + 1, batches + 1):
            persons = [dict(zip(names, row, strict=True)) for row in rows.fetchmany(size)]
            message = {
                "export": job.export.name,
                "audience": job.audience.path,
                "published_version": job.snapshot.name,
                "as_of_date": job.snapshot.as_of_date,
                "batch": number,
                "batches": batches,
                "persons": persons,
            }
            key = f"{job.export.id}-{job.snapshot.name}-{job.run.form}-{number}"
            _post(client, address, json.dumps(message, default=_plain, ensure_ascii=False).encode(), key, sleep)
            _note(job, number)


def _post(client: httpx.Client, address: str, content: bytes, key: str, sleep: Callable[[float], None]) -> None:
    import httpx

    headers = {"content-type": "application/json", "idempotency-key": key, "user-agent": "tagloom"}
    wait = FIRST_WAIT_SECONDS
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answer = client.post(address, content=content, headers=headers)
            problem = f"answered {answer.status_code}"
            if answer.is_success:
                return
            if answer.status_code < 500 and answer.status_code not in (408, 425, 429):
                raise ExportError(f"The webhook {problem} to batch {key.rpartition('-')[2]}; nothing more was sent.")
            wait = max(wait, _retry_after(answer))
        except httpx.HTTPError as error:
            # The address is a secret: the message of the exception may show it.
            problem = f"could not be reached ({type(error).__name__})"
        if attempt < ATTEMPTS:
            sleep(min(wait, LONGEST_WAIT_SECONDS))
            wait *= 2
    raise ExportError(
        f"The webhook {problem} {ATTEMPTS} times; the next run goes on with batch {key.rpartition('-')[2]}."
    )


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else 0.0


def _note(job: Job, batch: int) -> None:
    with open_store(job.settings).transaction() as session:
        session.get_one(ExportRun, job.run.id).batches = batch


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no form in JSON.")
