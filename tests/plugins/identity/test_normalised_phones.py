"""The SQL macro spells phone numbers as Google's library does, for every country that one may set."""

from __future__ import annotations

import duckdb
import phonenumbers
import pytest

from tests.plugins.identity.test_identifiers import Macros

NUMBERS = {
    "1": [
        "612-555-0100",
        "1 612 555 0100",
        "+1 (612) 555-0100",
        "(612) 555-0100 ext. 12",
        "612 555 0100 x7",
        "+86 138 0013 8000",
        "+49 (0) 30 901820",
        "+44 20 7946 0958",
        "６１２５５５０１００",
    ],
    "86": [
        "138 0013 8000",
        "13800138000",
        "86 13800138000",
        "+8613800138000",
        "010 8888 9999",
        "１３８００１３８０００",
    ],
    "49": ["030 901820", "0171 1234567", "+49 30 901820", "+1 612 555 0100"],
    "44": ["020 7946 0958", "+44 20 7946 0958"],
}


def in_sql(value: str) -> str | None:
    expression = Macros().normalise_identifier("phone", "value")
    with duckdb.connect() as connection:
        return connection.execute(f"select {expression} from (select ? as value)", [value]).fetchall()[0][0]


@pytest.mark.parametrize(("country", "value"), [(code, value) for code, values in NUMBERS.items() for value in values])
def test_it_agrees_with_the_library(monkeypatch, country, value):
    monkeypatch.setenv("TAGLOOM_COUNTRY_CODE", country)
    number = phonenumbers.parse(value, phonenumbers.region_code_for_country_code(int(country)))
    assert in_sql(value) == phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@pytest.mark.parametrize("value", ["0086 138 0013 8000", "0086-13800138000"])
def test_two_zeros_are_a_plus(value):
    assert in_sql(value) == "+8613800138000"


@pytest.mark.parametrize("value", ["", "12", "n/a", "+12", "1234567890123456789"])
def test_what_can_be_no_number_is_none(value):
    assert in_sql(value) is None
