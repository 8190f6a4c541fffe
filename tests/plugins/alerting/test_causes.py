"""Hints at why a check failed, from what is unusual about the deliveries below its table."""

from datetime import date, datetime, timedelta
from types import SimpleNamespace

import duckdb
import pytest
from tagloom.alerting.causes import (
    MOST_SENTENCES,
    causes_of_failed_models,
    compared_tables,
    probable_causes,
    raw_tables_below,
)
from tagloom.operations import create_operations_tables
from tagloom.warehouse import open_warehouse

DAY = date(2017, 12, 31)
MANIFEST = {
    "nodes": {
        "model.orders": {"resource_type": "model", "schema": "intermediate", "name": "int_orders"},
        "model.lines": {"resource_type": "model", "schema": "staging", "name": "stg_lines"},
        "test.x": {"resource_type": "test", "schema": "tests", "name": "int_orders"},
    },
    "sources": {
        "source.lines": {"schema": "raw_pos", "identifier": "lines"},
        "source.cards": {"schema": "raw_loyalty", "identifier": "cards"},
        "source.decisions": {"schema": "operations", "identifier": "identity_decisions"},
    },
    "parent_map": {
        "model.orders": ["model.lines", "source.decisions"],
        "model.lines": ["source.lines"],
        "source.lines": [],
    },
}


@pytest.fixture
def warehouse():
    with duckdb.connect() as connection:
        create_operations_tables(connection)
        yield connection


def land(connection, day: date, read: int, bad: int = 0, repeated: int = 0, source: str = "pos") -> None:
    columns = "source, table_name, first_day, end_day, status, rows_read, rows_quarantined, duplicates, logged_at"
    connection.execute(
        f"insert into operations.landing_log ({columns}) values (?, 'lines', ?, ?, 'landed', ?, ?, ?, ?)",
        [source, day, day + timedelta(days=1), read, bad, repeated, datetime(day.year, day.month, day.day, 12)],
    )


def usual(connection, read: int = 1000, bad: int = 0, repeated: int = 0) -> None:
    for before in range(8, 0, -1):
        land(connection, DAY - timedelta(days=before), read, bad, repeated)


def causes(connection, table: str = "raw_pos.lines") -> tuple[str, ...]:
    return probable_causes(connection, MANIFEST, table, DAY)


def test_lineage_leads_down_to_raw_tables():
    assert raw_tables_below(MANIFEST, "intermediate.int_orders") == [("pos", "lines")]
    assert raw_tables_below(MANIFEST, "raw_loyalty.cards") == [("loyalty", "cards")]
    assert raw_tables_below({}, "intermediate.int_orders") == []


@pytest.mark.parametrize(
    ("newest", "sentence"),
    [
        ({"read": 0}, "The newest delivery of pos.lines was empty; usually it has 1,000 rows."),
        ({"read": 499}, "The newest delivery of pos.lines had 499 rows; usually it has 1,000."),
        ({"read": 2001}, "The newest delivery of pos.lines had 2,001 rows, 2.0 times as many as usual."),
        ({"read": 1000, "repeated": 60}, "6% of the rows in the newest delivery of pos.lines were repeated."),
        ({"read": 1000, "bad": 3}, "3 of 1,000 rows of pos.lines were bad and went to quarantine."),
    ],
)
def test_an_unusual_delivery_is_named(warehouse, newest, sentence):
    usual(warehouse)
    land(warehouse, DAY, **newest)
    assert causes(warehouse) == (sentence,)
    assert causes(warehouse, "intermediate.int_orders") == (sentence,)


@pytest.mark.parametrize("newest", [{"read": 500}, {"read": 2000}, {"read": 1000, "repeated": 50}])
def test_what_is_nearly_usual_is_no_cause(warehouse, newest):
    usual(warehouse)
    land(warehouse, DAY, **newest)
    assert causes(warehouse) == ()


def test_what_is_always_so_is_no_cause(warehouse):
    usual(warehouse, bad=10, repeated=100)
    land(warehouse, DAY, 1000, 12, 120)
    assert causes(warehouse) == ()


def test_a_first_delivery_can_be_compared_with_nothing(warehouse):
    land(warehouse, DAY, 10)
    assert causes(warehouse) == ()


