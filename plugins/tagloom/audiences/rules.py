"""What an audience is: a tree of rules over tags, events and other audiences, as people build and save it.

The shape is react-querybuilder's: groups `{"combinator", "not", "rules"}` and leaves `{"field", "operator", "value"}`.
Here only the shape and the limits are checked; whether a tag or event exists and whether a value fits it is checked by
`tagloom.audiences.compile`, which knows the published version. `docs/portal.md` says what every operator means.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator, model_validator

SCHEMA = 1
"""Version of this shape; saved definitions say which one they have."""

MAXIMUM_DEPTH = 5
"""Groups inside groups, the outermost counted."""

MAXIMUM_RULES = 100
"""Conditions of one definition, all groups together."""

MAXIMUM_VALUES = 1_000
"""Values of one condition."""

MAXIMUM_TEXT = 200
"""Characters of one value."""

MAXIMUM_NUMBER = 10**15
"""Largest number of a condition."""

MAXIMUM_CHARACTERS = 200_000
"""Characters of a whole definition as JSON."""

TAG_OPERATORS: dict[str, tuple[str, ...]] = {
    "boolean": ("=", "null", "notNull"),
    "text": ("in", "notIn", "=", "!=", "contains", "beginsWith", "null", "notNull"),
    "integer": ("between", "=", "!=", "<", "<=", ">", ">=", "notBetween", "in", "notIn", "null", "notNull"),
    "decimal": ("between", "=", "!=", "<", "<=", ">", ">=", "notBetween", "in", "notIn", "null", "notNull"),
    "date": ("last_days", "before_days", "next_days", "between", "=", "<", "<=", ">", ">=", "null", "notNull"),
    "timestamp": ("last_days", "before_days", "next_days", "between", "<", "<=", ">", ">=", "null", "notNull"),
}
"""Type of a tag -> the operators it has, the most useful first."""

CONSENT_TAGS = {"email": "is_email_reachable", "sms": "is_phone_reachable", "push": "is_push_reachable"}
"""Channel -> the tag that is true when the person has allowed it and an address is known."""

SUPPRESSION_TAGS = ("do_not_promote",)
"""Tags that are true for persons who must not be sent advertising, whatever they allowed before."""

WITHOUT_VALUE = ("null", "notNull")
WITH_LIST = ("in", "notIn")
WITH_TWO_VALUES = ("between", "notBetween")
WITH_DAYS = ("last_days", "before_days", "next_days")
"""Operators whose value is a number of days before or after the day the tags are of."""

_ALL_OPERATORS = tuple(dict.fromkeys(operator for operators in TAG_OPERATORS.values() for operator in operators))
_OF_THE_BUILDER = ("id", "path", "valueSource", "disabled", "muted")
"""Keys react-querybuilder adds to groups and leaves that mean nothing here."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
Text = Annotated[str, Field(min_length=1, max_length=MAXIMUM_TEXT)]
Days = Annotated[int, Field(ge=1, le=3_660, strict=True)]
Scalar = bool | int | float | str


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a definition."""

    path: str
    """Where: `rule.rules[1].value` is the value of the second condition of the outermost group."""
    message: str
    """What is wrong and what belongs there."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class RuleError(ValueError):
    """A definition is wrong; the message has one line per problem, which names the place in the rule and the cure."""

    def __init__(self, problems: list[Problem]):
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _without_what_the_builder_adds(cls, given: Any) -> Any:
        if isinstance(given, dict):
            return {key: value for key, value in given.items() if key not in _OF_THE_BUILDER}
        return given


