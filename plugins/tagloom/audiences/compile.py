"""Turns a definition into one SQL query: values bound as parameters, names only from the published version.

What unknown (null) values mean, everywhere in the portal, its API and exports:

- A condition holds only where its tag is known to fit. A person whose tag is unknown fits neither `=` nor `!=`, neither
  `in` nor `notIn`, neither `between` nor `notBetween`; only `null` ("is not known") finds them.
- A group with `not` is the complement of what it would be without: whoever does not fit the group, the unknown
  included. So `not (segment in [champion])` holds for a person without a segment; `segment notIn [champion]` does
  not.
- Events have no unknown: an event that nobody saw did not happen. `did_not` is the complement of `did`.
- Consent needs a yes (`is_email_reachable` ...): unknown is no. Suppression leaves out who is known to have objected.
- Somebody who is in no version of the wide table is in no audience.

The same tree gives DuckDB's or Spark's text. Days count back from the day the tags are of, never from the clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import reduce
from typing import Any, Protocol

from sqlglot import exp

from tagloom.audiences.rules import (
    CONSENT_TAGS,
    MAXIMUM_DEPTH,
    SUPPRESSION_TAGS,
    TAG_OPERATORS,
    AudienceRule,
    Definition,
    EventRule,
    Group,
    Leaf,
    Problem,
    RuleError,
    SequenceRule,
    TagRule,
    audiences_of,
    events_of,
    leaves,
    tags_of,
)

__all__ = [
    "CONSENT_TAGS",
    "SUPPRESSION_TAGS",
    "Conditions",
    "KnownTag",
    "Query",
    "audiences_of",
    "check",
    "compile_count",
    "compile_members",
    "events_of",
    "tags_of",
]

PERSON_TABLE = ("tag_integration", "person_tags")
EVENT_TABLE = ("serving", "person_events")

MAXIMUM_CONDITIONS = 500
"""Conditions of a definition together with those of the audiences it names."""

BUCKETS = 100
"""A person falls into one of so many by chance; a percent is one bucket."""

AudienceOf = Callable[[int], Definition]
"""Id -> definition in use; raises LookupError when there is no such audience."""


class KnownTag(Protocol):
    """What the compiler needs to know of a tag."""

    name: str
    data_type: str
    values: tuple[str, ...] | None
    personal_data: str


@dataclass(frozen=True)
class Query:
    """SQL and the values to bind to it."""

    sql: str
    """With named placeholders: $p0 for DuckDB, :p0 for Spark."""
    parameters: dict[str, Any]

    def literal(self) -> str:
        """The SQL with its values written out, for people to read; never to be run."""
        return re.sub(r"[$:](p[0-9]+)\b", lambda found: _shown(self.parameters[found[1]]), self.sql)


@dataclass
class Conditions:
    """Expressions of one query, with the parameters they share.

    `tags` and `events` are what the published version has; nothing else gets into the SQL.
    """

    tags: Mapping[str, KnownTag]
    events: Collection[str]
    audiences: AudienceOf
    as_of_date: date
    dialect: str = "duckdb"
    parameters: dict[str, Any] = field(default_factory=dict)
    _inlined: list[int] = field(default_factory=list)
    _conditions: int = 0

    def of(self, definition: Definition) -> exp.Expression:
        """Who is a member: the rule, the consent and no objection; holdouts are members too. May be null.

        Raises RuleError with every problem of the definition.
        """
        problems = self._check(definition)
        if problems:
            raise RuleError(problems)
        return self._member(definition)

    def rule(self, definition: Definition) -> exp.Expression:
        """Who fits the rule alone. Raises RuleError."""
        problems = self._check(definition)
        if problems:
            raise RuleError(problems)
        return self._group(definition.rule)

    def leaf(self, leaf: Leaf) -> exp.Expression:
        """One condition of a definition that was checked before."""
        return self._leaf(leaf)

    def group(self, group: Group) -> exp.Expression:
        """One group of a definition that was checked before."""
        return self._group(group)

    def consent(self, definition: Definition) -> exp.Expression | None:
        """Whether the channel is allowed; None when none is asked for."""
        tag = CONSENT_TAGS.get(definition.consent)
        return _column(tag) if tag else None

    def objection(self, definition: Definition) -> exp.Expression | None:
        """Whether the person has objected, never null; None when nobody asks."""
        if not definition.suppression:
            return None
        return reduce(exp.or_, (exp.Coalesce(this=_column(tag), expressions=[exp.false()]) for tag in SUPPRESSION_TAGS))

    def is_held_out(self, definition: Definition) -> exp.Expression:
        """Whether chance keeps the person apart; the same person always, as long as the seed stays."""
        if not definition.holdout_percent:
            return exp.false()
        return exp.LT(this=self._bucket(definition.seed, "holdout"), expression=self._bind(definition.holdout_percent))

    def part(self, definition: Definition) -> exp.Expression:
        """Name of the part of the split the person falls into, null without a split."""
        if definition.split is None:
            return exp.cast(exp.null(), "varchar")
        case = exp.Case()
        upper = 0
        for part in definition.split.parts[:-1]:
            upper += part.percent
            below = exp.LT(this=self._bucket(definition.seed, "split"), expression=self._bind(upper))
            case = case.when(below, self._bind(part.name))
        return case.else_(self._bind(definition.split.parts[-1].name))

    def sql(self, query: exp.Expression, pretty: bool = True) -> Query:
        """The query's text in the dialect, with the parameters bound so far."""
        return Query(query.sql(dialect=self.dialect, pretty=pretty), dict(self.parameters))

    def _check(self, definition: Definition, prefix: str = "") -> list[Problem]:
        problems = []
        for path, leaf in leaves(definition.rule):
            self._conditions += 1
            problems += [Problem(prefix + path + place, message) for place, message in self._check_leaf(leaf)]
            if isinstance(leaf, AudienceRule) and not prefix:
                problems += self._check_inner(leaf, path)
            elif isinstance(leaf, AudienceRule):
                problems += self._check_inner(leaf, prefix.removesuffix(": "))
        needed = [(CONSENT_TAGS[definition.consent], "consent")] if definition.consent in CONSENT_TAGS else []
        needed += [(tag, "suppression") for tag in SUPPRESSION_TAGS] if definition.suppression else []
        for tag, key in needed:
            if tag not in self.tags or self.tags[tag].data_type != "boolean":
                problems.append(Problem(prefix + key, f"needs the tag {tag}, which this version does not have"))
        if self._conditions > MAXIMUM_CONDITIONS and not prefix:
            problems.append(
                Problem("rule", f"has more than {MAXIMUM_CONDITIONS} conditions with those of the audiences it names")
            )
        return problems

    def _check_inner(self, leaf: AudienceRule, path: str) -> list[Problem]:
        number = leaf.audience_id
        if number in self._inlined:
            chain = " in ".join(f"audience {one}" for one in [number, *reversed(self._inlined)])
            return [Problem(f"{path}.field", f"goes round in a circle: {chain}")]
        if len(self._inlined) >= MAXIMUM_DEPTH:
            return [Problem(f"{path}.field", f"names audiences more than {MAXIMUM_DEPTH} deep")]
        if self._conditions > MAXIMUM_CONDITIONS:
            return []
        try:
            inner = self.audiences(number)
        except LookupError:
            return [Problem(f"{path}.field", f"there is no audience {number}; it was deleted or never saved")]
        self._inlined.append(number)
        try:
            return self._check(inner, f"{path} (audience {number}): ")
        finally:
            self._inlined.pop()

    def _check_leaf(self, leaf: Leaf) -> list[tuple[str, str]]:
        """(place below the leaf, message) of what does not fit the published version."""
        if isinstance(leaf, EventRule):
            return [(".field", _unknown("event", leaf.event, self.events))] if leaf.event not in self.events else []
        if isinstance(leaf, SequenceRule):
            return [
                (f".value.{key}", _unknown("event", name, self.events))
                for key, name in (("first", leaf.value.first), ("then", leaf.value.then))
                if name not in self.events
            ]
        if not isinstance(leaf, TagRule):
            return []
        tag = self.tags.get(leaf.tag)
        if tag is None:
            return [(".field", _unknown("tag", leaf.tag, self.tags))]
        if tag.personal_data == "direct":
            return [(".field", f"{tag.name} is personal data in the clear; audiences are not chosen by it")]
        operators = TAG_OPERATORS[tag.data_type]
        if leaf.operator not in operators:
            return [(".operator", f"a {tag.data_type} tag has no {leaf.operator}; it has {', '.join(operators)}")]
        try:
            values = _values(leaf, tag)
        except ValueError as error:
            return [(".value", str(error))]
        if leaf.operator in ("between", "notBetween") and values[0] > values[1]:
            return [(".value", f"{_shown(values[0])} is after {_shown(values[1])}; write the smaller one first")]
        if leaf.operator in ("last_days", "before_days", "next_days"):
            try:
                _day(self.as_of_date, -leaf.value if leaf.operator != "next_days" else leaf.value)
            except OverflowError:
                return [(".value", f"{leaf.value} days reach beyond the calendar")]
        return []

    def _member(self, definition: Definition) -> exp.Expression:
        rule = definition.rule
        parts = self._parts(rule) if rule.combinator == "and" and not rule.negated else [self._group(rule)]
        consent, objection = self.consent(definition), self.objection(definition)
        if consent is not None:
            parts.append(consent)
        if objection is not None:
            parts.append(exp.not_(_bracketed(objection)))
        return _all(parts)

    def _parts(self, group: Group) -> list[exp.Expression]:
        return [self._group(rule) if isinstance(rule, Group) else self._leaf(rule) for rule in group.rules]

    def _group(self, group: Group) -> exp.Expression:
        parts = self._parts(group)
        condition = _all(parts) if group.combinator == "and" or not parts else exp.or_(*parts)
        if not group.negated:
            return condition
        return exp.Not(this=exp.Coalesce(this=_bracketed(condition), expressions=[exp.false()]))

    def _leaf(self, leaf: Leaf) -> exp.Expression:
        if isinstance(leaf, TagRule):
            return self._tag(leaf)
        if isinstance(leaf, EventRule):
            found = self._in(self._event(leaf))
            return found if leaf.operator == "did" else exp.not_(_bracketed(found))
        if isinstance(leaf, SequenceRule):
            found = self._in(self._sequence(leaf))
            return found if leaf.operator == "did" else exp.not_(_bracketed(found))
        member = _bracketed(self._member(self.audiences(leaf.audience_id)))
        if leaf.operator == "in":
            return member
        return exp.Not(this=exp.Coalesce(this=member, expressions=[exp.false()]))

    def _tag(self, rule: TagRule) -> exp.Expression:
        tag = self.tags[rule.tag]
        column: exp.Expression = _column(tag.name)
        if rule.operator == "null":
            return exp.Is(this=column, expression=exp.null())
        if rule.operator == "notNull":
            return exp.not_(exp.Is(this=column, expression=exp.null()))
        values = _values(rule, tag)
        if tag.data_type == "timestamp":
            column = exp.cast(column, "date")
        if tag.data_type == "boolean":
            return column if values[0] else exp.not_(column)
        match rule.operator:
            case "in" | "notIn":
                found = exp.In(this=column, expressions=[self._bind(value) for value in dict.fromkeys(values)])
                return found if rule.operator == "in" else exp.not_(found)
            case "between":
                return exp.Between(this=column, low=self._bind(values[0]), high=self._bind(values[1]))
            case "notBetween":
                low, high = self._bind(values[0]), self._bind(values[1])
                return exp.or_(exp.LT(this=column, expression=low), exp.GT(this=column.copy(), expression=high))
            case "contains":
                text = exp.Lower(this=exp.cast(column, "varchar"))
                place = exp.StrPosition(this=text, substr=self._bind(values[0].lower()))
                return exp.GT(this=place, expression=exp.Literal.number(0))
            case "beginsWith":
                text = exp.Lower(this=exp.cast(column, "varchar"))
                return exp.StartsWith(this=text, expression=self._bind(values[0].lower()))
            case "last_days":
                after = exp.GT(this=column, expression=self._bind(_day(self.as_of_date, -values[0])))
                return exp.and_(after, exp.LTE(this=column.copy(), expression=self._bind(self.as_of_date)))
            case "before_days":
                return exp.LTE(this=column, expression=self._bind(_day(self.as_of_date, -values[0])))
            case "next_days":
                after = exp.GT(this=column, expression=self._bind(self.as_of_date))
                last = self._bind(_day(self.as_of_date, values[0]))
                return exp.and_(after, exp.LTE(this=column.copy(), expression=last))
        comparison = _COMPARISONS[rule.operator]
        return comparison(this=column, expression=self._bind(values[0]))

    def _event(self, rule: EventRule) -> exp.Select:
        wanted = rule.value
        conditions = [
            exp.EQ(this=exp.column("event"), expression=self._bind(rule.event)),
            *self._window(exp.column("happened_on"), wanted.within_days),
        ]
        if wanted.what:
            among = [self._bind(one) for one in dict.fromkeys(wanted.what)]
            conditions.append(exp.In(this=exp.column("what"), expressions=among))
        events = exp.table_(EVENT_TABLE[1], db=EVENT_TABLE[0])
        persons = exp.select("person_id").from_(events).where(exp.and_(*conditions))
        having = []
        if wanted.at_least > 1:
            having.append(exp.GTE(this=exp.Count(this=exp.Star()), expression=self._bind(wanted.at_least)))
        if wanted.amount_at_least is not None:
            amount = self._bind(Decimal(str(wanted.amount_at_least)))
            having.append(exp.GTE(this=exp.Sum(this=exp.column("amount")), expression=amount))
        if having:
            persons = persons.group_by("person_id").having(*having)
        return persons

    def _sequence(self, rule: SequenceRule) -> exp.Select:
        """Persons with a `then` after a `first`, at most so many days later by the days of the business."""
        wanted = rule.value
        events = exp.table_(EVENT_TABLE[1], db=EVENT_TABLE[0])
        first, then = (exp.alias_(events.copy(), name, table=True) for name in ("first_event", "then_event"))

        def of(table: str, column: str) -> exp.Column:
            return exp.column(column, table=table)

        later = exp.DateAdd(
            this=of("first_event", "happened_on"),
            expression=exp.Literal.number(wanted.within_days),
            unit=exp.var("day"),
        )
        condition = exp.and_(
            exp.EQ(this=of("first_event", "event"), expression=self._bind(wanted.first)),
            exp.EQ(this=of("then_event", "event"), expression=self._bind(wanted.then)),
            exp.GT(this=of("then_event", "happened_at"), expression=of("first_event", "happened_at")),
            exp.LTE(this=of("then_event", "happened_on"), expression=later),
            *self._window(of("first_event", "happened_on"), wanted.last_days),
            # Follows for the second from the first, but spares the join what is older.
            *self._window(of("then_event", "happened_on"), wanted.last_days),
        )
        same = exp.EQ(this=of("then_event", "person_id"), expression=of("first_event", "person_id"))
        return exp.select(of("first_event", "person_id")).from_(first).join(then, on=same).where(condition)

    def _window(self, column: exp.Column, days: int | None) -> list[exp.Expression]:
        """The last `days` days up to and with the day the tags are of."""
        window: list[exp.Expression] = [exp.LTE(this=column, expression=self._bind(self.as_of_date))]
        if days is not None:
            window.append(exp.GT(this=column.copy(), expression=self._bind(_day(self.as_of_date, -days))))
        return window

    def _in(self, persons: exp.Select) -> exp.Expression:
        return exp.In(this=_column("person_id"), query=exp.Subquery(this=persons))

    def _bucket(self, seed: str, purpose: str) -> exp.Expression:
        """A number from 0 to 99 that looks like chance: the same in every dialect, version and run."""
        text = exp.Concat(
            expressions=[self._bind(f"{seed}:{purpose}:"), exp.cast(_column("person_id"), "varchar")],
        )
        digits = exp.Substring(this=exp.MD5(this=text), start=exp.Literal.number(1), length=exp.Literal.number(7))
        if self.dialect == "duckdb":
            number = exp.cast(exp.Concat(expressions=[exp.Literal.string("0x"), digits]), "int")
        else:
            base = exp.func("conv", digits, exp.Literal.number(16), exp.Literal.number(10), dialect=self.dialect)
            number = exp.cast(base, "int")
        return exp.Mod(this=number, expression=exp.Literal.number(BUCKETS))

    def _bind(self, value: Any) -> exp.Placeholder:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return exp.Placeholder(this=name)


