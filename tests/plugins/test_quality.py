"""Soda runs for real over DuckDB in memory: every outcome, and every way in which a check could tell nothing."""

import logging
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from tagloom.landing.land import land_source
from tagloom.quality import CheckResult, check_layer, record_results
from tagloom.settings import PROJECT, load_settings
from tagloom.sources import load_sources

from sample_data.landing import last_local_day, write_landing
from sample_data.small import small_world

AS_OF_DATE = date(2017, 12, 31)
HEAD = """
dataset: warehouse/staging/cards
variables: {AS_OF_DATE: {}}
check_attributes: {owner: loyalty@example.com, what_to_do: Ask the loyalty team., key: [card_number]}
"""


@pytest.fixture
def warehouse():
    connection = duckdb.connect()
    connection.execute("create schema staging")
    connection.execute(
        """
        create table staging.cards as
        select
            cast(100000000000 + number as varchar) as card_number,
            if(number % 10 = 0, null, 'active') as status,
            number as visits,
            date '2017-12-29' as seen_on
        from range(100) as numbers (number)
        """
    )
    connection.execute("create table staging.empty (card_number varchar, visits integer)")
    return connection


@pytest.fixture
def contracts(tmp_path):
    folder = tmp_path / "contracts"
    (folder / "staging").mkdir(parents=True)
    return folder


def check(warehouse, contracts: Path, text: str, name: str = "cards") -> list[CheckResult]:
    (contracts / "staging" / f"{name}.yml").write_text(text, encoding="utf-8")
    return check_layer(warehouse, contracts, "staging", "run-1", AS_OF_DATE)


def test_each_outcome_with_value_threshold_owner_and_sample(warehouse, contracts):
    results = check(
        warehouse,
        contracts,
        HEAD
        + """
columns:
  - name: status
    checks:
      - missing:
          name: At most a twentieth of the cards lacks a status
          threshold: {metric: percent, must_be_less_than_or_equal: 5}
          attributes: {owner: data@example.com, what_to_do: Ask for the file again.}
  - name: visits
    checks:
      - invalid:
          name: No card has a silly number of visits
          valid_max: 97
          threshold: {must_be: 0, level: warn}
checks:
  - row_count: {name: There are cards at all}
  - metric:
      name: The newest card was seen at most a week ago
      query: select date_diff('day', max(seen_on), date '${var.AS_OF_DATE}') from staging.cards
      threshold: {must_be_between: {greater_than_or_equal: 0, less_than_or_equal: 7}}
""",
    )
    found = {result.name: result for result in results}
    assert {name: result.outcome for name, result in found.items()} == {
        "At most a twentieth of the cards lacks a status": "failed",
        "No card has a silly number of visits": "warned",
        "There are cards at all": "passed",
        "The newest card was seen at most a week ago": "passed",
    }
    failed = found["At most a twentieth of the cards lacks a status"]
    assert (failed.measured, failed.measured_text, failed.threshold) == (10.0, "10 %", "at most 5 %")
    assert (failed.owner, failed.what_to_do) == ("data@example.com", "Ask for the file again.")
    assert failed.sample == ("10••••••••00", "10••••••••10", "10••••••••20", "10••••••••30", "10••••••••40")
    assert (failed.layer, failed.table, failed.column) == ("staging", "staging.cards", "status")
    assert (failed.run_id, failed.as_of_date, failed.contract) == ("run-1", AS_OF_DATE, "staging/cards.yml")
    assert failed.stops
    warned = found["No card has a silly number of visits"]
    assert (warned.measured, warned.sample, warned.stops) == (2.0, ("10••••••••98", "10••••••••99"), False)
    newest = found["The newest card was seen at most a week ago"]
    assert (newest.measured, newest.owner, newest.sample) == (2.0, "loyalty@example.com", ())
    assert all(result.milliseconds > 0 for result in results)


