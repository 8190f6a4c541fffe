"""Says in plain words, in English and Chinese, who a definition means; titles stand for column names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from tagloom.audiences.rules import (
    AudienceRule,
    Definition,
    EventRule,
    EventValue,
    Group,
    Leaf,
    SequenceRule,
    TagRule,
)


class TitledTag(Protocol):
    """What a sentence needs to know of a tag."""

    data_type: str
    unit: str

    def label(self, language: str = "en") -> str:
        """Title in a language."""

    def value_label(self, value: object, language: str = "en") -> str:
        """Name of a value in a language."""


class TitledEvent(Protocol):
    """What a sentence needs to know of an event."""

    def label(self, language: str = "en") -> str:
        """Title in a language."""


@dataclass(frozen=True)
class Line:
    """One line of an outline: a group's head or a condition."""

    path: str
    depth: int
    text: str
    rule: Group | Leaf


_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "everybody": "Everybody.",
        "persons": "Everybody where {rule}.",
        "they": "they ",
        "they_are": "they are ",
        "and": ", and ",
        "or": ", or ",
        "group": "({rule})",
        "not": "not ({rule})",
        "list": ", ",
        "last": " or ",
        "yes": "yes",
        "no": "no",
        "is": "{title} is {value}",
        "is_not": "{title} is known and not {value}",
        "below": "{title} is below {value}",
        "at_most": "{title} is at most {value}",
        "above": "{title} is above {value}",
        "at_least": "{title} is at least {value}",
        "between": "{title} is from {low} to {value}",
        "outside": "{title} is below {low} or above {value}",
        "before": "{title} is before {value}",
        "until": "{title} is on or before {value}",
        "after": "{title} is after {value}",
        "from": "{title} is on or after {value}",
        "last_days": "{title} is within the last {value} days",
        "before_days": "{title} is {value} days ago or longer",
        "next_days": "{title} is within the next {value} days",
        "contains": "{title} contains “{value}”",
        "begins": "{title} begins with “{value}”",
        "null": "{title} is not known",
        "known": "{title} is known",
        "did": "did “{event}”{what}{times}{amount}{window}",
        "did_not": "did not “{event}”{what}{times}{amount}{window}",
        "times": " at least {times} times",
        "amount": " for at least {amount} in all",
        "what": " of {what}",
        "within": " in the last {days} days",
        "ever": "",
        "sequence": "did “{first}”{last} and then “{then}” within {days} days",
        "no_sequence": "did not “{first}”{last} and then “{then}” within {days} days",
        "in_audience": "in the audience “{name}”",
        "not_in_audience": "not in the audience “{name}”",
        "email": "Only who can be reached by e-mail and allows it.",
        "sms": "Only who can be reached by phone and allows it.",
        "push": "Only who can be reached by push message and allows it.",
        "suppression": "Without those who objected to advertising.",
        "holdout": "{percent}\u00a0% of them are held out by chance, to compare with.",
        "split": "Split by chance: {parts}.",
        "part": "{name} {percent}\u00a0%",
        "all_of": "All of these hold",
        "any_of": "Any of these holds",
        "not_all_of": "Not all of these hold",
        "none_of": "None of these holds",
        "space": " ",
    },
    "zh": {
        "everybody": "所有人。",
        "persons": "满足条件的人：{rule}。",
        "they": "",
        "they_are": "",
        "and": "，并且",
        "or": "，或者",
        "group": "（{rule}）",
        "not": "不满足（{rule}）",
        "list": "、",
        "last": "或",
        "yes": "是",
        "no": "否",
        "is": "{title}为{value}",
        "is_not": "{title}已知且不为{value}",
        "below": "{title}低于{value}",
        "at_most": "{title}不超过{value}",
        "above": "{title}高于{value}",
        "at_least": "{title}不低于{value}",
        "between": "{title}在{low}至{value}之间",
        "outside": "{title}低于{low}或高于{value}",
        "before": "{title}早于{value}",
        "until": "{title}不晚于{value}",
        "after": "{title}晚于{value}",
        "from": "{title}不早于{value}",
        "last_days": "{title}在近{value}天内",
        "before_days": "{title}在{value}天前或更早",
        "next_days": "{title}在未来{value}天内",
        "contains": "{title}包含“{value}”",
        "begins": "{title}以“{value}”开头",
        "null": "{title}未知",
        "known": "{title}已知",
        "did": "{window}发生过“{event}”{what}{times}{amount}",
        "did_not": "{window}未发生“{event}”{what}{times}{amount}",
        "times": "至少{times}次",
        "amount": "，合计至少{amount}",
        "what": "（{what}）",
        "within": "近{days}天内",
        "ever": "",
        "sequence": "{last}发生“{first}”后{days}天内发生“{then}”",
        "no_sequence": "{last}未在“{first}”后{days}天内发生“{then}”",
        "in_audience": "属于人群“{name}”",
        "not_in_audience": "不属于人群“{name}”",
        "email": "仅限可用邮件触达且已授权的人。",
        "sms": "仅限可用电话触达且已授权的人。",
        "push": "仅限可用推送触达且已授权的人。",
        "suppression": "排除拒绝营销的人。",
        "holdout": "其中随机留出{percent}%作为对照。",
        "split": "随机拆分：{parts}。",
        "part": "{name} {percent}%",
        "all_of": "满足以下全部条件",
        "any_of": "满足以下任一条件",
        "not_all_of": "不同时满足以下全部条件",
        "none_of": "以下条件均不满足",
        "space": "",
    },
}

