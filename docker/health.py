"""Exit with 0 when the API server calls a part of Airflow healthy, or the collector itself, else with 1 and a sentence.

One HTTP call instead of `airflow jobs check`, which takes five seconds of CPU each time.
Usage: python docker/health.py <root of the API server> <part, for example scheduler>
       python docker/health.py <root of the collector> collector
"""

import json
import sys
import urllib.request


def problem(server: str, part: str) -> str | None:
    """Return what is wrong with a part of Airflow or with the collector, or None when it is healthy."""
    if part == "collector":
        return _problem_of_the_collector(server)
    try:
        with urllib.request.urlopen(f"{server}/api/v2/monitor/health", timeout=5) as answer:
            state = json.load(answer).get(part) or {}
    except (OSError, ValueError) as error:
        return f"The API server at {server} does not answer: {error}."
    status = state.get("status")
    return None if status == "healthy" else f"The {part} is {status or 'not running'}."


def _problem_of_the_collector(server: str) -> str | None:
    try:
        with urllib.request.urlopen(f"{server}/health", timeout=5):
            return None
    except OSError as error:
        return f"The collector at {server} does not take events: {error}."


if __name__ == "__main__":
    sys.exit(problem(*sys.argv[1:]))
