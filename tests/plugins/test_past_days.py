"""Any past day can be built again: tables of facts and tags come out as they were when the day was the last one."""

from __future__ import annotations

import re
from datetime import date

import pytest
from tagloom.landing.land import land_source
from tagloom.publish import table_hash
from tagloom.settings import Settings
from tagloom.sources import load_sources
from tagloom.transform import run_dbt
from tagloom.warehouse import open_warehouse

from sample_data.landing import write_landing
from sample_data.small import small_world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FIRST_DELIVERY, NEXT_DELIVERY = date(2017, 1, 2), date(2017, 1, 13)

PAST_DAY, LAST_DAY = date(2017, 1, 8), date(2017, 1, 11)

LAYERS = ("intermediate", "tag_category", "tag_integration", "serving")

REMEMBERING = re.compile(r"history|tag_(statistics|distributions|scores|catalog)$")
"""Tables that keep a row for each day there was, or say how long a run took: they know of the later day, and should."""


def test_a_past_day_is_built_again_as_it_was(settings: Settings) -> None:
    write_landing(small_world(), settings.landing, load_sources(settings.sources))
    with open_warehouse(settings) as connection:
        for source in load_sources(settings.sources):
            land_source(connection, settings, source, FIRST_DELIVERY, NEXT_DELIVERY, "test")
    then = built(settings, PAST_DAY)
    assert {name.split(".")[0] for name in then} == set(LAYERS)
    last = built(settings, LAST_DAY)
    changed = {name for name in then if then[name] != last[name]}
    assert {"intermediate.int_orders", "tag_category.tag_consumption__spend"} <= changed, "the days differ"
    again = built(settings, PAST_DAY)
    assert then.keys() == again.keys()
    assert [name for name in then if then[name] != again[name]] == []


def built(settings: Settings, day: date) -> dict[str, str]:
    """Build every layer in full, and return schema.table -> hash of its rows."""
    run_dbt(settings, ["build", "--exclude-resource-type", "unit_test", "test"], day)
    with open_warehouse(settings) as connection:
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() where list_contains(?, schema_name) order by all",
            [list(LAYERS)],
        ).fetchall()
        return {
            f"{schema}.{name}": table_hash(connection, schema, name)
            for schema, name in tables
            if not REMEMBERING.search(name)
        }
