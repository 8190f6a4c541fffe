"""Accuracy: pairs of records that were joined, against pairs that belong together."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

import duckdb
import pytest
from tagloom.warehouse import prepare_connection

from sample_data.accuracy import OWN_IDENTIFIER, Accuracy, load_truth, measure_accuracy

Record = tuple[str, str, str]
"""Source, key of the record, true person."""

CARDS = [("loyalty", "C1", "anna"), ("loyalty", "C2", "anna"), ("crm", "M1", "anna"), ("crm", "M2", "bert")]


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        prepare_connection(connection)
        connection.execute("create schema identity_mapping")
        connection.execute(
            "create table identity_mapping.identity_map "
            "(identifier_type varchar, identifier_hash varchar, person_id bigint)"
        )
        yield connection


def hashed(identifier_type: str, value: str) -> str:
    key = os.environ["TAGLOOM_IDENTITY_KEY"].encode()
    return hmac.new(key, f"{identifier_type}:{value}".encode(), hashlib.sha256).hexdigest()


def measure(connection, folder: Path, records: list[Record], persons: dict[str, int]) -> Accuracy:
    """Accuracy when each record key in `persons` was given that person."""
    connection.execute("create or replace temp table truth (source varchar, record_key varchar, true_person varchar)")
    connection.executemany("insert into truth values (?, ?, ?)", records)
    connection.execute(f"copy truth to '{folder}/records.parquet'")
    for source, key, _ in records:
        if key in persons:
            kind = OWN_IDENTIFIER[source]
            connection.execute(
                "insert into identity_mapping.identity_map values (?, ?, ?)", [kind, hashed(kind, key), persons[key]]
            )
    return measure_accuracy(connection, folder)


def test_all_right(connection, tmp_path):
    accuracy = measure(connection, tmp_path, CARDS, {"C1": 1, "C2": 1, "M1": 1, "M2": 2})
    assert accuracy == Accuracy(records=4, pairs_found=3, pairs_true=3, pairs_right=3)
    assert (accuracy.precision, accuracy.recall, accuracy.f1) == (1, 1, 1)


def test_one_person_too_many_and_one_too_few(connection, tmp_path):
    accuracy = measure(connection, tmp_path, CARDS, {"C1": 1, "C2": 2, "M1": 2, "M2": 2})
    assert accuracy == Accuracy(records=4, pairs_found=3, pairs_true=3, pairs_right=1)
    assert accuracy.precision == accuracy.recall == accuracy.f1 == pytest.approx(1 / 3)


def test_a_record_nobody_was_found_for_is_a_person_of_its_own(connection, tmp_path):
    accuracy = measure(connection, tmp_path, CARDS, {"C1": 1, "M1": 1})
    assert accuracy == Accuracy(records=4, pairs_found=1, pairs_true=3, pairs_right=1)
    assert (accuracy.precision, accuracy.recall, accuracy.f1) == (1, pytest.approx(1 / 3), pytest.approx(0.5))


def test_the_same_key_in_two_systems_is_not_mixed_up(connection, tmp_path):
    records = [("crm", "7", "anna"), ("accounts", "7", "bert")]
    connection.execute(
        "insert into identity_mapping.identity_map values (?, ?, 1)", ["email", hashed("crm_customer", "7")]
    )
    assert measure(connection, tmp_path, records, {}).pairs_found == 0


def test_nothing_found_and_nothing_true(connection, tmp_path):
    accuracy = measure(connection, tmp_path, [("crm", "M1", "anna"), ("crm", "M2", "bert")], {"M1": 1, "M2": 2})
    assert accuracy == Accuracy(records=2, pairs_found=0, pairs_true=0, pairs_right=0)
    assert (accuracy.precision, accuracy.recall, accuracy.f1) == (1, 1, 1)


def test_everything_in_one_person_is_found_out(connection, tmp_path):
    records = [("crm", f"M{number}", f"person {number % 10}") for number in range(50)]
    accuracy = measure(connection, tmp_path, records, {key: 1 for _, key, _ in records})
    assert accuracy == Accuracy(records=50, pairs_found=1225, pairs_true=100, pairs_right=100)
    assert (accuracy.precision, accuracy.recall) == (pytest.approx(100 / 1225), 1)


def test_the_truth_is_loaded_hashed_and_anew(connection, tmp_path):
    measure(connection, tmp_path, CARDS, {})
    for _ in range(2):
        assert load_truth(connection, tmp_path) == len(CARDS)
    rows = connection.execute("select identifier_type, identifier_hash, true_person from operations.identity_truth")
    expected = {(OWN_IDENTIFIER[source], hashed(OWN_IDENTIFIER[source], key), person) for source, key, person in CARDS}
    assert set(rows.fetchall()) == expected
