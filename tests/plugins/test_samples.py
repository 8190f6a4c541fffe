"""The SQL that finds failing rows is run in DuckDB, so it cannot rot unnoticed; masks keep what they must hide."""

from pathlib import Path

import duckdb
import pytest
import yaml
from tagloom.contracts import load_contract
from tagloom.samples import SAMPLE_ROWS, mask, sample_query

VARIABLES = {"AS_OF_DATE": "2017-12-31"}


@pytest.fixture
def warehouse():
    connection = duckdb.connect()
    connection.execute("create schema staging")
    connection.execute(
        """
        create table staging.cards as
        select * from (values
            ('100000000001', 'active', 5, 'S1', date '2017-12-30'),
            ('100000000002', 'broken', -1, 'S1', date '2017-12-30'),
            ('100000000003', null, 99, 'S9', date '2018-01-05'),
            ('100000000003', 'active', 5, null, date '2017-12-30'),
            ('100000000004', '', 5, 'S2', date '2017-12-30')
        ) as cards (card_number, status, visits, store_id, seen_on)
        """
    )
    connection.execute("create table staging.stores as select unnest(['S1', 'S2']) as store_id")
    return connection


def sample(
    warehouse, folder: Path, check: dict, column: str = "", key: tuple[str, ...] = ("card_number",), **top
) -> list:
    kind, body = next(iter(check.items()))
    check = {kind: {"name": "A sentence about cards", **body}}
    content = {
        "dataset": "warehouse/staging/cards",
        "variables": {"AS_OF_DATE": None},
        "check_attributes": {"owner": "a@example.com", "what_to_do": "Look.", "key": list(key)},
        "columns": [{"name": column, "checks": [check]}] if column else [],
        **({} if column else {"checks": [check]}),
        **top,
    }
    path = folder / "staging" / "cards.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    contract = load_contract(path, folder)
    query = sample_query(contract, contract.checks[0], VARIABLES)
    return [row[0] for row in warehouse.execute(query).fetchall()] if query else []


@pytest.mark.parametrize(
    ("check", "column", "expected"),
    [
        ({"missing": {}}, "status", ["100000000003"]),
        ({"missing": {"missing_values": ["", "n/a"]}}, "status", ["100000000003", "100000000004"]),
        ({"missing": {"missing_format": {"regex": "^b", "name": "b"}}}, "status", ["100000000002", "100000000003"]),
        ({"invalid": {"valid_values": ["active", ""]}}, "status", ["100000000002"]),
        ({"invalid": {"invalid_values": ["it's", "broken"]}}, "status", ["100000000002"]),
        ({"invalid": {"valid_values": ["active"], "missing_values": [""]}}, "status", ["100000000002"]),
        ({"invalid": {"valid_format": {"regex": "^(active|)$", "name": "x"}}}, "status", ["100000000002"]),
        ({"invalid": {"invalid_format": {"regex": "ok", "name": "x"}}}, "status", ["100000000002"]),
        ({"invalid": {"valid_min": 0}}, "visits", ["100000000002"]),
        ({"invalid": {"valid_min": 0, "valid_max": 10}}, "visits", ["100000000002", "100000000003"]),
        ({"invalid": {"valid_max": 10, "filter": "store_id <> 'S9'"}}, "visits", []),
        ({"invalid": {"valid_max_length": 5}}, "status", ["100000000001", "100000000002", "100000000003"]),
        ({"invalid": {"valid_min_length": 1}}, "status", ["100000000004"]),
        ({"invalid": {"valid_length": 6}}, "status", ["100000000004"]),
        (
            {"invalid": {"valid_reference_data": {"dataset": "warehouse/staging/stores", "column": "store_id"}}},
            "store_id",
            ["100000000003"],
        ),
        ({"duplicate": {}}, "card_number", ["100000000003"]),
        ({"duplicate": {"columns": ["visits", "status"]}}, "", [5]),
        ({"failed_rows": {"expression": "seen_on > date '${var.AS_OF_DATE}'"}}, "", ["100000000003"]),
        ({"failed_rows": {"query": "select card_number from staging.cards where visits < 0;"}}, "", ["100000000002"]),
        ({"metric": {"expression": "max(visits)", "threshold": {"must_be": 1}}}, "", []),
        ({"row_count": {}}, "", []),
    ],
)
def test_query_finds_the_rows_that_fail(warehouse, tmp_path, check, column, expected):
    assert sample(warehouse, tmp_path, check, column) == expected


def test_query_keeps_the_filter_of_the_contract(warehouse, tmp_path):
    assert sample(warehouse, tmp_path, {"invalid": {"valid_min": 0}}, "visits", filter="store_id = 'S2'") == []


def test_without_a_key_the_checked_column_is_shown(warehouse, tmp_path):
    assert sample(warehouse, tmp_path, {"invalid": {"valid_min": 0}}, "visits", key=()) == [-1]


def test_query_stops_at_the_limit(warehouse, tmp_path):
    warehouse.execute("insert into staging.cards select 'x' || i, null, 1, 'S1', null from range(50) as rows (i)")
    assert len(sample(warehouse, tmp_path, {"missing": {}}, "status")) == SAMPLE_ROWS


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("262412345631", "26••••••••31"),
        ("2624123456319999999", "26••••••••99"),
        ("12345678", "12••••78"),
        ("1234567", "12•••••"),
        ("12345", "12•••"),
        ("1234", "1•••"),
        ("1", "1•"),
        (26241, "26•••"),
        ("two\nlines here", "tw••••••••re"),
        (None, "(empty)"),
        ("", "•"),
    ],
)
def test_mask(value, masked):
    assert mask(value) == masked


def test_mask_tells_no_exact_length_of_long_values():
    assert mask("a" * 20) == mask("a" * 40)