def compile_count(
    definition: Definition,
    tags: Mapping[str, KnownTag],
    events: Collection[str],
    audiences: AudienceOf,
    as_of_date: date,
    dialect: str = "duckdb",
) -> Query:
    """The query that counts the members, one row with the column `persons`; those held out count.

    `tags` and `events` are those of the published version, `audiences` gives definitions by id (LookupError when there
    is none). Raises RuleError that names each place of the rule which does not fit them.
    """
    conditions = Conditions(tags, events, audiences, as_of_date, dialect)
    condition = conditions.of(definition)
    count = exp.alias_(exp.Count(this=exp.Star()), "persons")
    return conditions.sql(from_persons(exp.select(count), condition))


def compile_members(
    definition: Definition,
    tags: Mapping[str, KnownTag],
    events: Collection[str],
    audiences: AudienceOf,
    as_of_date: date,
    dialect: str = "duckdb",
) -> Query:
    """The query that lists the members by person_id, with `part` (of the split, or null) and `is_held_out`.

    Raises RuleError as compile_count does.
    """
    conditions = Conditions(tags, events, audiences, as_of_date, dialect)
    condition = conditions.of(definition)
    members = exp.select(
        _column("person_id"),
        exp.alias_(conditions.part(definition), "part"),
        exp.alias_(conditions.is_held_out(definition), "is_held_out"),
    )
    return conditions.sql(from_persons(members, condition).order_by("person_id", dialect=dialect))