class TagRule(_Strict):
    """A condition on the value of a tag of the person."""

    field: Annotated[str, Field(pattern=r"^tag:[A-Za-z_][A-Za-z0-9_]{0,99}$")]
    operator: Literal[_ALL_OPERATORS]  # type: ignore[valid-type]
    value: Scalar | list[Scalar] | None = None
    """A list for `in` and `notIn`, two values for `between`, days for `last_days`, nothing for `null`."""

    @property
    def tag(self) -> str:
        """Name of the tag."""
        return self.field.removeprefix("tag:")

    @field_validator("value", mode="before")
    @classmethod
    def _is_plain(cls, value: Any) -> Any:
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, str | bool | int | float | None) or (one is None and isinstance(value, list)):
                raise ValueError("takes texts, numbers, true and false, or a list of them")
            if isinstance(one, float) and not math.isfinite(one):
                raise ValueError(f"{one} is no number")
            if isinstance(one, int) and abs(one) > MAXIMUM_NUMBER:
                raise ValueError(f"a number is larger than {MAXIMUM_NUMBER}")
            if isinstance(one, str) and len(one) > MAXIMUM_TEXT:
                raise ValueError(f"a text is longer than {MAXIMUM_TEXT} characters")
        return value

    @model_validator(mode="after")
    def _value_fits_the_operator(self) -> TagRule:
        value, operator = self.value, self.operator
        if operator in WITHOUT_VALUE:
            if value not in (None, ""):
                raise ValueError(f"{operator} takes no value")
        elif operator in WITH_LIST:
            if not isinstance(value, list) or not value:
                raise ValueError(f"{operator} takes a list of at least one value")
            if len(value) > MAXIMUM_VALUES:
                raise ValueError(f"has {len(value)} values, more than {MAXIMUM_VALUES}; use a tag that groups them")
        elif operator in WITH_TWO_VALUES:
            if not isinstance(value, list) or len(value) != 2:
                raise ValueError(f"{operator} takes a list of two values, from and to")
        elif operator in WITH_DAYS:
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 36_600:
                raise ValueError(f"{operator} takes a whole number of days from 1 to 36600")
        elif value is None or isinstance(value, list):
            raise ValueError(f"{operator} takes one value")
        return self


class EventValue(_Strict):
    """How often, how much and how long ago an event must have happened."""

    at_least: Annotated[int, Field(ge=1, le=100_000, strict=True)] = 1
    """Times."""
    within_days: Days | None = None
    """Days up to and with the day the tags are of (1: that day only); None: ever."""
    amount_at_least: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)] | None = None
    """Sum of the amounts of these events, in their unit."""
    what: Annotated[list[Text], Field(min_length=1, max_length=MAXIMUM_VALUES)] | None = None
    """Only events about one of these (what was bought, which campaign); None: about anything."""


class EventRule(_Strict):
    """A condition on what the person did or did not do."""

    field: Annotated[str, Field(pattern=r"^event:[A-Za-z_][A-Za-z0-9_]{0,99}$")]
    operator: Literal["did", "did_not"]
    value: EventValue = EventValue()

    @field_validator("value", mode="before")
    @classmethod
    def _nothing_said(cls, value: Any) -> Any:
        return {} if value in (None, "") else value

    @property
    def event(self) -> str:
        """Name of the event."""
        return self.field.removeprefix("event:")


class SequenceValue(_Strict):
    """One event and, after it, another one (or the same again)."""

    first: Name
    then: Name
    within_days: Days
    """The second at most so many days after the first; 1: on the same day or the next."""
    last_days: Days | None = None
    """The first within so many days up to and with the day the tags are of; None: ever."""


class SequenceRule(_Strict):
    """A condition on two events in their order."""

    field: Literal["sequence"]
    operator: Literal["did", "did_not"]
    value: SequenceValue


class AudienceRule(_Strict):
    """A condition on being a member of another saved audience."""

    field: Annotated[str, Field(pattern=r"^audience:[1-9][0-9]{0,17}$")]
    operator: Literal["in", "not_in"]
    value: None = None

    @field_validator("value", mode="before")
    @classmethod
    def _takes_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @property
    def audience_id(self) -> int:
        """Id of the audience."""
        return int(self.field.removeprefix("audience:"))


