"""Rows stand one below the other, whatever is in them."""

from __future__ import annotations

from decimal import Decimal

from tagloom.text_table import text_table


def test_texts_stand_left_and_numbers_right():
    rows = [("orders", 1200, Decimal("2.50"), "406"), ("cards", 7, None, "32004")]
    assert text_table(("table", "rows", "fee", "store"), rows).splitlines() == [
        "table    rows   fee  store",
        "orders  1,200  2.50  406",
        "cards       7     -  32004",
    ]


def test_chinese_characters_are_two_wide():
    assert text_table(("title", "n"), [("停车场", 1), ("park", 22)]).splitlines() == [
        "title    n",
        "停车场   1",
        "park    22",
    ]


def test_long_texts_are_cut_and_line_ends_are_blanks():
    assert text_table(("text",), [("a\nb",), ("x" * 50,)], widest=10).splitlines() == ["text", "a b", "x" * 9 + "…"]


def test_no_rows_leave_the_headings():
    assert text_table(("table", "rows"), []) == "table  rows"