def test_the_connection_stays_open_and_unchanged(warehouse, contracts):
    warehouse.execute("set time zone 'UTC'")
    before = warehouse.execute("select table_schema, table_name from information_schema.tables order by all").fetchall()
    check(warehouse, contracts, HEAD + "columns: []\nchecks:\n  - row_count: {name: There are cards}\n")
    after = warehouse.execute("select table_schema, table_name from information_schema.tables order by all").fetchall()
    assert before == after
    assert warehouse.execute("select current_setting('TimeZone')").fetchone() == ("UTC",)


def test_both_levels_in_one_check(warehouse, contracts):
    text = (
        HEAD
        + """
columns:
  - name: status
    checks:
      - missing:
          name: Hardly a card lacks a status
          threshold: {metric: percent, must_be_less_than: FAIL, additional: {level: warn, must_be_less_than: 1}}
"""
    )
    assert check(warehouse, contracts, text.replace("FAIL", "50"))[0].outcome == "warned"
    assert check(warehouse, contracts, text.replace("FAIL", "5"))[0].outcome == "failed"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEAD + "columns: []\nchecks:\n  - rowcount: {name: There are cards}\n", "did you mean 'row_count'?"),
        (HEAD + "columns: [\n", "is not readable as YAML"),
        (
            HEAD + "columns: [{name: sttus}]\nchecks:\n  - row_count: {name: There are cards}\n",
            "columns: staging.cards has no column sttus",
        ),
        (
            HEAD.replace("AS_OF_DATE: {}", "SHOP: {}")
            + "columns: []\nchecks:\n  - row_count: {name: There are cards}\n",
            "variables: SHOP has no value; a run gives AS_OF_DATE, ROWS_BEFORE only",
        ),
        (
            HEAD
            + """
columns:
  - name: status
    checks:
      - invalid:
          name: Every status is known
          valid_reference_data: {dataset: warehouse/staging/statuses, column: status}
""",
            "columns.status.checks.invalid.valid_reference_data: there is no column staging.statuses.status",
        ),
    ],
)
def test_a_contract_that_cannot_be_verified_is_not_evaluated(warehouse, contracts, text, problem):
    (result,) = check(warehouse, contracts, text)
    assert (result.outcome, result.check_type, result.stops) == ("not evaluated", "contract", True)
    assert result.problem.startswith("staging/cards.yml: ")
    assert problem in result.problem


def test_a_missing_table_is_not_evaluated_and_has_an_owner(warehouse, contracts):
    text = (
        HEAD.replace("staging/cards", "staging/crads") + "columns: []\nchecks:\n  - row_count: {name: There are cards}"
    )
    (result,) = check(warehouse, contracts, text, name="crads")
    assert result.outcome == "not evaluated"
    assert result.problem.startswith(
        "staging/crads.yml: dataset: the table staging.crads does not exist in the warehouse"
    )
    assert (result.owner, result.table) == ("loyalty@example.com", "staging.crads")


BAD_SQL = (
    HEAD
    + """
columns:
  - name: status
    checks:
      - missing: {name: Every card has a status}
checks:
  - row_count: {name: There are cards}
  - CHECK
"""
)


@pytest.mark.parametrize(
    "bad",
    [
        "metric: {name: The number is right, query: select max(nope) from staging.cards, threshold: {must_be: 1}}",
        "metric: {name: The number is right, expression: max(nope), threshold: {must_be: 1}}",
        "failed_rows: {name: The number is right, expression: nope > 1}",
        "failed_rows: {name: The number is right, query: select nope from staging.cards}",
    ],
)
@pytest.mark.parametrize("silenced", [False, True])
def test_sql_that_fails_is_not_evaluated_even_with_the_log_silenced(warehouse, contracts, bad, silenced):
    if silenced:
        logging.disable(logging.CRITICAL)
    try:
        results = check(warehouse, contracts, BAD_SQL.replace("CHECK", bad))
    finally:
        logging.disable(logging.NOTSET)
    found = {result.name: result for result in results}
    result = found["The number is right"]
    kind = bad.split(":")[0]
    assert result.outcome == "not evaluated"
    assert f'staging/cards.yml: checks.{kind}: its SQL fails: Binder Error: Referenced column "nope"' in result.problem
    assert "\n" not in result.problem
    for other in found.values():
        assert other.outcome != "not evaluated" or "nope" in other.problem


