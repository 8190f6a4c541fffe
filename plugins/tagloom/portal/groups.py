"""Groups of persons by the values of a tag: words as they are, numbers in fifths, days by how long ago they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from tagloom.portal.audience_links import Leaf, leaf_of_value
from tagloom.portal.serving import Snapshot, Tag

MOST_WORDS = 12
"""Words of a tag without listed values that have a group of their own; the others share one."""

FEW_NUMBERS = 12
"""So many different numbers have a group each; more are cut into fifths."""

DAYS = (7, 30, 90, 180, 365)
"""Ends of the groups of a date, in days before the version's day."""


@dataclass(frozen=True)
class Groups:
    """How persons fall into groups by one tag."""

    tag: Tag
    expression: str
    """SQL over tag_integration.person_tags as persons: number of the group, from 0 on."""
    parameters: dict[str, Any]
    labels: list[str]
    leaves: list[list[Leaf] | None] = field(default_factory=list)
    """Conditions of an audience that is the group; None where no condition says so."""


def groups_of(snapshot: Snapshot, tag: Tag, name: str, language: str, t: Callable[..., str]) -> Groups:
    """The groups of a published tag of persons; `name` keeps the parameters of two tags of one query apart."""
    column = f'persons."{tag.name}"'
    unknown = t("no value")
    nothing = [leaf_of_value(tag, None)]
    if tag.data_type == "boolean":
        expression = f"case when {column} then 0 when not {column} then 1 else 2 end"
        leaves = [[leaf_of_value(tag, True)], [leaf_of_value(tag, False)], nothing]
        return Groups(tag, expression, {}, [t("yes"), t("no"), unknown], leaves)
    if tag.data_type == "text":
        return _words(snapshot, tag, name, language, t)
    if tag.data_type in ("date", "timestamp"):
        return _days(snapshot, tag, t)
    return _numbers(snapshot, tag, t)


def _words(snapshot: Snapshot, tag: Tag, name: str, language: str, t: Callable[..., str]) -> Groups:
    column = f'persons."{tag.name}"'
    words = list(tag.values or ())
    if not words:
        rows = snapshot.rows(
            f"""
            select {column} as word from tag_integration.person_tags as persons
            where {column} is not null group by all order by count(*) desc, word limit {MOST_WORDS}
            """
        )
        words = [row["word"] for row in rows]
    count = len(words)
    expression = (
        f"case when {column} is null then {count + 1} "
        f"else coalesce(nullif(list_position(${name}, {column}::varchar), 0) - 1, {count}) end"
    )
    labels = [*(tag.value_label(word, language) for word in words), t("other"), t("no value")]
    leaves: list[list[Leaf] | None] = [[leaf_of_value(tag, word)] for word in words]
    others: list[Leaf] = [
        {"field": f"tag:{tag.name}", "operator": "notIn", "value": words},
        {"field": f"tag:{tag.name}", "operator": "notNull", "value": None},
    ]
    return Groups(tag, expression, {name: words}, labels, [*leaves, others, [leaf_of_value(tag, None)]])


def _numbers(snapshot: Snapshot, tag: Tag, t: Callable[..., str]) -> Groups:
    column = f'persons."{tag.name}"'
    rows = snapshot.rows(
        f"""
        select distinct {column} as number from tag_integration.person_tags as persons
        where {column} is not null order by number limit {FEW_NUMBERS + 1}
        """
    )
    numbers = [row["number"] for row in rows]
    unknown = t("no value")
    if len(numbers) <= FEW_NUMBERS:
        cases = " ".join(f"when {column} = {number} then {place}" for place, number in enumerate(numbers))
        expression = f"case {cases} else {len(numbers)} end" if numbers else "0"
        leaves: list[list[Leaf] | None] = [[leaf_of_value(tag, _plain(number))] for number in numbers]
        return Groups(
            tag,
            expression,
            {},
            [*(_text(number) for number in numbers), unknown],
            [*leaves, [leaf_of_value(tag, None)]],
        )
    found = snapshot.row(
        f"""
        select min({column}) as least, max({column}) as most,
            quantile_disc({column}, [0.2, 0.4, 0.6, 0.8]) as cuts
        from tag_integration.person_tags as persons
        """
    )
    assert found is not None
    cuts = sorted(set(found["cuts"]) - {found["most"]})
    cases = " ".join(f"when {column} <= {cut} then {place}" for place, cut in enumerate(cuts))
    expression = f"case when {column} is null then {len(cuts) + 1} {cases} else {len(cuts)} end"
    labels = [t("up to {number}", number=_text(cuts[0]))]
    labels += [t("over {low} to {high}", low=_text(low), high=_text(high)) for low, high in pairwise(cuts)]
    labels += [t("over {number}", number=_text(cuts[-1])), unknown]
    field_name = f"tag:{tag.name}"
    below: list[list[Leaf] | None] = []
    for place in range(len(cuts) + 1):
        conditions: list[Leaf] = []
        if place > 0:
            conditions.append({"field": field_name, "operator": ">", "value": _plain(cuts[place - 1])})
        if place < len(cuts):
            conditions.append({"field": field_name, "operator": "<=", "value": _plain(cuts[place])})
        below.append(conditions)
    return Groups(tag, expression, {}, labels, [*below, [leaf_of_value(tag, None)]])


def _days(snapshot: Snapshot, tag: Tag, t: Callable[..., str]) -> Groups:
    column = f'persons."{tag.name}"'
    ends = [snapshot.as_of_date - timedelta(days=days) for days in DAYS]
    cases = " ".join(f"when {column} > date '{end}' then {place}" for place, end in enumerate(ends))
    expression = f"case when {column} is null then {len(ends) + 1} {cases} else {len(ends)} end"
    labels = [t("last {days} days", days=DAYS[0])]
    labels += [t("{from_day} to {to_day} days ago", from_day=low + 1, to_day=high) for low, high in pairwise(DAYS)]
    labels += [t("over {days} days ago", days=DAYS[-1]), t("no value")]
    field_name = f"tag:{tag.name}"
    leaves: list[list[Leaf] | None] = []
    for place in range(len(ends) + 1):
        conditions: list[Leaf] = []
        if place < len(ends):
            conditions.append({"field": field_name, "operator": ">", "value": ends[place].isoformat()})
        if place > 0:
            conditions.append({"field": field_name, "operator": "<=", "value": ends[place - 1].isoformat()})
        leaves.append(conditions)
    return Groups(tag, expression, {}, labels, [*leaves, [leaf_of_value(tag, None)]])


def _plain(number: int | Decimal | float) -> int | float:
    return int(number) if number == int(number) else float(number)


def _text(number: int | Decimal | float) -> str:
    return f"{_plain(number):,}"
