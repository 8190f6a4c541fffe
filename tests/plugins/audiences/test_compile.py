"""The compiler: every random rule counts as an evaluation in pandas does, and nothing gets past the allow-list."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import pandas as pd
import pytest
import sqlglot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tagloom.audiences.compile import Query, check, compile_count, compile_members
from tagloom.audiences.evaluate import events_of_version, size
from tagloom.audiences.rules import (
    CONSENT_TAGS,
    SUPPRESSION_TAGS,
    AudienceRule,
    Definition,
    EventRule,
    Group,
    Leaf,
    RuleError,
    SequenceRule,
    TagRule,
    parse,
)
from tagloom.portal.serving import Serving, Snapshot

from tests.portal.world import DAY, EVENTS, make_world

PERSONS = 400

TAGS = {
    "text": ["rfm_segment", "lifecycle_stage", "generation", "favourite_department"],
    "boolean": ["has_app", "email_consent", "has_kids"],
    "integer": ["orders_365d", "recency_score", "discount_index", "usual_hour"],
    "decimal": ["spend_365d", "average_satisfaction"],
    "date": ["last_order_date", "last_web_visit_date", "next_order_due_date"],
}
"""Of each type some that are always known and some that are not."""

INNER = {
    1: parse({"rule": {"combinator": "or", "rules": [{"field": "tag:has_app", "operator": "=", "value": True}]}}),
    2: parse(
        {
            "suppression": False,
            "consent": "email",
            "rule": {"rules": [{"field": "tag:rfm_segment", "operator": "notIn", "value": ["lost", "at risk"]}]},
        }
    ),
    3: parse({"rule": {"not": True, "rules": [{"field": "audience:1", "operator": "in"}]}}),
}


def audience_of(number: int) -> Definition:
    return INNER[number]


@dataclass(frozen=True)
class World:
    snapshot: Snapshot
    persons: pd.DataFrame
    events: pd.DataFrame


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    home = make_world(tmp_path_factory.mktemp("rules"), persons=PERSONS, seed=3)
    snapshot = Serving(home).snapshot()
    persons = pd.DataFrame(snapshot.rows("from tag_integration.person_tags")).astype(object)
    events = pd.DataFrame(snapshot.rows("from serving.person_events"))
    return World(snapshot, persons.set_index("person_id"), events)


class Reference:
    """Evaluates a definition row by row in plain Python over pandas; shares no code with the compiler."""

    def __init__(self, world: World):
        self.persons = world.persons
        self.events = world.events
        self.types = {name: tag.data_type for name, tag in world.snapshot.tags.items()}

    def members(self, definition: Definition) -> set[int]:
        fits = self.group(definition.rule)
        if definition.consent != "none":
            fits &= self.true(CONSENT_TAGS[definition.consent])
        if definition.suppression:
            for tag in SUPPRESSION_TAGS:
                fits -= self.true(tag)
        return fits

    def true(self, tag: str) -> set[int]:
        return {person for person, value in self.persons[tag].items() if value is True}

    def group(self, group: Group) -> set[int]:
        everybody = set(self.persons.index)
        fits = [self.group(rule) if isinstance(rule, Group) else self.leaf(rule) for rule in group.rules]
        found = (set.union if group.combinator == "or" else set.intersection)(*fits) if fits else everybody
        return everybody - found if group.negated else found

    def leaf(self, leaf: Leaf) -> set[int]:
        everybody = set(self.persons.index)
        if isinstance(leaf, TagRule):
            return {person for person, value in self.persons[leaf.tag].items() if self.fits(leaf, value)}
        if isinstance(leaf, AudienceRule):
            inside = self.members(audience_of(leaf.audience_id))
            return inside if leaf.operator == "in" else everybody - inside
        did = (self.event(leaf) if isinstance(leaf, EventRule) else self.sequence(leaf)) & everybody
        return did if leaf.operator == "did" else everybody - did

    def fits(self, rule: TagRule, value: object) -> bool:
        known = not pd.isna(value)
        if rule.operator in ("null", "notNull"):
            return known == (rule.operator == "notNull")
        if not known:
            return False
        of_type = self.types[rule.tag]
        if of_type == "date" and isinstance(value, pd.Timestamp):
            value = value.date()
        wanted = rule.value if isinstance(rule.value, list) else [rule.value]
        if of_type == "date" and not rule.operator.endswith("_days"):
            wanted = [date.fromisoformat(one) for one in wanted]
        if of_type == "decimal":
            wanted, value = [Decimal(str(one)) for one in wanted], Decimal(str(value))
        first = wanted[0]
        tests: dict[str, Callable[[], bool]] = {
            "=": lambda: value == first,
            "!=": lambda: value != first,
            "<": lambda: value < first,
            "<=": lambda: value <= first,
            ">": lambda: value > first,
            ">=": lambda: value >= first,
            "in": lambda: value in wanted,
            "notIn": lambda: value not in wanted,
            "between": lambda: wanted[0] <= value <= wanted[1],
            "notBetween": lambda: not wanted[0] <= value <= wanted[1],
            "contains": lambda: first.lower() in value.lower(),
            "beginsWith": lambda: value.lower().startswith(first.lower()),
            "last_days": lambda: 0 <= (DAY - value).days < first,
            "before_days": lambda: (DAY - value).days >= first,
            "next_days": lambda: 0 < (value - DAY).days <= first,
        }
        return tests[rule.operator]()

    def of_event(self, name: str, days: int | None) -> pd.DataFrame:
        found = self.events[self.events["event"] == name]
        age = (pd.Timestamp(DAY) - pd.to_datetime(found["happened_on"])).dt.days
        return found[(age >= 0) & (age < (days or 10**6))]

    def event(self, rule: EventRule) -> set[int]:
        found = self.of_event(rule.event, rule.value.within_days)
        if rule.value.what:
            found = found[found["what"].isin(rule.value.what)]
        did = set()
        for person, rows in found.groupby("person_id"):
            if len(rows) < rule.value.at_least:
                continue
            amounts = [Decimal(str(amount)) for amount in rows["amount"] if not pd.isna(amount)]
            wanted = rule.value.amount_at_least
            if wanted is None or (amounts and sum(amounts) >= Decimal(str(wanted))):
                did.add(person)
        return did

    def sequence(self, rule: SequenceRule) -> set[int]:
        first = self.of_event(rule.value.first, rule.value.last_days)
        then = {person: rows for person, rows in self.of_event(rule.value.then, None).groupby("person_id")}
        did = set()
        for person, rows in first.groupby("person_id"):
            for at, on in zip(rows["happened_at"], pd.to_datetime(rows["happened_on"]), strict=True):
                later = then.get(person)
                if later is None:
                    continue
                last = on + timedelta(days=rule.value.within_days)
                if ((later["happened_at"] > at) & (pd.to_datetime(later["happened_on"]) <= last)).any():
                    did.add(person)
        return did


def tag_rules(world: World) -> st.SearchStrategy[dict]:
    """Conditions on tags with values that occur, or nearly."""

    def of(name: str) -> st.SearchStrategy[dict]:
        known = [value for value in world.persons[name] if not pd.isna(value)]
        kind = world.snapshot.tags[name].data_type
        if kind == "date":
            values = st.sampled_from(sorted({str(pd.Timestamp(value).date()) for value in known}))
        elif kind == "decimal":
            values = st.sampled_from(sorted({float(value) for value in known}))
        elif kind == "integer":
            values = st.sampled_from(sorted({int(value) for value in known}))
        else:
            values = st.sampled_from(sorted(set(known)))
        two = st.lists(values, min_size=2, max_size=2).map(sorted)
        some = st.lists(values, min_size=1, max_size=4)
        days = st.integers(1, 200)
        one = {
            "text": {"=": values, "!=": values, "in": some, "notIn": some}
            | {
                "contains": values.map(lambda text: text[1:4].upper() or text),
                "beginsWith": values.map(lambda text: text[:2]),
            },
            "boolean": {"=": st.booleans()},
            "date": {"=": values, "<": values, "<=": values, ">": values, ">=": values, "between": two}
            | {"last_days": days, "before_days": days, "next_days": days},
        }
        numbers = {operator: values for operator in ("=", "!=", "<", "<=", ">", ">=")}
        numbers |= {"between": two, "notBetween": two, "in": some, "notIn": some}
        operators = one.get(kind, numbers) | {"null": st.none(), "notNull": st.none()}
        return st.one_of(
            st.fixed_dictionaries({"field": st.just(f"tag:{name}"), "operator": st.just(operator), "value": value})
            for operator, value in operators.items()
        )

    return st.one_of(of(name) for names in TAGS.values() for name in names)


def event_rules() -> st.SearchStrategy[dict]:
    days = st.none() | st.integers(1, 200)
    whats = st.none() | st.just(["store 367", "web cart"]) | st.just(["nothing of the kind"])
    did = st.sampled_from(["did", "did_not"])
    one = st.fixed_dictionaries(
        {
            "field": st.sampled_from([f"event:{event}" for event in EVENTS]),
            "operator": did,
            "value": st.fixed_dictionaries(
                {
                    "at_least": st.integers(1, 6),
                    "within_days": days,
                    "amount_at_least": st.none() | st.sampled_from([0.0, 25.5, 300.0]),
                    "what": whats,
                }
            ),
        }
    )
    names = st.sampled_from(["cart", "product_view", "web_visit", "purchase"])
    two = st.fixed_dictionaries(
        {
            "field": st.just("sequence"),
            "operator": did,
            "value": st.fixed_dictionaries(
                {"first": names, "then": names, "within_days": st.integers(1, 60), "last_days": days}
            ),
        }
    )
    inner = st.fixed_dictionaries(
        {
            "field": st.sampled_from([f"audience:{number}" for number in INNER]),
            "operator": st.sampled_from(["in", "not_in"]),
        }
    )
    return one | two | inner


def definitions(world: World) -> st.SearchStrategy[Definition]:
    """Whole definitions, groups up to four deep."""
    leaf = st.one_of(tag_rules(world), tag_rules(world), event_rules())

    def grouped(rules: st.SearchStrategy, least: int = 1) -> st.SearchStrategy[dict]:
        return st.fixed_dictionaries(
            {
                "combinator": st.sampled_from(["and", "or"]),
                "not": st.booleans(),
                "rules": st.lists(rules, min_size=least, max_size=4),
            }
        )

    rules = leaf | grouped(leaf | grouped(leaf | grouped(leaf)))
    return st.fixed_dictionaries(
        {
            "rule": grouped(rules, least=0),
            "consent": st.sampled_from(["none", "none", "email", "sms", "push"]),
            "suppression": st.booleans(),
        }
    ).map(parse)


def counted(world: World, query: Query) -> int:
    return world.snapshot.value(query.sql, query.parameters)


def test_random_rules_count_as_an_evaluation_in_pandas_does(world: World) -> None:
    """The law of the compiler: 250 random trees, members one by one."""
    reference = Reference(world)
    tags, events = world.snapshot.tags, events_of_version(world.snapshot)
    sizes = []

    @settings(
        max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
    )
    @given(definition=definitions(world))
    def holds(definition: Definition) -> None:
        expected = reference.members(definition)
        query = compile_members(definition, tags, events, audience_of, DAY)
        found = [row["person_id"] for row in world.snapshot.rows(query.sql, query.parameters)]
        assert found == sorted(expected)
        assert counted(world, compile_count(definition, tags, events, audience_of, DAY)) == len(expected)
        sizes.append(len(expected))

    holds()
    # Trees that all catch everybody or nobody would prove little.
    assert sum(0 < one < PERSONS for one in sizes) > len(sizes) / 3


def test_unknown_is_in_the_complement_of_a_group_but_not_in_a_condition(world: World) -> None:
    """The null rule, in four counts that add up."""
    condition = {"field": "tag:rfm_segment", "operator": "in", "value": ["champion"]}

    def count(rule: dict) -> int:
        definition = parse({"rule": rule, "suppression": False})
        return counted(world, compile_count(definition, world.snapshot.tags, (), audience_of, DAY))

    fits = count({"rules": [condition]})
    known_others = count({"rules": [condition | {"operator": "notIn"}]})
    unknown = count({"rules": [{"field": "tag:rfm_segment", "operator": "null"}]})
    not_the_group = count({"not": True, "rules": [condition]})
    assert fits + known_others + unknown == PERSONS
    assert not_the_group == known_others + unknown
    assert min(fits, known_others, unknown) > 0


def test_chance_is_the_same_in_every_run_and_near_its_percentage(world: World) -> None:
    """A person's side depends on the seed and their number alone; split and holdout do not go together."""
    given = {
        "suppression": False,
        "holdout_percent": 20,
        "seed": "spring",
        "split": {"parts": [{"name": "A", "percent": 50}, {"name": "B'; --", "percent": 50}]},
    }
    query = compile_members(parse(given), world.snapshot.tags, (), audience_of, DAY)
    rows = world.snapshot.rows(query.sql, query.parameters)

    def bucket(purpose: str, person: int) -> int:
        return int(hashlib.md5(f"spring:{purpose}:{person}".encode()).hexdigest()[:7], 16) % 100

    assert len(rows) == PERSONS
    for row in rows:
        assert row["is_held_out"] == (bucket("holdout", row["person_id"]) < 20)
        assert row["part"] == ("A" if bucket("split", row["person_id"]) < 50 else "B'; --")
    held_out = sum(row["is_held_out"] for row in rows)
    assert 0.12 * PERSONS < held_out < 0.28 * PERSONS
    found = size(world.snapshot, parse(given), audience_of)
    assert (found.members, found.held_out, found.sent) == (PERSONS, held_out, PERSONS - held_out)
    assert sum(found.parts.values()) == found.sent