def test_a_measure_of_nothing_is_not_evaluated(warehouse, contracts):
    text = """
dataset: warehouse/staging/empty
check_attributes: {owner: loyalty@example.com, what_to_do: Ask.}
columns: []
checks:
  - metric: {name: Somebody visited us once, expression: max(visits), threshold: {must_be_greater_than: 0}}
"""
    (result,) = check(warehouse, contracts, text, name="empty")
    assert (result.outcome, result.measured, result.measured_text) == ("not evaluated", None, "nothing")
    assert "it measured nothing, for example because the table staging.empty is empty" in result.problem


def test_a_query_without_a_row_is_not_evaluated(warehouse, contracts):
    text = HEAD + "columns: []\nchecks:\n  - metric: {name: It finds a row, query: QUERY, threshold: {must_be: 1}}\n"
    (result,) = check(warehouse, contracts, text.replace("QUERY", "select visits from staging.cards where false"))
    assert result.outcome == "not evaluated"


def test_an_empty_table_fails_its_row_count(warehouse, contracts):
    text = """
dataset: warehouse/staging/empty
check_attributes: {owner: loyalty@example.com, what_to_do: Ask.}
columns:
  - name: card_number
    checks:
      - missing: {name: Every card has a number}
checks:
  - row_count: {name: There are cards}
"""
    results = check(warehouse, contracts, text, name="empty")
    assert {result.name: result.outcome for result in results}["There are cards"] == "failed"


def test_one_bad_contract_does_not_hide_the_others(warehouse, contracts):
    (contracts / "staging" / "bad.yml").write_text("nonsense", encoding="utf-8")
    results = check(warehouse, contracts, HEAD + "columns: []\nchecks:\n  - row_count: {name: There are cards}\n")
    assert [result.outcome for result in results] == ["not evaluated", "passed"]


def test_a_layer_without_contracts_is_not_evaluated(warehouse, contracts):
    (result,) = check_layer(warehouse, contracts, "stagin", "run-1", AS_OF_DATE)
    assert result.outcome == "not evaluated"
    assert "stagin holds no contract" in result.problem


def test_progress_does_not_flood_the_log(warehouse, contracts, caplog):
    with caplog.at_level(logging.INFO):
        check(warehouse, contracts, HEAD + "columns: []\nchecks:\n  - row_count: {name: There are cards}\n")
    assert [record for record in caplog.records if record.name.startswith("soda")] == []


def test_soda_is_imported_late_and_silent(tmp_path):
    """Importing the module costs no Soda; running it phones nobody and reads no .env file above the packages."""
    script = """
import os, sys
from pathlib import Path
from dataclasses import replace
from datetime import date, timedelta
import tagloom.quality
assert not any(name.startswith("soda") for name in sys.modules), "imported early"
before = dict(os.environ)
tagloom.quality._soda()
changed = {name for name in os.environ if os.environ[name] != before.get(name)}
print(sorted(changed), "soda_core" in sys.modules)
from soda_core.common.env_config_helper import EnvConfigHelper
print(EnvConfigHelper().soda_core_telemetry_enabled)
"""
    plugins = Path(__file__).parents[2] / "plugins"
    environment = {"PYTHONPATH": str(plugins), "PATH": os.environ["PATH"], "SODA_CORE_TELEMETRY_ENABLED": "true"}
    command = [sys.executable, "-c", script]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert output.stdout.splitlines() == ["['SODA_CORE_TELEMETRY_ENABLED'] True", "0"]


