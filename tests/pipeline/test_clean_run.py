"""One undisturbed run of every DAG over a tiny world."""

from __future__ import annotations

import json
import re

import pytest
from tagloom.publish import current_version, open_current
from tagloom.transform import LAYERS
from tagloom.warehouse import open_warehouse

from sample_data.accuracy import measure_accuracy
from tests.pipeline.conftest import INGESTS, History, airflow_rows, rows_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_every_run_succeeds(clean: History) -> None:
    assert [(result["dag"], result["state"]) for result in clean.results] == [
        *((ingest["dag"], "success") for ingest in INGESTS),
        ("build_tags", "success"),
        ("document_models", "success"),
    ]


def test_a_version_of_the_last_complete_local_day_is_published(clean: History) -> None:
    version = current_version(clean.settings)
    assert version.as_of_date == "2017-01-11"
    assert {"tag_integration.person_tags", "serving.report_sales_by_segment"} <= version.tables.keys()
    assert not list(clean.settings.published.glob(".draft-*"))
    with open_current(clean.settings) as connection:
        for table, rows in version.tables.items():
            assert connection.execute(f"select count(*) from {table}").fetchall() == [(rows,)], table


def test_no_basket_and_no_cent_is_lost(clean: History) -> None:
    lines = clean.world["pos.basket_lines"]
    ((orders, sales),) = rows_of(
        clean.settings, "select sum(orders), sum(sales_amount)::double from serving.report_sales_by_segment"
    )
    assert orders == lines["basket_id"].nunique()
    assert sales == pytest.approx(lines["sales_value"].astype(float).sum(), abs=0.005)


def test_no_line_is_lost_for_a_missing_catalogue_entry(clean: History) -> None:
    lines = clean.world["pos.basket_lines"]
    known = set(clean.world["catalogue.products"]["product_id"].astype(str))
    missing = int((~lines["product_id"].astype(str).isin(known)).sum())
    assert missing > 0, "the world no longer has this trap"
    query = "select count(*), count(*) filter (not is_in_catalogue) from intermediate.int_order_lines"
    assert rows_of(clean.settings, query) == [(len(lines), missing)]


def test_every_card_is_a_person_with_tags(clean: History) -> None:
    ((cards, persons),) = rows_of(
        clean.settings,
        """
        select count(*), count(person_tags.person_id)
        from identity_mapping.identity_map
        left join tag_integration.person_tags using (person_id)
        where identifier_type = 'loyalty_card'
        """,
    )
    assert cards == persons == clean.world["loyalty.cards"]["card_number"].nunique()


def test_there_is_one_row_per_person(clean: History) -> None:
    ((rows, distinct, persons),) = rows_of(
        clean.settings,
        """
        select count(*), count(distinct person_id), (select count(*) from identity_mapping.persons)
        from tag_integration.person_tags
        """,
    )
    assert rows == distinct == persons > 0


def test_coupons_do_not_fan_out_and_each_was_handed_in_on_a_day_with_an_order(clean: History) -> None:
    coupons = clean.world["campaigns.coupons"]
    assert coupons.duplicated().any(), "the world no longer has this trap"
    ((rows, distinct, on_order_day),) = rows_of(
        clean.settings,
        """
        select count(*), count(distinct redemption_id), count(*) filter (is_on_order_day)
        from intermediate.int_coupon_redemptions
        """,
    )
    assert rows == distinct == on_order_day == len(clean.world["campaigns.redemptions"])


def test_persons_are_right(clean: History) -> None:
    with open_warehouse(clean.settings) as connection:
        accuracy = measure_accuracy(connection, clean.settings.home / "truth")
    assert accuracy.records == len(clean.world["truth.records"])
    assert accuracy.precision >= 0.99
    assert accuracy.recall >= 0.90


def test_rows_read_are_landed_quarantined_or_duplicates(clean: History) -> None:
    lines = rows_of(
        clean.settings,
        "select source || '.' || table_name, status, rows_read, rows_landed, rows_quarantined, duplicates "
        "from operations.landing_log",
    )
    assert {name for name, *_ in lines} == {name for name in clean.world if not name.startswith("truth.")}
    for name, status, read, landed, quarantined, duplicates in lines:
        assert status == "landed", name
        assert read == landed + quarantined + duplicates == len(clean.world[name]), name


def test_quarantined_rows_say_where_they_are_from_and_why(clean: History) -> None:
    rows = rows_of(
        clean.settings, "select source, table_name, source_file, line, day, reason, raw from operations.quarantine"
    )
    ((expected,),) = rows_of(clean.settings, "select sum(rows_quarantined) from operations.landing_log")
    assert len(rows) == expected > 0
    for source, table, file, line, day, reason, raw in rows:
        assert file.startswith(f"{source}/")
        assert (table, str(day) in file, line > 1) == ("sightings", True, True)
        assert reason
        assert raw


