"""Definitions in plain words: titles instead of names, in both languages."""

from __future__ import annotations

import pytest
from tagloom.audiences.evaluate import events_of_version
from tagloom.audiences.rules import TAG_OPERATORS, parse
from tagloom.audiences.sentence import outline, sentence
from tagloom.portal.serving import Snapshot

from tests.plugins.audiences.conftest import a_definition, has

WHOLE = a_definition(
    {"field": "tag:rfm_segment", "operator": "in", "value": ["champion", "loyal", "big basket"]},
    {"field": "tag:spend_365d", "operator": "between", "value": [100, 2500.5]},
    {"field": "tag:last_order_date", "operator": "last_days", "value": 60},
    {
        "combinator": "or",
        "not": True,
        "rules": [
            {
                "field": "event:purchase",
                "operator": "did",
                "value": {"at_least": 3, "within_days": 30, "amount_at_least": 150, "what": ["store 367"]},
            },
            {
                "field": "sequence",
                "operator": "did_not",
                "value": {"first": "cart", "then": "web_purchase", "within_days": 7, "last_days": 90},
            },
            {"combinator": "and", "rules": [has("has_app"), {"field": "audience:7", "operator": "not_in"}]},
        ],
    },
    consent="email",
    suppression=True,
    holdout_percent=10,
    split={"parts": [{"name": "A", "percent": 30}, {"name": "B", "percent": 70}]},
)


def told(snapshot: Snapshot, given: dict, language: str = "en") -> str:
    return sentence(
        parse(given), snapshot.tags, language, events_of_version(snapshot), lambda number: f"Number {number}"
    ).replace("\u00a0", " ")


def test_a_whole_definition_in_english(snapshot: Snapshot) -> None:
    """Titles, units, nested groups, and what stands beside the rule."""
    assert told(snapshot, WHOLE) == (
        "Everybody where RFM segment is champion, loyal or big basket, and Spend, 365 days is from 100 to 2,500.5 US "
        "dollars, and Last order is within the last 60 days, and not (they did “Purchase in a store” of store 367 at "
        "least 3 times for at least 150 in all in the last 30 days, or they did not “Product put into the cart” in the "
        "last 90 days and then “Purchase in the web shop” within 7 days, or (App installed is yes, and they are not in "
        "the audience “Number 7”)). Only who can be reached by e-mail and allows it. Without those who objected to "
        "advertising. 10 % of them are held out by chance, to compare with. Split by chance: A 30 %, B 70 %."
    )


def test_a_whole_definition_in_chinese(snapshot: Snapshot) -> None:
    """Chinese titles of tags, values and events."""
    assert told(snapshot, WHOLE, "zh") == (
        "满足条件的人：RFM分群为冠军客户、忠诚客户或大单客户，并且近365天消费额在100至2,500.5之间，"
        "并且最近购买日期在近60天内，"
        "并且不满足（近30天内发生过“门店购买”（store 367）至少3次，合计至少150，"
        "或者近90天内未在“加入购物车”后7天内发生“网店购买”，"
        "或者（已安装应用为是，并且不属于人群“Number 7”））。"
        "仅限可用邮件触达且已授权的人。排除拒绝营销的人。其中随机留出10%作为对照。随机拆分：A 30%、B 70%。"
    )


def test_everybody(snapshot: Snapshot) -> None:
    """Without a rule it is said so."""
    assert told(snapshot, a_definition()) == "Everybody."
    assert told(snapshot, a_definition(), "zh") == "所有人。"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_operator_has_words_with_its_values(snapshot: Snapshot, language: str) -> None:
    """No operator shows as a sign or a name of the code, and each says its values."""
    tags = {
        "boolean": ("has_app", True),
        "text": ("state", "nsw"),
        "integer": ("orders_365d", 12345),
        "decimal": ("spend_365d", 12345),
        "date": ("last_order_date", "2017-11-05"),
    }
    seen = set()
    for kind, (tag, value) in tags.items():
        for operator in TAG_OPERATORS[kind]:
            given = value
            if operator in ("in", "notIn"):
                given = [value]
            elif operator in ("between", "notBetween"):
                given = [value, value]
            elif operator.endswith("_days"):
                given = 77
            elif operator in ("null", "notNull"):
                given = None
            text = told(snapshot, a_definition({"field": f"tag:{tag}", "operator": operator, "value": given}), language)
            assert snapshot.tags[tag].label(language) in text
            assert not any(sign in text for sign in ("=", "<", ">", "notIn", "_days", "null", "{"))
            shown = {"boolean": "yes" if language == "en" else "是", "text": "nsw", "date": "2017-11-05"}
            if given is not None:
                assert ("77" if given == 77 else shown.get(kind, "12,345")) in text
            assert (kind, text) not in seen
            if operator not in ("=", "!=", "in", "notIn"):
                seen.add((kind, text))


def test_what_a_version_lacks_is_called_by_its_name(snapshot: Snapshot) -> None:
    """A saved definition can be read after its tag is gone."""
    text = told(snapshot, a_definition(has("has_jetpack"), {"field": "event:flight", "operator": "did"}))
    assert text == "Everybody where has_jetpack is yes, and they did “flight”."


def test_the_outline_has_a_line_for_each_part(snapshot: Snapshot) -> None:
    """Groups are heads, conditions are indented below them."""
    lines = outline(parse(WHOLE), snapshot.tags, "en", events_of_version(snapshot))
    assert lines[0].text == "All of these hold"
    assert [line.depth for line in lines] == [0, 1, 1, 1, 1, 2, 2, 2, 3, 3]
    assert lines[4].text == "None of these holds"
    assert lines[-1].text == "not in the audience “7”"