def result(**changes) -> CheckResult:
    fields = {
        "run_id": "run-1",
        "as_of_date": AS_OF_DATE,
        "layer": "staging",
        "contract": "staging/cards.yml",
        "table": "staging.cards",
        "column": "",
        "name": "There are cards",
        "check_type": "row_count",
        "outcome": "passed",
        "measured": 3.0,
        "unit": "",
        "threshold": "more than 0",
        "owner": "loyalty@example.com",
        "what_to_do": "Ask.",
        "sample": ("10••01",),
        "problem": "",
        "milliseconds": 1.5,
    }
    return CheckResult(**{**fields, **changes})


SKELETON = """
dataset: warehouse/staging/cards
variables: {ROWS_BEFORE: {default: 0}}
check_attributes: {owner: machine@example.com, what_to_do: Look., key: [card_number]}
columns:
  - {name: card_number, data_type: varchar, checks: [{missing: {name: No row of cards lacks card_number}}]}
  - {name: status, data_type: varchar}
  - {name: visits, data_type: bigint}
  - {name: seen_on, data_type: date}
checks:
  - schema: {name: cards has the columns that its twin declares, allow_other_column_order: true}
  - metric:
      name: cards has about as many rows as before
      qualifier: rows
      attributes: {unit: times}
      expression: case when ${var.ROWS_BEFORE} < 10 then 1 else round(count(*) * 1.0 / ${var.ROWS_BEFORE}, 2) end
      threshold: {must_be_between: {greater_than_or_equal: 0.5, less_than_or_equal: 3}}
"""


@pytest.fixture
def with_skeleton(contracts):
    folder = contracts.parent / "skeleton" / "staging"
    folder.mkdir(parents=True)
    (folder / "cards.yml").write_text(SKELETON, encoding="utf-8")
    return contracts


def by_name(results: list[CheckResult]) -> dict[str, CheckResult]:
    return {result.name: result for result in results}


def test_the_written_part_is_verified_with_what_is_written_by_hand(warehouse, with_skeleton):
    text = HEAD + "columns: []\nchecks:\n  - row_count: {name: There are cards}\n"
    results = check(warehouse, with_skeleton, text)
    assert {result.name: (result.contract, result.outcome, result.owner) for result in results} == {
        "There are cards": ("staging/cards.yml", "passed", "loyalty@example.com"),
        "No row of cards lacks card_number": ("skeleton/staging/cards.yml", "passed", "machine@example.com"),
        "cards has the columns that its twin declares": ("skeleton/staging/cards.yml", "passed", "machine@example.com"),
        "cards has about as many rows as before": ("skeleton/staging/cards.yml", "passed", "machine@example.com"),
    }
    assert {result.table_rows for result in results if result.check_type != "schema"} == {100}


def test_a_source_that_has_never_delivered_stops_nothing(warehouse, with_skeleton):
    folder = with_skeleton.parent / "skeleton" / "landing" / "cinema"
    folder.mkdir(parents=True)
    text = SKELETON.replace("staging/cards", "raw_cinema/cards")
    (folder / "cards.yml").write_text(text, encoding="utf-8")
    assert check_layer(warehouse, with_skeleton, "landing", "run-1", AS_OF_DATE) == []
    # Somebody wrote a contract for it, so it is missed.
    hand = with_skeleton / "landing" / "cinema" / "cards.yml"
    hand.parent.mkdir(parents=True)
    hand.write_text(text.replace("machine@", "cinema@"), encoding="utf-8")
    (result,) = check_layer(warehouse, with_skeleton, "landing", "run-1", AS_OF_DATE)
    assert (result.outcome, result.table, result.owner) == ("not evaluated", "raw_cinema.cards", "cinema@example.com")


def test_columns_that_differ_are_named(warehouse, with_skeleton):
    warehouse.execute("alter table staging.cards add column colour varchar")
    warehouse.execute("alter table staging.cards alter column visits type varchar")
    found = by_name(check_layer(warehouse, with_skeleton, "staging", "run-1", AS_OF_DATE))
    schema = found["cards has the columns that its twin declares"]
    assert (schema.outcome, schema.measured) == ("failed", 2.0)
    assert schema.sample == ("colour is new", "visits is varchar, not bigint")