def _kind(given: Any) -> str | None:
    """Which of the rules a piece of a definition is meant to be."""
    if isinstance(given, _Strict):
        return type(given).__name__
    if not isinstance(given, dict):
        return None
    if "rules" in given or "combinator" in given:
        return "Group"
    field = str(given.get("field", ""))
    if field == "sequence":
        return "SequenceRule"
    kinds = {"tag": "TagRule", "event": "EventRule", "audience": "AudienceRule"}
    return kinds.get(field.partition(":")[0]) if ":" in field else None


class Group(_Strict):
    """Rules of which all (`and`) or any (`or`) must hold, or just not (`not`)."""

    combinator: Literal["and", "or"] = "and"
    negated: bool = Field(default=False, alias="not", strict=True)
    rules: list[Rule] = []


Rule = Annotated[
    Annotated[Group, Tag("Group")]
    | Annotated[TagRule, Tag("TagRule")]
    | Annotated[EventRule, Tag("EventRule")]
    | Annotated[SequenceRule, Tag("SequenceRule")]
    | Annotated[AudienceRule, Tag("AudienceRule")],
    Discriminator(
        _kind,
        custom_error_type="rule_kind",
        custom_error_message=(
            "is no rule; a rule is a group with combinator and rules, or has a field tag:<tag>, event:<event>, "
            "sequence or audience:<id>"
        ),
    ),
]
Leaf = TagRule | EventRule | SequenceRule | AudienceRule


class Part(_Strict):
    """One part of a random split."""

    name: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[^\x00-\x1f]+$")]
    percent: Annotated[int, Field(ge=1, le=99, strict=True)]


class Split(_Strict):
    """The audience cut by chance into parts, the same person always in the same part."""

    parts: Annotated[list[Part], Field(min_length=2, max_length=10)]

    @model_validator(mode="after")
    def _adds_up(self) -> Split:
        total = sum(part.percent for part in self.parts)
        if total != 100:
            raise ValueError(f"the parts add up to {total} percent; they must add up to 100")
        if len({part.name for part in self.parts}) < len(self.parts):
            raise ValueError("two parts have the same name; name each differently")
        return self


