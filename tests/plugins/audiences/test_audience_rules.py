"""The shape of definitions: what is refused, and that the message names the place."""

from __future__ import annotations

import json

import pytest
from tagloom.audiences.rules import (
    MAXIMUM_DEPTH,
    MAXIMUM_RULES,
    Definition,
    RuleError,
    audiences_of,
    events_of,
    leaves,
    parse,
    tags_of,
)

LEAF = {"field": "tag:rfm_segment", "operator": "=", "value": "champion"}


def with_rules(*rules: object, **more: object) -> dict:
    return {"schema": 1, "rule": {"combinator": "and", "not": False, "rules": list(rules)}, **more}


def nested(depth: int) -> dict:
    rule: dict = LEAF
    for _ in range(depth):
        rule = {"combinator": "or", "rules": [rule]}
    return {"rule": rule}


def test_a_definition_survives_its_own_json() -> None:
    """What is saved is read again as the same, whatever the builder added to it."""
    definition = parse(
        with_rules(
            {"id": "r-1", "valueSource": "value", **LEAF},
            {"field": "event:purchase", "operator": "did", "value": {"at_least": 2, "within_days": 30}},
            {
                "combinator": "or",
                "not": True,
                "id": "g-1",
                "rules": [{"field": "audience:7", "operator": "not_in", "value": ""}],
            },
            {
                "field": "sequence",
                "operator": "did_not",
                "value": {"first": "cart", "then": "purchase", "within_days": 3},
            },
            consent="email",
            holdout_percent=10,
            split={"parts": [{"name": "A", "percent": 30}, {"name": "B", "percent": 70}]},
            seed="s1",
        )
    )
    assert parse(json.dumps(definition.as_json())) == definition
    assert definition.rule.rules[2].negated


def test_the_smallest_definition_is_everybody_who_did_not_object() -> None:
    """Nothing said: no rule, no consent asked for, objections respected."""
    definition = parse({})
    assert definition == Definition()
    assert list(leaves(definition.rule)) == []
    assert tags_of(definition) == {"do_not_promote"}