def test_sizes_say_where_persons_are_lost(world: World) -> None:
    """Matched is members, those without consent and those who objected."""
    definition = parse(
        {"consent": "email", "rule": {"rules": [{"field": "tag:orders_365d", "operator": ">", "value": 2}]}}
    )
    found = size(world.snapshot, definition, audience_of)
    assert found.matched == found.members + found.without_consent + found.objected
    assert found.members == len(Reference(world).members(definition))
    assert found.population == PERSONS
    assert min(found.without_consent, found.objected) > 0


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"field": "tag:rfm_segmnt", "operator": "=", "value": "x"}, "no tag rfm_segmnt in the published version; did"),
        ({"field": "tag:person_id", "operator": "=", "value": 1}, "no tag person_id"),
        ({"field": "tag:rfm_segment", "operator": "<", "value": "x"}, ".operator: a text tag has no <"),
        ({"field": "tag:rfm_segment", "operator": "=", "value": "x' or 1=1 --"}, '.value: "x\' or 1=1 --" is no value'),
        ({"field": "tag:rfm_segment", "operator": "in", "value": ["champio"]}, "did you mean champion?"),
        ({"field": "tag:orders_365d", "operator": "=", "value": "1 or 1=1"}, "'1 or 1=1' is no number"),
        ({"field": "tag:orders_365d", "operator": "=", "value": "nan"}, "'nan' is no number that a tag can have"),
        ({"field": "tag:orders_365d", "operator": "=", "value": "1e30"}, "is no number that a tag can have"),
        ({"field": "tag:orders_365d", "operator": "=", "value": 1.5}, "1.5 is no whole number"),
        ({"field": "tag:orders_365d", "operator": "=", "value": True}, "takes an integer, not true"),
        ({"field": "tag:has_app", "operator": "=", "value": "1"}, "'1' is neither true nor false"),
        ({"field": "tag:last_order_date", "operator": "=", "value": "31.12."}, "is no day; write it as 2017-12-31"),
        ({"field": "tag:last_order_date", "operator": "=", "value": 5}, "5 is no day"),
        ({"field": "tag:orders_365d", "operator": "between", "value": [5, 1]}, "5 is after 1; write the smaller"),
        ({"field": "tag:state", "operator": "contains", "value": ""}, "an empty text fits nobody"),
        (
            {"field": "event:purchas", "operator": "did"},
            "no event purchas in the published version; did you mean purchase",
        ),
        (
            {"field": "sequence", "operator": "did", "value": {"first": "cart", "then": "x1", "within_days": 1}},
            ".value.then: there is no event x1",
        ),
        ({"field": "audience:99", "operator": "in"}, "there is no audience 99"),
    ],
)
def test_what_does_not_fit_the_version_is_refused(world: World, rule: dict, message: str) -> None:
    """The message names the place in the rule; nothing of it reaches the database."""
    definition = parse({"rule": {"rules": [{"combinator": "or", "rules": [rule]}]}})
    events = events_of_version(world.snapshot)
    with pytest.raises(RuleError) as refused:
        compile_count(definition, world.snapshot.tags, events, audience_of, DAY)
    assert message in str(refused.value)
    assert str(refused.value).startswith("rule.rules[0].rules[0].")
    assert refused.value.problems == check(definition, world.snapshot.tags, events, audience_of)