def check(
    definition: Definition,
    tags: Mapping[str, KnownTag],
    events: Collection[str],
    audiences: AudienceOf,
    audience_id: int | None = None,
) -> list[Problem]:
    """What is wrong with a definition for this published version; empty when it can be run.

    With `audience_id`, the audience that it is a new version of, circles back to itself are found.
    """
    conditions = Conditions(tags, events, audiences, date(2000, 1, 1))
    if audience_id is not None:
        conditions._inlined.append(audience_id)
    return conditions._check(definition)


def from_persons(select: exp.Select, condition: exp.Expression | None = None) -> exp.Select:
    """The select over the wide table of persons, where the condition holds."""
    select = select.from_(exp.table_(PERSON_TABLE[1], db=PERSON_TABLE[0]))
    return select if condition is None or condition == exp.true() else select.where(condition)


_COMPARISONS: dict[str, type[exp.Binary]] = {
    "=": exp.EQ,
    "!=": exp.NEQ,
    "<": exp.LT,
    "<=": exp.LTE,
    ">": exp.GT,
    ">=": exp.GTE,
}


def _column(name: str) -> exp.Column:
    return exp.column(name, table=PERSON_TABLE[1], quoted=not (name.islower() and name.isidentifier()))


def _all(conditions: list[exp.Expression]) -> exp.Expression:
    """All of them at once; without any, everybody."""
    if len(conditions) < 2:
        return conditions[0] if conditions else exp.true()
    return exp.and_(*conditions)


