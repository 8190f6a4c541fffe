"""Exit with 0 when the API server calls a part of Airflow healthy, else with 1 and a sentence.

One HTTP call instead of `airflow jobs check`, which takes five seconds of CPU each time.
Usage: python docker/health.py <root of the API server> <part, for example scheduler>
"""

import json
import sys
import urllib.request


def problem(server: str, part: str) -> str | None:
    """Return what is wrong with a part of Airflow, or None when it is healthy."""
    try:
        with urllib.request.urlopen(f"{server}/api/v2/monitor/health", timeout=5) as answer:
            state = json.load(answer).get(part) or {}
    except (OSError, ValueError) as error:
        return f"The API server at {server} does not answer: {error}."
    status = state.get("status")
    return None if status == "healthy" else f"The {part} is {status or 'not running'}."


if __name__ == "__main__":
    sys.exit(problem(*sys.argv[1:]))