@pytest.mark.parametrize(
    "text",
    [
        "x' or '1'='1",
        "'; drop table tag_integration.person_tags; --",
        "$p0",
        ":p0 %s {0} ? \\' \"",
        "%_\\",
        "); select * from read_csv('/etc/passwd'); (",
        "\u202e\u0000".replace("\u0000", "") + "ÄÖ 人",
    ],
)
def test_values_are_never_part_of_the_sql(world: World, text: str) -> None:
    """Hostile values are bound: the SQL is the same for all, and they fit nobody."""
    rules = [
        {"field": "tag:state", "operator": "=", "value": text},
        {"field": "tag:state", "operator": "contains", "value": text},
        {"field": "event:purchase", "operator": "did", "value": {"what": [text]}},
    ]
    queries = []
    for value in (text, "abc"):
        definition = parse(
            {
                "rule": {
                    "combinator": "or",
                    "rules": [
                        rule | ({"value": value} if rule["field"] == "tag:state" else {"value": {"what": [value]}})
                        for rule in rules
                    ],
                },
                "split": {"parts": [{"name": value[:40], "percent": 1}, {"name": "rest", "percent": 99}]},
            }
        )
        queries.append(compile_members(definition, world.snapshot.tags, {"purchase"}, audience_of, DAY))
    assert queries[0].sql == queries[1].sql
    assert world.snapshot.rows(queries[0].sql, queries[0].parameters) == []
    # What people read is one statement of SQL that means the same.
    assert len(sqlglot.parse(queries[0].literal(), dialect="duckdb")) == 1
    assert world.snapshot.rows(queries[0].literal()) == []


