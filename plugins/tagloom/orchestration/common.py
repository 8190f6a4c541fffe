"""What the kinds of DAG share: assets, defaults, parameters."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from airflow.sdk import Asset

from tagloom.alerting.wording import BUILD
from tagloom.orchestration.alerts import tell_failure, tell_success

START_DATE = datetime(2017, 1, 1, tzinfo=UTC)

DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

BUILD_TAGS = BUILD

FIRST_IN_LINE = {"priority_weight": 100, "weight_rule": "absolute"}
"""Small batches go before what else waits for the warehouse: they take seconds, and somebody waits for their tags."""

log = logging.getLogger("tagloom")


def raw_asset(source_name: str) -> Asset:
    """The asset that says: this source's days have landed. Its events carry first_day, end_day and the row counts."""
    return Asset(name=f"raw_{source_name}", uri=f"tagloom://raw/{source_name}")


def layer_asset(layer: str) -> Asset:
    """The asset that says: this layer is built and checked. Its events carry every model's state, rows and seconds."""
    return Asset(name=layer, uri=f"tagloom://layer/{layer}")


PUBLISHED = Asset(name="published", uri="tagloom://published")
"""The asset that says: readers see a new version. Its events carry version and as_of_date."""


def default_arguments(owner: str = "tagloom") -> dict:
    """What every task gets when it says nothing else."""
    return {
        "owner": owner,
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "on_failure_callback": tell_failure,
        "on_success_callback": tell_success,
    }