_COMPARISONS = {"=": "is", "!=": "is_not", "in": "is", "notIn": "is_not", "between": "between"}
_OF_NUMBERS = {"<": "below", "<=": "at_most", ">": "above", ">=": "at_least", "notBetween": "outside"}
_OF_DAYS = {"<": "before", "<=": "until", ">": "after", ">=": "from"}
_OF_TEXT = {"contains": "contains", "beginsWith": "begins"}

NameOf = Callable[[int], str]
"""Id of an audience -> its name."""


def sentence(
    definition: Definition,
    tags: Mapping[str, TitledTag],
    language: str = "en",
    events: Mapping[str, TitledEvent] | None = None,
    audience_name: NameOf = str,
) -> str:
    """Say whom a definition means. What is not in `tags` or `events` is called by its name."""
    speaker = _Speaker(tags, events or {}, audience_name, language)
    words = _WORDS[language]
    if definition.rule.rules:
        rule = speaker.group(definition.rule, outermost=True)
        told = [words["persons"].format(rule=rule)]
    else:
        told = [words["everybody"]]
    return words["space"].join([*told, *_beside_the_rule(definition, words)])


def outline(
    definition: Definition,
    tags: Mapping[str, TitledTag],
    language: str = "en",
    events: Mapping[str, TitledEvent] | None = None,
    audience_name: NameOf = str,
) -> list[Line]:
    """The rule as indented lines, one for each group and condition, in the order of the rule."""
    speaker = _Speaker(tags, events or {}, audience_name, language)
    return list(speaker.lines(definition.rule, "rule", 0))


def beside_the_rule(definition: Definition, language: str = "en") -> list[str]:
    """Consent, suppression, holdout and split, one sentence each."""
    return _beside_the_rule(definition, _WORDS[language])


def _beside_the_rule(definition: Definition, words: Mapping[str, str]) -> list[str]:
    told = []
    if definition.consent != "none":
        told.append(words[definition.consent])
    if definition.suppression:
        told.append(words["suppression"])
    if definition.holdout_percent:
        told.append(words["holdout"].format(percent=definition.holdout_percent))
    if definition.split:
        parts = [words["part"].format(name=part.name, percent=part.percent) for part in definition.split.parts]
        told.append(words["split"].format(parts=words["list"].join(parts)))
    return told