def test_circles_and_towers_of_audiences_are_refused(world: World) -> None:
    """An audience that leads back to itself, and chains longer than the limit."""

    def named(number: int) -> Definition:
        return parse({"rule": {"rules": [{"field": f"audience:{number}", "operator": "in"}]}})

    circle = {1: named(2), 2: named(3), 3: named(1)}
    problems = check(named(1), world.snapshot.tags, (), circle.__getitem__)
    assert [problem.path for problem in problems if "goes round in a circle" in problem.message]
    assert "audience 1 in audience 3 in audience 2 in audience 1" in str(problems[0])
    # Version 2 of audience 7 may not name an audience that names 7.
    assert check(named(8), world.snapshot.tags, (), {8: named(7)}.__getitem__, audience_id=7)
    tower = {number: named(number + 1) for number in range(1, 50)}
    assert "more than 5 deep" in str(check(named(1), world.snapshot.tags, (), tower.__getitem__)[0])


def test_many_conditions_through_audiences_are_refused(world: World) -> None:
    """Ten audiences of a hundred conditions are more than one query should have."""
    leaf = {"field": "tag:has_app", "operator": "=", "value": True}
    inner = parse({"rule": {"rules": [leaf] * 100}})
    outer = parse({"rule": {"rules": [{"field": f"audience:{number}", "operator": "in"} for number in range(1, 11)]}})
    assert "more than 500 conditions" in str(check(outer, world.snapshot.tags, (), lambda number: inner)[0])