def remember(warehouse, days: int, rows: int, outcome: str = "passed", first: int = 1) -> None:
    """Keep results of so many days before, the last one `first` days before."""
    for back in range(first, first + days):
        day = AS_OF_DATE - timedelta(days=back)
        kept = result(run_id=f"{day}", as_of_date=day, outcome=outcome, table_rows=rows)
        record_results(warehouse, [kept])


def rows_check(warehouse, contracts) -> CheckResult:
    results = check_layer(warehouse, contracts, "staging", "now", AS_OF_DATE)
    return by_name(results)["cards has about as many rows as before"]


def test_rows_are_compared_with_the_days_before(warehouse, with_skeleton):
    remember(warehouse, days=6, rows=1000)
    assert (rows_check(warehouse, with_skeleton).outcome, rows_check(warehouse, with_skeleton).measured) == (
        "passed",
        1,
    )
    remember(warehouse, days=7, rows=1000)
    found = rows_check(warehouse, with_skeleton)
    assert (found.outcome, found.measured_text, found.threshold) == ("failed", "0.1 times", "between 0.5 and 3 times")


def test_of_a_day_built_twice_the_newest_run_counts_and_later_days_do_not(warehouse, with_skeleton):
    remember(warehouse, days=28, rows=10)
    remember(warehouse, days=28, rows=200)
    later = AS_OF_DATE + timedelta(days=1)
    record_results(
        warehouse, [result(run_id="later", as_of_date=later, table_rows=9), result(run_id="x", table_rows=9)]
    )
    assert rows_check(warehouse, with_skeleton).measured == 0.5


def test_days_with_a_failed_check_are_not_what_is_usual(warehouse, with_skeleton):
    remember(warehouse, days=20, rows=1, outcome="failed")
    remember(warehouse, days=7, rows=100, first=21)
    found = rows_check(warehouse, with_skeleton)
    assert (found.outcome, found.measured) == ("passed", 1)


def test_days_without_a_row_are_not_what_is_usual(warehouse, with_skeleton):
    remember(warehouse, days=22, rows=0)
    remember(warehouse, days=6, rows=90, first=23)
    assert rows_check(warehouse, with_skeleton).measured == 1
    remember(warehouse, days=1, rows=90, first=22)
    assert rows_check(warehouse, with_skeleton).measured == 1.11


def test_a_warehouse_of_an_older_version_knows_no_rows_and_learns_them(warehouse, with_skeleton):
    record_results(warehouse, [result()])
    warehouse.execute("alter table operations.check_results drop column table_rows")
    assert rows_check(warehouse, with_skeleton).measured == 1
    record_results(warehouse, [result(run_id="new", table_rows=5)])
    rows = warehouse.execute("select run_id, table_rows from operations.check_results order by 1").fetchall()
    assert rows == [("new", 5), ("run-1", None)]


def test_examples_that_tell_nothing_of_a_person_are_shown(warehouse, contracts):
    text = HEAD.replace("key: [card_number]", "key: [status], masked: false") + (
        "columns: []\nchecks:\n  - failed_rows: {name: No card is active, expression: status = 'active'}\n"
    )
    assert check(warehouse, contracts, text)[0].sample == ("active",)


def test_a_contract_that_soda_gives_up_on_does_not_hide_the_others(warehouse, with_skeleton, monkeypatch):
    from tagloom import quality

    run = quality._run_soda

    def stumble(connection, contract, variables):
        if contract.path.stem == "empty":
            raise RuntimeError("no way\nat all")
        return run(connection, contract, variables)

    monkeypatch.setattr(quality, "_run_soda", stumble)
    text = """
dataset: warehouse/staging/empty
check_attributes: {owner: loyalty@example.com, what_to_do: Ask.}
columns: []
checks:
  - row_count: {name: There are cards}
"""
    results = check(warehouse, with_skeleton, text, name="empty")
    broken = next(found for found in results if found.table == "staging.empty")
    assert (broken.outcome, broken.problem) == ("not evaluated", "staging/empty.yml: Soda gave up: no way")
    assert broken.owner == "loyalty@example.com"
    assert {found.outcome for found in results if found.table == "staging.cards"} == {"passed"}


