from __future__ import annotations

from pathlib import Path

import pytest
from tagloom.reading.deliveries import DeliveryError
from tagloom.reading.headers import likely_renames, locate_columns
from tagloom.sources import Table

TABLE = Table.model_validate(
    {
        "name": "cards",
        "title": "Cards",
        "reader": {"kind": "files", "format": "csv", "path": "*"},
        "grain": "event",
        "primary_key": ["card_number"],
        "columns": [
            {"name": "card_number", "type": "text", "required": True},
            {"name": "city", "type": "text", "delivered_as": "Wohnort"},
        ],
    }
)


def located(*names: str) -> list[int | None]:
    return locate_columns(TABLE, names, Path("x.csv"))


def test_columns_are_found_by_the_name_in_the_delivery():
    assert located("a", "Wohnort", "card_number") == [2, 1]
    assert located("card_number", "city") == [0, None]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["card_no", "Wohnort"], "lacks the required column card_number (it has card_no, Wohnort); perhaps card_no is"),
        (["Card Number", "Wohnort"], "perhaps Card Number is what card_number is called now"),
        (["x", "Wohnort"], "lacks the required column card_number (it has x, Wohnort). Ask the source"),
        (["card_number", "Wohnort", "Wohnort"], "has the column Wohnort twice"),
        (["1", "Rome"], "has none of the declared columns (card_number, Wohnort) in its header: 1, Rome"),
        ([], "in its header: nothing"),
        ([f"column {number}" for number in range(50)], "column 39 and 10 more"),
    ],
)
def test_a_header_that_does_not_do_is_refused_with_a_guess(names, message):
    with pytest.raises(DeliveryError) as refusal:
        located(*names)
    assert f"x.csv: {message}" in str(refusal.value) or message in str(refusal.value)


def test_each_new_name_is_guessed_for_one_old_name_only():
    assert likely_renames(["card_number", "card_number_2"], ["card_no"]) == {"card_number": "card_no"}
    assert likely_renames(["email"], ["E-Mail", "phone"]) == {"email": "E-Mail"}
    assert likely_renames(["email"], ["phone", "", "---"]) == {}