def test_personal_data_in_the_clear_chooses_nobody(world: World) -> None:
    """Who guesses a name could find the person by the size alone."""
    from dataclasses import replace

    tags = {"has_app": replace(world.snapshot.tags["has_app"], personal_data="direct")}
    definition = parse(
        {"suppression": False, "rule": {"rules": [{"field": "tag:has_app", "operator": "=", "value": True}]}}
    )
    assert "personal data in the clear" in str(check(definition, tags, (), audience_of)[0])


def test_spark_gets_its_own_text(world: World) -> None:
    """The same tree for the distributed engine: its placeholders and functions, in SQL that Spark's grammar takes."""
    definition = parse(
        {
            "holdout_percent": 5,
            "rule": {
                "rules": [
                    {"field": "tag:state", "operator": "contains", "value": "s"},
                    {
                        "field": "sequence",
                        "operator": "did",
                        "value": {"first": "cart", "then": "purchase", "within_days": 3},
                    },
                ]
            },
        }
    )
    query = compile_members(definition, world.snapshot.tags, ("cart", "purchase"), audience_of, DAY, dialect="spark")
    assert "LOCATE(:p0" in query.sql
    assert "CONV(SUBSTRING(MD5(" in query.sql
    assert "DATE_ADD(first_event.happened_on, 3)" in query.sql
    assert "$" not in query.sql
    assert sqlglot.parse_one(query.literal(), dialect="spark")