def test_a_refused_contract_is_about_its_table(warehouse, contracts):
    text = HEAD + "columns: []\nchecks:\n  - rowcount: {name: There are cards}\n"
    (found,) = check(warehouse, contracts, text)
    assert (found.table, found.owner) == ("staging.cards", "loyalty@example.com")


def test_results_are_kept_and_a_rerun_replaces_its_own(warehouse):
    record_results(warehouse, [result(), result(name="No card is there twice", measured=None, sample=())])
    record_results(warehouse, [result(layer="serving")])
    record_results(warehouse, [result(run_id="run-2", outcome="failed")])
    record_results(warehouse, [result(outcome="failed")])
    rows = warehouse.execute(
        "select run_id, layer, check_name, outcome, measured, sample from operations.check_results order by all"
    ).fetchall()
    assert rows == [
        ("run-1", "serving", "There are cards", "passed", 3.0, ["10••01"]),
        ("run-1", "staging", "There are cards", "failed", 3.0, ["10••01"]),
        ("run-2", "staging", "There are cards", "failed", 3.0, ["10••01"]),
    ]


def test_results_are_kept_all_or_none(warehouse):
    record_results(warehouse, [result()])
    with pytest.raises(duckdb.Error):
        record_results(warehouse, [result(outcome="failed"), result(name=None)])
    assert warehouse.execute("select outcome from operations.check_results").fetchall() == [("passed",)]


@pytest.mark.parametrize(
    ("measured", "unit", "text"),
    [
        (12345.0, "", "12,345"),
        (2.5, " %", "2.5 %"),
        (0.123456, "", "0.1235"),
        (0.0, "", "0"),
        (123456.7, "", "123,456.7"),
    ],
)
def test_measured_values_are_readable(measured, unit, text):
    assert result(measured=measured, unit=unit).measured_text == text


@pytest.fixture(scope="module")
def landed(tmp_path_factory):
    """The small world, landed; tests break it inside a transaction that is rolled back."""
    settings = replace(load_settings(), landing=tmp_path_factory.mktemp("landing"))
    sources = load_sources(PROJECT / "sources")
    world = small_world()
    write_landing(world, settings.landing, sources)
    day = last_local_day(world)
    connection = duckdb.connect()
    connection.execute("set time zone 'UTC'")
    for source in sources:
        land_source(connection, settings, source, day - timedelta(days=30), day + timedelta(days=2), "run-1")
    return connection, day


def check_landing(landed) -> list[CheckResult]:
    connection, day = landed
    return check_layer(connection, PROJECT / "soda" / "contracts", "landing", "run-1", day)


def test_shipped_contracts_pass_over_a_healthy_world(landed):
    results = check_landing(landed)
    assert [result for result in results if result.outcome != "passed"] == []
    assert len(results) > 50