@dataclass(frozen=True)
class _Speaker:
    tags: Mapping[str, TitledTag]
    events: Mapping[str, TitledEvent]
    audience_name: NameOf
    language: str

    @property
    def words(self) -> Mapping[str, str]:
        return _WORDS[self.language]

    def lines(self, rule: Group | Leaf, path: str, depth: int) -> Sequence[Line]:
        if not isinstance(rule, Group):
            return [Line(path, depth, self.leaf(rule), rule)]
        heads = {
            ("and", False): "all_of",
            ("or", False): "any_of",
            ("and", True): "not_all_of",
            ("or", True): "none_of",
        }
        lines = [Line(path, depth, self.words[heads[rule.combinator, rule.negated]], rule)]
        for number, child in enumerate(rule.rules):
            lines += self.lines(child, f"{path}.rules[{number}]", depth + 1)
        return lines

    def group(self, group: Group, outermost: bool = False) -> str:
        told = [self.group(rule) if isinstance(rule, Group) else self.clause(rule) for rule in group.rules]
        text = self.words[group.combinator].join(told)
        if group.negated:
            return self.words["not"].format(rule=text)
        return text if outermost or len(told) < 2 else self.words["group"].format(rule=text)

    def clause(self, leaf: Leaf) -> str:
        """A condition within a sentence, where it needs somebody to be about."""
        if isinstance(leaf, TagRule):
            return self.tag(leaf)
        return self.words["they_are" if isinstance(leaf, AudienceRule) else "they"] + self.leaf(leaf)

    def leaf(self, leaf: Leaf) -> str:
        if isinstance(leaf, TagRule):
            return self.tag(leaf)
        if isinstance(leaf, EventRule):
            return self.event(leaf)
        if isinstance(leaf, SequenceRule):
            return self.sequence(leaf)
        return self.audience(leaf)

    def tag(self, rule: TagRule) -> str:
        tag = self.tags.get(rule.tag)
        title = tag.label(self.language) if tag else rule.tag
        operator = rule.operator
        if operator == "null":
            return self.words["null"].format(title=title)
        if operator == "notNull":
            return self.words["known"].format(title=title)
        values = [self.value(value, tag) for value in (rule.value if isinstance(rule.value, list) else [rule.value])]
        of_days = tag is not None and tag.data_type in ("date", "timestamp")
        word = (
            (_OF_DAYS.get(operator) if of_days else None)
            or _COMPARISONS.get(operator)
            or _OF_NUMBERS.get(operator)
            or _OF_TEXT.get(operator)
            or operator
        )
        unit = self.unit(tag, operator)
        if operator in ("between", "notBetween"):
            return self.words[word].format(title=title, low=values[0], value=values[1] + unit)
        return self.words[word].format(title=title, value=self.either(values) + unit)

    def value(self, value: Any, tag: TitledTag | None) -> str:
        if isinstance(value, bool) or (tag is not None and tag.data_type == "boolean"):
            return self.words["yes" if value in (True, "true") else "no"]
        if isinstance(value, int | float):
            return _number(value)
        return tag.value_label(value, self.language) if tag else str(value)

    def unit(self, tag: TitledTag | None, operator: str) -> str:
        if tag is None or tag.data_type not in ("integer", "decimal") or not tag.unit or self.language != "en":
            return ""
        if tag.unit == "percent":
            return "\u00a0%"
        # A score 1-5 or a decile is no quantity, so nobody says "4 score 1-5".
        return f" {tag.unit}" if not any(character.isdigit() for character in tag.unit) else ""

    def either(self, values: Sequence[str]) -> str:
        if len(values) < 2:
            return "".join(values)
        return self.words["list"].join(values[:-1]) + self.words["last"] + values[-1]

    def event(self, rule: EventRule) -> str:
        words, value = self.words, rule.value
        return words[rule.operator].format(
            event=self.event_title(rule.event),
            times=words["times"].format(times=value.at_least) if value.at_least > 1 else "",
            amount=self.amount(value),
            what=words["what"].format(what=self.either(value.what)) if value.what else "",
            window=self.window(value.within_days),
        )

    def amount(self, value: EventValue) -> str:
        if value.amount_at_least is None:
            return ""
        return self.words["amount"].format(amount=_number(value.amount_at_least))

    def sequence(self, rule: SequenceRule) -> str:
        word = "sequence" if rule.operator == "did" else "no_sequence"
        return self.words[word].format(
            first=self.event_title(rule.value.first),
            then=self.event_title(rule.value.then),
            days=rule.value.within_days,
            last=self.window(rule.value.last_days),
        )

    def audience(self, rule: AudienceRule) -> str:
        word = "in_audience" if rule.operator == "in" else "not_in_audience"
        return self.words[word].format(name=self.audience_name(rule.audience_id))

    def window(self, days: int | None) -> str:
        return self.words["ever"] if days is None else self.words["within"].format(days=days)

    def event_title(self, name: str) -> str:
        return self.events[name].label(self.language) if name in self.events else name


def _number(number: float) -> str:
    return f"{Decimal(str(number)).normalize():,f}"
