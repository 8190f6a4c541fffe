"""The identity policy is read as it is written, mistakes are named with their cure, and dbt's seeds follow from it."""

from __future__ import annotations

import csv
import io
import json
from copy import deepcopy
from pathlib import Path

import duckdb
import pytest
import yaml
from jsonschema import Draft202012Validator
from tagloom.identity.policy import POLICY_FILE, Policy, PolicyError, load_policy, policy_files
from tagloom.identity.policy_schema import SCHEMA_FILE, policy_schema

SEED = Path("seeds/identity_policy.csv")


def right() -> dict:
    return deepcopy(
        {
            "identifier_types": {
                "loyalty_card": {
                    "title": "Card",
                    "title_zh": "卡",
                    "strength": 5,
                    "makes_person": True,
                    "per_person": 1,
                },
                "phone": {
                    "title": "Phone",
                    "title_zh": "手机",
                    "strength": 2,
                    "makes_person": True,
                    "blocked": {"values": ["+1(0)"], "patterns": ["^0+$"]},
                    "owners": {"counted": "loyalty_card", "at_most": 1},
                },
            },
            "survivorship": {"birth_date": ["loyalty", "crm"]},
        }
    )


@pytest.fixture
def write(tmp_path):
    def write(content: object) -> Path:
        path = tmp_path / "policy.yml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
        return path

    return write


def problems(path: Path) -> list[str]:
    with pytest.raises(PolicyError) as refused:
        load_policy(path)
    return str(refused.value).splitlines()


def rows(policy: Policy, path: str) -> list[dict]:
    return list(csv.DictReader(io.StringIO(policy_files(policy)[Path(path)])))


def test_the_projects_policy_is_one():
    policy = load_policy()
    assert policy.identifier_types["loyalty_card"].per_person == 1
    assert any(rules.owners and rules.owners.otherwise == "dominant" for rules in policy.identifier_types.values())


def test_what_is_left_out_has_a_careful_default(write):
    policy = load_policy(write(right()))
    assert policy.plus_tags == "strip"
    assert not policy.matching.enabled
    assert policy.identifier_types["phone"].owners.otherwise == "nobody"
    assert policy.identifier_types["phone"].owners.within_days is None
    assert policy.identifier_types["loyalty_card"].owners is None


def test_none_is_a_word_for_no_limit(write):
    content = right()
    content["identifier_types"]["phone"]["per_person"] = "none"
    content["identifier_types"]["phone"]["owners"]["within_days"] = "none"
    phone = load_policy(write(content)).identifier_types["phone"]
    assert (phone.per_person, phone.owners.within_days) == (None, None)


def changed(*path: str, value: object) -> dict:
    content = place = right()
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return content


PHONE = ("identifier_types", "phone")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (changed("plus_tag", value="keep"), "policy.yml: plus_tag: is not a known key; did you mean plus_tags?"),
        (
            changed(*PHONE, "stength", value=2),
            "identifier_types.phone.stength: is not a known key; did you mean strength?",
        ),
        (
            changed(*PHONE, "owners", "at_mots", value=2),
            "identifier_types.phone.owners.at_mots: is not a known key; did you mean at_most?",
        ),
        (
            changed("attribute_veto", value={"birthdate_differs": 1}),
            "attribute_veto.birthdate_differs: is not a known key; did you mean birth_date_differs?",
        ),
        (
            changed(*PHONE, "owners", value={"counted": "loyalty_crad", "at_most": 1}),
            "owners.counted: 'loyalty_crad' is no identifier type; did you mean loyalty_card?",
        ),
        (
            changed(*PHONE, "owners", value={"counted": "phone", "at_most": 1}),
            "identifier_types.phone.owners.counted: an identifier cannot own its like",
        ),
        (
            changed(*PHONE, "owners", value={"counted": "loyalty_card"}),
            "identifier_types.phone.owners.at_most: is missing; add it: So many owners may have it at one time.",
        ),
        (
            changed(*PHONE, "owners", "otherwise", value="newest"),
            "owners.otherwise: 'newest' is not allowed; write 'nobody', 'dominant' or 'latest'",
        ),
        (
            changed(*PHONE, "strength", value=6),
            "identifier_types.phone.strength: Input should be less than or equal to 5",
        ),
        (
            changed(*PHONE, "blocked", value={"patterns": ["(0"]}),
            "identifier_types.phone.blocked.patterns: '(0' is not a regular expression that the warehouse can read",
        ),
        (
            changed(*PHONE, "blocked", value={"patterns": ["0(?!1)"]}),
            "blocked.patterns: '0(?!1)' is not a regular expression that the warehouse can read",
        ),
        (changed("survivorship", value={"state": ["crm", "crm"]}), "survivorship.state: names a source twice"),
        (changed("identifier_types", value={"Phone": {}}), "'Phone' is no name; write lower-case letters"),
        (changed("household", value={"at_most_persons": 1}), "household.at_most_persons: Input should be greater than"),
    ],
)
def test_a_mistake_is_named_with_its_cure(write, content, sentence):
    assert any(problem.startswith("policy.yml: ") and sentence in problem for problem in problems(write(content)))