def _bracketed(condition: exp.Expression) -> exp.Expression:
    return exp.paren(condition) if isinstance(condition, exp.Connector) else condition


def _day(day: date, days: int) -> date:
    return day + timedelta(days=days)


def _values(rule: TagRule, tag: KnownTag) -> list[Any]:
    """The values of a condition in the type of its tag; raises ValueError that says what belongs there."""
    if rule.operator in ("null", "notNull"):
        return []
    given = rule.value if isinstance(rule.value, list) else [rule.value]
    if rule.operator in ("last_days", "before_days", "next_days"):
        return given
    one_of = tag.values if rule.operator in ("=", "!=", "in", "notIn") else None
    return [_value(value, tag.data_type, one_of) for value in given]


def _value(value: Any, data_type: str, one_of: Collection[str] | None) -> Any:
    if data_type == "boolean":
        known = {True: True, False: False, "true": True, "false": False}
        if isinstance(value, bool | str) and value in known:
            return known[value]
        raise ValueError(f"{value!r} is neither true nor false")
    if isinstance(value, bool):
        article = "an" if data_type == "integer" else "a"
        raise ValueError(f"takes {article} {data_type}, not {str(value).lower()}")
    if data_type in ("integer", "decimal"):
        return _number(value, data_type)
    if data_type in ("date", "timestamp"):
        try:
            return date.fromisoformat(value)
        except (TypeError, ValueError):
            raise ValueError(f"{value!r} is no day; write it as 2017-12-31") from None
    text = str(value)
    if "\x00" in text or not text:
        raise ValueError("an empty text fits nobody; choose a value")
    if one_of is not None and text not in one_of:
        near = get_close_matches(text, one_of, 1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(list(one_of)[:12])}"
        raise ValueError(f"{text!r} is no value of this tag; {hint}")
    return text


def _number(value: Any, data_type: str) -> int | Decimal:
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError(f"{value!r} is no number") from None
    if not number.is_finite() or abs(number) > 10**15:
        raise ValueError(f"{value!r} is no number that a tag can have")
    if data_type == "decimal":
        return number
    if number != number.to_integral_value():
        raise ValueError(f"{value!r} is no whole number")
    return int(number)


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, list(known), 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"there is no {what} {name} in the published version{hint}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, date):
        return f"date '{value}'"
    return "'" + str(value).replace("'", "''") + "'"