def test_what_a_definition_stands_on() -> None:
    """Tags of consent and suppression count; events of sequences too."""
    definition = parse(
        with_rules(
            LEAF,
            {"field": "event:purchase", "operator": "did", "value": None},
            {"field": "sequence", "operator": "did", "value": {"first": "cart", "then": "purchase", "within_days": 3}},
            {"combinator": "or", "rules": [{"field": "audience:7", "operator": "in"}]},
            consent="sms",
        )
    )
    assert tags_of(definition) == {"rfm_segment", "is_phone_reachable", "do_not_promote"}
    assert events_of(definition) == {"purchase", "cart"}
    assert audiences_of(definition) == {7}
    assert [path for path, _ in leaves(definition.rule)] == [
        "rule.rules[0]",
        "rule.rules[1]",
        "rule.rules[2]",
        "rule.rules[3].rules[0]",
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{", "not readable as JSON"),
        ("[1]", "must be an object"),
        ({"schema": 2}, "schema: should be 1"),
        ({"rules": []}, "rules: is no key of a definition"),
        (with_rules(3), "rule.rules[0]: is no rule"),
        (with_rules({"field": "colour", "operator": "=", "value": 1}), "rule.rules[0]: is no rule"),
        (with_rules(LEAF | {"operator": "like"}), "rule.rules[0].operator: should be"),
        (with_rules(LEAF | {"sql": "1=1"}), "rule.rules[0].sql: is no key"),
        (with_rules(LEAF | {"value": None}), "rule.rules[0]: = takes one value"),
        (with_rules(LEAF | {"value": {"a": 1}}), "rule.rules[0].value: takes texts, numbers"),
        (with_rules(LEAF | {"value": float("nan")}), "rule.rules[0].value: nan is no number"),
        (with_rules(LEAF | {"value": 10**40}), "rule.rules[0].value: a number is larger"),
        (with_rules(LEAF | {"value": "x" * 201}), "rule.rules[0].value: a text is longer than 200"),
        (with_rules(LEAF | {"operator": "in", "value": []}), "rule.rules[0]: in takes a list"),
        (with_rules(LEAF | {"operator": "in", "value": ["x"] * 1001}), "rule.rules[0]: has 1001 values"),
        (with_rules(LEAF | {"operator": "between", "value": [1]}), "rule.rules[0]: between takes a list of two"),
        (with_rules(LEAF | {"operator": "last_days", "value": 0}), "rule.rules[0]: last_days takes a whole number"),
        (with_rules(LEAF | {"operator": "null", "value": 3}), "rule.rules[0]: null takes no value"),
        (with_rules(LEAF | {"field": "tag:a; drop table x"}), "rule.rules[0].field: has characters"),
        (with_rules({"combinator": "and", "rules": []}), "rule.rules[0]: is a group without conditions"),
        (with_rules({"combinator": "xor", "rules": [LEAF]}), "rule.rules[0].combinator: should be 'and' or 'or'"),
        (
            with_rules({"combinator": "or", "rules": [LEAF, {"rules": []}]}),
            "rule.rules[0].rules[1]: is a group without",
        ),
        (
            with_rules({"field": "event:purchase", "operator": "did", "value": {"at_least": 0}}),
            "rule.rules[0].value.at_least: should be greater than or equal to 1",
        ),
        (
            with_rules({"field": "sequence", "operator": "did", "value": {"first": "cart", "within_days": 1}}),
            "rule.rules[0].value.then: is missing",
        ),
        (with_rules({"field": "audience:0", "operator": "in"}), "rule.rules[0].field: has characters"),
        (with_rules(*[LEAF] * (MAXIMUM_RULES + 1)), "rule: has 101 conditions"),
        (nested(MAXIMUM_DEPTH + 1), "rule: has groups more than 5 deep"),
        (with_rules(consent="fax"), "consent: should be 'email', 'sms', 'push' or 'none'"),
        (with_rules(holdout_percent=91), "holdout_percent: should be less than or equal to 90"),
        (with_rules(suppression="no"), "suppression: should be a valid boolean"),
        (
            with_rules(split={"parts": [{"name": "A", "percent": 50}, {"name": "B", "percent": 40}]}),
            "split: the parts add up to 90 percent",
        ),
        (
            with_rules(split={"parts": [{"name": "A", "percent": 50}, {"name": "A", "percent": 50}]}),
            "split: two parts have the same name",
        ),
        (with_rules(seed="'; drop"), "seed: has characters"),
    ],
)
def test_what_is_refused(given: object, message: str) -> None:
    """Each message says where the mistake is and what belongs there."""
    with pytest.raises(RuleError) as refused:
        parse(given)
    assert message in str(refused.value)
    assert len(refused.value.problems) == 1


def test_all_problems_are_told_at_once() -> None:
    """Somebody who writes a definition by hand corrects it once."""
    with pytest.raises(RuleError) as refused:
        parse(
            with_rules(LEAF | {"operator": "like"}, {"combinator": "or", "rules": [LEAF | {"value": []}]}, consent="x")
        )
    assert [problem.path for problem in refused.value.problems] == [
        "rule.rules[0].operator",
        "rule.rules[1].rules[0]",
        "consent",
    ]


def test_deep_trees_cannot_exhaust_the_stack() -> None:
    """A tree of ten thousand levels is refused before anything walks into it."""
    tree: dict = {"rules": []}
    for _ in range(10_000):
        tree = {"rules": [tree]}
    with pytest.raises(RuleError, match="more than 5 deep"):
        parse({"rule": tree})
    assert len(list(leaves(parse(nested(MAXIMUM_DEPTH)).rule))) == 1
    with pytest.raises(RuleError):
        parse('{"rule":' * 5_000 + "1" + "}" * 5_000)