def test_all_mistakes_are_named_at_once(write):
    content = changed(*PHONE, "strength", value=0) | {"plus": "keep"}
    assert len(problems(write(content))) == 2


def test_somebody_must_be_a_person(write):
    content = right()
    for rules in content["identifier_types"].values():
        rules["makes_person"] = False
    assert "at least one type needs makes_person: true" in problems(write(content))[0]


def test_what_is_no_yaml_is_said_so(write):
    assert problems(write("identifier_types: ["))[0].startswith("policy.yml: not readable as YAML")


def test_the_version_follows_the_content_and_nothing_else(write):
    policy = load_policy(write(right()))
    reordered = {key: right()[key] for key in reversed(right())}
    commented = "# why\n" + yaml.safe_dump(reordered)
    assert load_policy(write(commented)).version == policy.version
    assert len(policy.version) == 12
    assert load_policy(write(changed(*PHONE, "strength", value=3))).version != policy.version


def test_the_seed_has_a_row_per_type_and_the_version_in_each(write):
    policy = load_policy(write(right()))
    card, phone = rows(policy, "seeds/identity_policy.csv")
    assert (card["identifier_type"], card["title_zh"], card["per_person"]) == ("loyalty_card", "卡", "1")
    assert (card["counted_owner"], card["max_owners"], card["shared_goes_to"]) == ("", "", "")
    assert (phone["counted_owner"], phone["max_owners"], phone["shared_goes_to"]) == ("loyalty_card", "1", "nobody")
    assert (phone["makes_person"], phone["vetoed_by_attributes"]) == ("true", "false")
    assert {card["policy_version"], phone["policy_version"]} == {policy.version}


def test_blocked_values_are_meant_literally_and_patterns_are_patterns(write):
    phone = rows(load_policy(write(right())), "seeds/identity_policy.csv")[1]
    with duckdb.connect() as connection:
        [found] = connection.execute(
            "select list(value) from unnest(['+1(0)', '+10', '1(0)', '000', '+1(0)0']) as values(value) "
            "where regexp_matches(value, ?)",
            [phone["blocked_pattern"]],
        ).fetchall()
    assert found[0] == ["+1(0)", "000"]


@pytest.mark.parametrize("value", ["a^b", "a\\b", "[a]", "a.b", "a|b", "a{2}", "$"])
def test_no_character_of_a_blocked_value_is_an_operator(write, value):
    content = changed(*PHONE, "blocked", value={"values": [value]})
    pattern = rows(load_policy(write(content)), "seeds/identity_policy.csv")[1]["blocked_pattern"]
    with duckdb.connect() as connection:
        assert connection.execute("select regexp_matches(?, ?)", [value, pattern]).fetchall() == [(True,)]
        assert connection.execute("select regexp_matches('aab', ?)", [pattern]).fetchall() == [(False,)]


def test_survivorship_keeps_the_order_of_trust(write):
    assert rows(load_policy(write(right())), "seeds/survivorship_policy.csv") == [
        {"attribute": "birth_date", "source": "loyalty", "rank": "1"},
        {"attribute": "birth_date", "source": "crm", "rank": "2"},
    ]


def test_single_values_are_rules_by_name(write):
    policy = load_policy(write(right()))
    rules = {row["name"]: row["value"] for row in rows(policy, "seeds/identity_rules.csv")}
    assert rules["policy_version"] == policy.version
    assert rules["attribute_veto.birth_date_differs"] == "2"
    assert rules["matching.enabled"] == "false"


@pytest.mark.parametrize(("word", "answer"), [("keep", "False"), ("strip", "True")])
def test_staging_is_told_about_plus_tags(write, word, answer):
    files = policy_files(load_policy(write(changed("plus_tags", value=word))))
    assert f"return({answer})" in files[Path("macros/identity/strips_plus_tags.sql")]


def test_the_schema_says_the_same_to_editors(write):
    schema = json.loads(policy_schema())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    text = POLICY_FILE.read_text(encoding="utf-8")
    assert text.startswith(f"# yaml-language-server: $schema={SCHEMA_FILE}\n")
    assert list(validator.iter_errors(yaml.safe_load(text))) == []
    assert list(validator.iter_errors(changed(*PHONE, "stength", value=2)))
    assert list(validator.iter_errors(changed(*PHONE, "strength", value=9)))