class Definition(_Strict):
    """A whole audience."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    rule: Group = Group()
    """Who; a group without rules is everybody."""
    consent: Literal["email", "sms", "push", "none"] = "none"
    """The channel that every member must have allowed and be reachable by."""
    suppression: bool = Field(default=True, strict=True)
    """Whether persons who objected to advertising are left out."""
    holdout_percent: Annotated[int, Field(ge=0, le=90, strict=True)] = 0
    """Members kept apart by chance, so that the effect can be measured; they are counted, but not exported."""
    split: Split | None = None
    seed: Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z0-9_-]*$")] = ""
    """Decides who falls into which part and the holdout; kept over versions, so that nobody changes sides."""

    @field_validator("rule")
    @classmethod
    def _within_the_limits(cls, rule: Group) -> Group:
        problems = list(_beyond_the_limits(rule, "", 1))
        count = sum(1 for _ in leaves(rule))
        if count > MAXIMUM_RULES:
            problems.append(f"has {count} conditions, more than {MAXIMUM_RULES}; save parts as audiences of their own")
        if problems:
            raise ValueError("\n".join(problems))
        return rule

    def as_json(self) -> dict[str, Any]:
        """The definition as plain values with the names of its JSON, fit for `parse`."""
        return self.model_dump(mode="json", by_alias=True)


def parse(given: str | bytes | dict[str, Any]) -> Definition:
    """Read a definition from JSON text or plain values.

    Raises RuleError with one problem per line, each naming its place in the rule.
    """
    if isinstance(given, str | bytes):
        if len(given) > MAXIMUM_CHARACTERS:
            raise RuleError([Problem("", f"The definition is longer than {MAXIMUM_CHARACTERS} characters.")])
        try:
            given = json.loads(given)
        except (ValueError, RecursionError) as error:
            raise RuleError([Problem("", f"The definition is not readable as JSON: {error}.")]) from None
    if not isinstance(given, dict):
        raise RuleError([Problem("", 'The definition must be an object such as {"schema": 1, "rule": {...}}.')])
    _stop_deep_trees(given.get("rule"))
    try:
        return Definition.model_validate(given)
    except ValidationError as error:
        raise RuleError(_problems(error)) from None


def leaves(rule: Group | Leaf, path: str = "rule") -> Iterator[tuple[str, Leaf]]:
    """Every condition with its place, from left to right."""
    if isinstance(rule, Group):
        for number, child in enumerate(rule.rules):
            yield from leaves(child, f"{path}.rules[{number}]")
    else:
        yield path, rule


def tags_of(definition: Definition) -> frozenset[str]:
    """Names of the tags that decide who is a member, those of consent and suppression too.

    Tags of the audiences that it names are not among them.
    """
    tags = {leaf.tag for _, leaf in leaves(definition.rule) if isinstance(leaf, TagRule)}
    if definition.consent in CONSENT_TAGS:
        tags.add(CONSENT_TAGS[definition.consent])
    return frozenset(tags | set(SUPPRESSION_TAGS if definition.suppression else ()))


def events_of(definition: Definition) -> frozenset[str]:
    """Names of the events that the rules ask for."""
    events: set[str] = set()
    for _, leaf in leaves(definition.rule):
        if isinstance(leaf, EventRule):
            events.add(leaf.event)
        elif isinstance(leaf, SequenceRule):
            events |= {leaf.value.first, leaf.value.then}
    return frozenset(events)


def audiences_of(definition: Definition) -> frozenset[int]:
    """Ids of the audiences that the rules name themselves, not those that these name."""
    return frozenset(leaf.audience_id for _, leaf in leaves(definition.rule) if isinstance(leaf, AudienceRule))


def _stop_deep_trees(rule: Any) -> None:
    """Refuse a tree far too deep before recursion meets it."""
    level, depth = [rule], 0
    while level:
        depth += 1
        if depth > MAXIMUM_DEPTH + 1:
            raise RuleError(
                [Problem("rule", f"has groups more than {MAXIMUM_DEPTH} deep; save inner ones as audiences")]
            )
        level = [
            child
            for group in level
            if isinstance(group, dict) and isinstance(group.get("rules"), list)
            for child in group["rules"]
        ]


def _beyond_the_limits(group: Group, path: str, depth: int) -> Iterator[str]:
    if depth > MAXIMUM_DEPTH:
        yield f"{path}: is a group more than {MAXIMUM_DEPTH} deep; save it as an audience of its own"
        return
    for number, child in enumerate(group.rules):
        if isinstance(child, Group):
            place = f"{path}.rules[{number}]".lstrip(".")
            if not child.rules:
                yield f"{place}: is a group without conditions; add one or remove the group"
            yield from _beyond_the_limits(child, place, depth + 1)


_KINDS = {"Group", "TagRule", "EventRule", "SequenceRule", "AudienceRule"}
_MESSAGES = {
    "extra_forbidden": "is no key of a definition; remove it",
    "missing": "is missing",
    "string_pattern_mismatch": "has characters or a form that a name cannot have",
}


def _problems(error: ValidationError) -> list[Problem]:
    """Pydantic's findings in our words, the first of each place."""
    problems: dict[str, str] = {}
    for found in error.errors(include_url=False, include_context=False):
        path = ""
        # A rule's kind stands in the location after its number, without being a key.
        for before, step in zip(("", *found["loc"]), found["loc"], strict=False):
            if isinstance(step, int):
                path += f"[{step}]"
            elif not (step in _KINDS and isinstance(before, int)):
                path += f".{step}" if path else step
        message = _MESSAGES.get(found["type"]) or _sentence(found["msg"])
        for line in message.split("\n"):
            place, _, rest = line.partition(": ")
            if rest and place.startswith("rules["):
                problems.setdefault(f"{path}.{place}", rest)
            else:
                problems.setdefault(path, line)
    return [Problem(path, message) for path, message in problems.items()]


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:]