def test_what_is_late_or_never_came_is_named(warehouse):
    assert causes(warehouse) == ("pos.lines has never landed.",)
    usual(warehouse)
    assert causes(warehouse) == ("pos.lines is late: what has landed ends with 2017-12-30, not 2017-12-31.",)


def test_changed_columns_are_named_and_the_list_is_short(warehouse):
    land(warehouse, DAY, 10)
    for number in range(MOST_SENTENCES + 2):
        warehouse.execute(
            "insert into operations.column_drift (source, table_name, sentence) values ('pos', 'lines', ?)",
            [f"There is a new column c{number}."],
        )
    found = causes(warehouse)
    assert len(found) == MOST_SENTENCES
    assert found[0] == "pos.lines: There is a new column c0."


def test_what_a_table_is_compared_with_may_be_to_blame(warehouse):
    for number in range(5):
        land(warehouse, DAY - timedelta(days=5 - number), 100)
    land(warehouse, DAY, 0)
    card_table = "raw_loyalty.cards"
    assert not any("pos.lines" in sentence for sentence in probable_causes(warehouse, MANIFEST, card_table, DAY))
    (sentence, *_) = (
        sentence
        for sentence in probable_causes(warehouse, MANIFEST, card_table, DAY, ["intermediate.int_orders"])
        if "pos.lines" in sentence
    )
    assert sentence == "The newest delivery of pos.lines was empty; usually it has 100 rows."


CONTRACT = """
dataset: warehouse/raw_loyalty/cards
check_attributes: {owner: loyalty@example.com, what_to_do: Ask the loyalty team., key: [card_number]}
columns:
  - name: card_number
    checks:
      - invalid:
          name: Cards are those of the CRM
          valid_reference_data: {dataset: warehouse/raw_crm/customers, column: card_number}
checks:
  - row_count: {name: There are cards}
  - failed_rows:
      name: Cards that are used are known
      query: |
        select card_number from raw_pos.lines
        left join raw_loyalty.cards using (card_number) where cards.card_number is null
"""


def test_tables_that_checks_compare_with(tmp_path):
    (tmp_path / "landing" / "loyalty").mkdir(parents=True)
    (tmp_path / "landing" / "loyalty" / "cards.yml").write_text(CONTRACT, encoding="utf-8")

    def compared(*names: str) -> dict:
        results = [
            SimpleNamespace(contract="landing/loyalty/cards.yml", name=name, table="raw_loyalty.cards")
            for name in names
        ]
        return compared_tables(tmp_path, results)

    assert compared("There are cards") == {"raw_loyalty.cards": set()}
    assert compared("Cards that are used are known") == {"raw_loyalty.cards": {"raw_pos.lines"}}
    assert compared("Cards are those of the CRM", "Cards that are used are known") == {
        "raw_loyalty.cards": {"raw_pos.lines", "raw_crm.customers"}
    }
    missing = SimpleNamespace(contract="landing/loyalty/no.yml", name="x", table="raw_loyalty.no")
    assert compared_tables(tmp_path, [missing]) == {}


def test_a_relationship_looks_at_both_tables(settings):
    manifest = {
        **MANIFEST,
        "nodes": {
            **MANIFEST["nodes"],
            "model.orders": {**MANIFEST["nodes"]["model.orders"], "alias": "int_orders"},
            "model.cards": {
                "resource_type": "model",
                "schema": "staging",
                "name": "stg_cards",
                "alias": "stg_cards",
            },
            "test.relationship": {
                "resource_type": "test",
                "name": "relationships_stg_cards",
                "attached_node": "model.cards",
                "depends_on": {"nodes": ["model.cards", "model.orders"]},
            },
        },
        "parent_map": {**MANIFEST["parent_map"], "model.cards": ["source.cards"]},
    }
    problem = "models/x.yml: the data test relationships_stg_cards failed: Got 3 results"
    assert causes_of_failed_models(settings, manifest, problem, DAY) == (), "there is no warehouse yet"
    with open_warehouse(settings) as connection:
        create_operations_tables(connection)
        land(connection, DAY, 0)
    causes = causes_of_failed_models(settings, manifest, problem, DAY)
    assert "The newest delivery of pos.lines was empty." in causes
    assert "loyalty.cards has never landed." in causes
    assert causes_of_failed_models(settings, manifest, "no answer", DAY) == ()
