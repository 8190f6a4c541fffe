"""`make demo`: makes the demo data, runs every DAG in the foreground and says what came out."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from tagloom.environment import airflow_environment, load_environment_file
from tagloom.service import prepare_metadata
from tagloom.settings import PROJECT, Settings, load_settings
from tagloom.sources import load_sources
from tagloom.warehouse import open_warehouse

from sample_data.accuracy import load_truth
from sample_data.demo import make

FIRST_DAY, END_DAY = date(2017, 1, 1), date(2018, 1, 2)
"""UTC days of the demo's files; the last one holds the last evening in New York."""

AS_OF_DATE = date(2017, 12, 31)

Report = Callable[[str], None]


def main() -> int:
    """Run the demo; 1 when a DAG failed or something is missing."""
    try:
        return run_demo()
    except Exception as error:
        # Every error that is foreseen carries a sentence for people; the log has the rest.
        logging.getLogger("tagloom").debug("demo failed", exc_info=True)
        print(f"\n{error}", file=sys.stderr)
        return 1


def run_demo() -> int:
    """Make the data, run the DAGs, print the summary."""
    settings = prepare()
    started = time.monotonic()
    report = timed_report(started)
    make(settings, report=lambda text: print(text, flush=True))
    data_seconds = time.monotonic() - started
    prepare_metadata(settings, report=report)
    ready_seconds = time.monotonic() - started - data_seconds
    with open_warehouse(settings) as connection:
        load_truth(connection, settings.home / "truth")
    with background_output(settings.home / "logs" / "demo.log") as screen:
        report = timed_report(started, screen)
        state, seconds = run_dags(settings, report)
    if state != "success":
        print(f"\nThe run failed. Log: {settings.home / 'logs' / 'demo.log'}", file=sys.stderr)
        return 1

    from sample_data.summary import print_summary

    print_summary(settings, {"demo data": data_seconds, "Airflow's database": ready_seconds, **seconds})
    return 0


def prepare() -> Settings:
    """Settings and environment of this checkout, with `.env`; the demo needs them before Airflow is imported."""
    load_environment_file(PROJECT / ".env")
    settings = load_settings()
    settings.make_folders()
    os.environ.update(airflow_environment(settings))
    return settings


def run_dags(settings: Settings, report: Report) -> tuple[str, dict[str, float]]:
    """Run ingest_<source> for every source, then what follows; stop at the first that fails.

    Returns the state of the last run and the seconds of each part. A run that assets would start is started here by
    hand, since nothing schedules in the foreground.
    """
    from tagloom.orchestration import foreground_run

    seconds: dict[str, float] = {}
    days = {"first_day": FIRST_DAY.isoformat(), "end_day": END_DAY.isoformat()}
    runs = [(f"ingest_{source.name}", days) for source in load_sources(settings.sources)]
    runs.append(("build_tags", {"as_of_date": AS_OF_DATE.isoformat()}))
    runs.append(("document_models", {}))
    state = ""
    for dag_id, conf in runs:
        report(f"DAG {dag_id}")
        started = time.monotonic()
        with progress_of_tasks(report):
            state = foreground_run(dag_id, conf)
        part = "ingest" if dag_id.startswith("ingest_") else dag_id
        seconds[part] = seconds.get(part, 0) + time.monotonic() - started
        if state != "success":
            report(f"DAG {dag_id}: {state}")
            break
    return state, seconds


def timed_report(started: float, screen: Callable[[str], object] | None = None) -> Report:
    """A function that prints a line with the seconds since `started`."""
    write = screen or (lambda text: print(text, flush=True))
    return lambda text: write(f"[{time.monotonic() - started:6.1f} s] {text}")


@contextmanager
def background_output(log: Path) -> Iterator[Callable[[str], object]]:
    """Send everything that Airflow, dbt and Soda print to a file, and yield a function that prints to the screen.

    The file descriptors themselves are turned round, because libraries keep hold of sys.stdout.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    with log.open("ab") as file, os.fdopen(os.dup(1), "w", encoding="utf-8") as screen:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
        try:
            yield lambda text: print(text, file=screen, flush=True)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, original in zip((1, 2), kept, strict=True):
                os.dup2(original, descriptor)
                os.close(original)


@contextmanager
def progress_of_tasks(report: Report) -> Iterator[None]:
    """Show what Tagloom's own tasks log, one line each."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            report(f"  {record.getMessage()}")

    logger, handler = logging.getLogger("tagloom"), Handler(logging.INFO)
    handler.addFilter(lambda record: record.name == "tagloom")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


if __name__ == "__main__":
    sys.exit(main())