BREAKS = {
    "half of the card file is missing": (
        "delete from raw_loyalty.cards_history where hash(card_number) % 2 = 0",
        "failed",
        "The loyalty file knows the cards that are shown at the tills",
    ),
    "the card file is empty": ("delete from raw_loyalty.cards_history", "failed", "There is at least one loyalty card"),
    "a delivery came twice": (
        "insert into raw_loyalty.cards_history select * from raw_loyalty.cards_history",
        "failed",
        "No card number is issued twice",
    ),
    "e-mail addresses are gone": (
        "update raw_loyalty.cards_history set email = null",
        "failed",
        "Most cards have an e-mail address",
    ),
    "tills are silent for two days": (
        "delete from raw_pos.basket_lines where sold_at >= date '{day}' - interval 1 day",
        "failed",
        "The last sale known on the day is at most one day old",
    ),
    "one of ten tills delivered": (
        "delete from raw_pos.basket_lines where sold_at >= date '{day}' and hash(basket_id, product_id) % 10 > 0",
        "warned",
        "The day has about as many till lines as a day of the four weeks before",
    ),
    "cents instead of dollars": (
        "update raw_pos.basket_lines set sales_value = sales_value * 100 where sold_at >= date '{day}'",
        "failed",
        "A till line of the day is worth about as much as one of the four weeks before",
    ),
    "the catalogue lost a department": (
        "delete from raw_catalogue.products_history where department = 'GROCERY'",
        "failed",
        "The catalogue knows nearly all products that are sold",
    ),
    "tickets run backwards": (
        "update raw_support.tickets_history set closed_at = opened_at - interval 1 hour",
        "failed",
        "No ticket is closed before it is opened",
    ),
    "the web shop is broken": (
        "update raw_web.events set event = 'error_page'",
        "warned",
        "At most a fifth of the events of the last four weeks is an error",
    ),
    "a column was renamed": (
        "create or replace view raw_app.devices as select * rename (platform as os) from raw_app.devices_history",
        "not evaluated",
        "The contract landing/app/devices.yml can be verified",
    ),
    "a table is gone": (
        "drop view raw_survey.respondents",
        "not evaluated",
        "The contract landing/survey/respondents.yml can be verified",
    ),
}

ALONE = {
    "a day without a sale": (
        "delete from raw_pos.basket_lines where sold_at >= date '{day}'",
        "failed",
        "The day has about as many till lines as a day of the four weeks before",
    ),
    "cents instead of dollars": BREAKS["cents instead of dollars"],
    "a category for each product": (
        "update raw_catalogue.products_history set product_category = product_category || ' ' || product_id",
        "failed",
        "Most products share their category with another one",
    ),
    "a kind for each event": (
        "update raw_web.events set event = event || ' ' || event_id",
        "failed",
        "Hardly an event is the only one of its kind",
    ),
    "stores are written in another way": (
        "update raw_pos.basket_lines set store_id = '0' || store_id where sold_at >= date '{day}'",
        "failed",
        "Hardly a till line of the day is of a store that sold nothing in the four weeks before",
    ),
    "exact copies": (
        "update operations.landing_log set duplicates = rows_read // 2 where source = 'support'",
        "warned",
        "Hardly a row of the newest delivery of raw_support.tickets had come before",
    ),
    "a day without WiFi": (
        "delete from raw_wifi.sightings where seen_at >= date '{day}'",
        "warned",
        "On the day the stores' WiFi saw at least a twentieth of the devices of a usual day",
    ),
    "an undeclared type": (
        "create or replace view raw_app.devices as select * replace (cast(push_enabled as varchar) as push_enabled) "
        "from raw_app.devices_history",
        "failed",
        "raw_app.devices has the columns that its source declares",
    ),
}
"""What exactly one check sees."""


@pytest.mark.parametrize(("statement", "outcome", "name"), ALONE.values(), ids=ALONE.keys())
def test_one_fault_is_seen_by_one_check(landed, statement, outcome, name):
    connection, day = landed
    connection.begin()
    try:
        connection.execute(statement.format(day=day))
        results = check_landing(landed)
    finally:
        connection.rollback()
    assert {found.name: found.outcome for found in results if found.outcome != "passed"} == {name: outcome}


@pytest.mark.parametrize(("statement", "outcome", "name"), BREAKS.values(), ids=BREAKS.keys())
def test_shipped_contracts_see_a_broken_world(landed, statement, outcome, name):
    connection, day = landed
    connection.begin()
    try:
        connection.execute(statement.format(day=day))
        results = check_landing(landed)
    finally:
        connection.rollback()
    found = {result.name: result for result in results if result.outcome != "passed"}
    assert found[name].outcome == outcome
    assert "@" in found[name].owner
    rows_are_to_blame = found[name].check_type not in ("metric", "row_count", "contract")
    assert bool(found[name].sample) == rows_are_to_blame