def test_catalogue_and_statistics_agree_with_the_tags(clean: History) -> None:
    columns = {
        name: {column for (column,) in rows_of(clean.settings, f"select column_name from (describe {table})")}
        for name, table in (
            ("person", "tag_integration.person_tags"),
            ("household", "tag_integration.household_tags"),
            ("product", "tag_integration.product_tags"),
            ("store", "tag_integration.store_tags"),
        )
    }
    catalogue = set(rows_of(clean.settings, "select object, tag from tag_integration.tag_catalog"))
    assert catalogue == {(name, tag) for name, tags in columns.items() for tag in tags - {f"{name}_id"}}
    statistics = rows_of(
        clean.settings,
        "select object, tag, objects, filled, coverage::double, as_of_date::varchar "
        "from tag_integration.tag_statistics "
        "where as_of_date = (select max(as_of_date) from tag_integration.tag_statistics)",
    )
    # The small world has a family, but it never shows its phone: there may be no household at all.
    (households,) = rows_of(clean.settings, "select count(*) > 0 from tag_integration.household_tags")[0]
    assert {(name, tag) for name, tag, *_ in statistics} == {
        (name, tag) for name, tag in catalogue if name != "household" or households
    }
    counted = {}
    for name, tags in columns.items():
        listed = sorted(tags)
        counts = ", ".join(f'count("{tag}")' for tag in listed)
        ((objects, *filled),) = rows_of(clean.settings, f"select count(*), {counts} from tag_integration.{name}_tags")
        counted |= {(name, tag): (objects, number) for tag, number in zip(listed, filled, strict=True)}
    for name, tag, objects, filled, coverage, day in statistics:
        assert (objects, filled) == counted[name, tag], tag
        assert coverage == (pytest.approx(filled / objects, abs=0.0001) if objects else None), tag
        assert day == "2017-01-11"


def test_the_documentation_is_one_file(clean: History) -> None:
    page = (clean.settings.dbt_target / "static_index.html").read_text(encoding="utf-8")
    assert "person_tags" in page


def test_events_of_the_layers_carry_state_rows_and_seconds_of_every_model(clean: History) -> None:
    events = dict(
        airflow_rows(
            clean.settings,
            "select asset.name, asset_event.extra from asset_event join asset on asset.id = asset_event.asset_id",
        )
    )
    landed = {f"raw_{ingest['dag'].removeprefix('ingest_')}" for ingest in INGESTS}
    assert events.keys() == {*landed, *LAYERS, "published"}
    views = set(rows_of(clean.settings, "select schema_name, view_name from duckdb_views()"))
    for layer in LAYERS:
        extra = json.loads(events[layer])
        assert extra["as_of_date"] == "2017-01-11"
        assert extra["models"], layer
        for name, model in extra["models"].items():
            assert model["status"] == "success", name
            assert model["seconds"] > 0, name
            assert (layer, name) in views or model["rows"] is not None, name
        if layer != "staging":
            assert extra["data_tests"] > 0
        assert extra["checks"]["passed"] > 0


def test_every_check_was_measured(clean: History) -> None:
    outcomes = rows_of(
        clean.settings,
        "select layer, count(*), count(*) filter (outcome in ('passed', 'warned')) "
        "from operations.check_results group by layer",
    )
    assert {layer for layer, *_ in outcomes} == {"landing", *LAYERS}
    for layer, checks, told in outcomes:
        assert checks == told, layer


def test_nothing_personal_is_above_staging_or_in_a_log(clean: History) -> None:
    secrets = {
        str(value)
        for table, columns in (
            ("loyalty.cards", ("email", "phone", "card_number")),
            ("crm.customers", ("email", "phone", "national_id")),
            ("accounts.accounts", ("email",)),
        )
        for column in columns
        for value in clean.world[table][column].dropna()
        if len(str(value)) >= 7
    }
    assert secrets
    log = clean.settings.home.parent / "clean_run.log"
    words = set(re.findall(r"[\w.+@-]+", log.read_text(encoding="utf-8", errors="replace")))
    for path in clean.settings.dbt_logs.glob("*.log"):
        words |= set(re.findall(r"[\w.+@-]+", path.read_text(encoding="utf-8", errors="replace")))
    assert not secrets & words
    tables = rows_of(
        clean.settings,
        "select schema_name, table_name from duckdb_tables() where schema_name not like 'raw_%' "
        "and schema_name <> 'operations' and table_name not like 'export_%'",
    )
    for schema, table in tables:
        for row in rows_of(clean.settings, f"from {schema}.{table}"):
            assert not secrets & {str(value) for value in row}, f"{schema}.{table}"
