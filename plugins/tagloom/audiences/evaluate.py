"""What a published version says about an audience: its size, its make-up, what it shares, who is in it and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tagloom.audiences.compile import AudienceOf, Conditions, Query, from_persons
from tagloom.audiences.rules import CONSENT_TAGS, SUPPRESSION_TAGS, Definition, Group, TagRule
from tagloom.audiences.sentence import NameOf, beside_the_rule, outline

if TYPE_CHECKING:
    from tagloom.portal.serving import Snapshot, Tag

SMALL = 10
"""Counts below this are not shown to those who may not see personal data: they could point at somebody."""

MOST_VALUES = 20
"""Values of a text that a composition shows by themselves; rarer ones are added up."""

FEW_NUMBERS = 12
"""A number with at most so many values is shown value by value, others in fifths of the population."""

MOST_AUDIENCES = 60
"""Audiences of one overlap matrix: each is a bit of a 64-bit number."""

SIGNIFICANT = 0.05
"""Probability, after Holm's correction, below which a difference is called significant."""


@dataclass(frozen=True)
class Event:
    """An event that rules may ask for."""

    name: str
    title: str
    title_zh: str
    events: int
    persons: int
    first_on: date | None
    last_on: date | None

    def label(self, language: str = "en") -> str:
        """Its title in a language."""
        return (self.title_zh if language == "zh" else self.title) or self.name


@dataclass(frozen=True)
class Size:
    """How many persons an audience has, and how many it loses on the way."""

    population: int
    matched: int
    """Fit the rule."""
    without_consent: int
    """Fit the rule, but cannot be reached by the channel or did not allow it."""
    objected: int
    """Fit the rule and may be reached, but objected to advertising."""
    members: int
    held_out: int
    """Members who are kept apart to compare with."""
    parts: Mapping[str, int] = field(default_factory=dict)
    """Part of the split -> members that are not held out."""

    @property
    def share(self) -> float:
        """Members as a share of everybody, 0 to 1."""
        return self.members / self.population if self.population else 0.0

    @property
    def sent(self) -> int:
        """Members who are not held out: who an export holds."""
        return self.members - self.held_out


@dataclass(frozen=True)
class Cell:
    """One value of a tag within an audience."""

    label: str
    """The value, a range of them, or empty for the unknown."""
    value: Any
    """As in the data; None for the unknown, for ranges and for the rest."""
    kind: str
    """value, range, unknown or rest."""
    members: int | None
    """Members with this value; None when it is too small to be shown."""
    population: int | None
    share: float | None
    """Of the members, 0 to 1."""
    population_share: float | None
    lift: float | None
    """share / population_share: 2 is twice as many as among everybody."""
    probability: float | None
    """Of a difference between members and the others this large by chance alone, corrected after Holm; None where
    there are too few to tell."""

    @property
    def significant(self) -> bool:
        """Whether chance alone hardly explains the difference."""
        return self.probability is not None and self.probability < SIGNIFICANT


@dataclass(frozen=True)
class Overlap:
    """How many persons each pair of audiences shares."""

    sizes: tuple[int, ...]
    shared: tuple[tuple[int, ...], ...]
    """shared[a][b]: persons in both."""

    def similarity(self, one: int, other: int) -> float:
        """Shared persons as a share of those in either (Jaccard), 0 to 1."""
        either = self.sizes[one] + self.sizes[other] - self.shared[one][other]
        return self.shared[one][other] / either if either else 0.0


@dataclass(frozen=True)
class Reason:
    """Whether a person meets one line of a definition."""

    path: str
    depth: int
    text: str
    holds: bool
    value: Any = None
    """The person's value of the line's tag."""
    tag: str = ""
    """The tag, empty for groups and events."""


def events_of_version(snapshot: Snapshot) -> dict[str, Event]:
    """Events that rules may ask for in this version, by name; none in a version that has no events."""
    if "serving.event_catalog" not in snapshot.tables:
        return {}
    return {
        row["event"]: Event(
            name=row["event"],
            title=row["title"] or "",
            title_zh=row["title_zh"] or "",
            events=row["events"] or 0,
            persons=row["persons"] or 0,
            first_on=row["first_on"],
            last_on=row["last_on"],
        )
        for row in snapshot.rows("select * from serving.event_catalog order by persons desc, event")
    }


def size(snapshot: Snapshot, definition: Definition, audiences: AudienceOf, seconds: float | None = None) -> Size:
    """Count an audience, by the version's bitmaps where they cover it, else in one pass over the table.

    Raises RuleError when the definition does not fit the version.
    """
    from tagloom.audiences import bitmaps  # takes Size from here

    found = bitmaps.size(snapshot, definition, audiences)
    return found if found is not None else counted_size(snapshot, definition, audiences, seconds)


def counted_size(
    snapshot: Snapshot, definition: Definition, audiences: AudienceOf, seconds: float | None = None
) -> Size:
    """The same as `size`, always by one query over the table. Raises RuleError."""
    conditions = _conditions(snapshot, audiences)
    query = size_query(conditions, definition)
    row = snapshot.row(query.sql, query.parameters, seconds) or {}
    parts = [part.name for part in definition.split.parts] if definition.split else []
    return Size(
        population=snapshot.persons,
        matched=row["matched"],
        without_consent=row.get("without_consent", 0),
        objected=row.get("objected", 0),
        members=row.get("members", row["matched"]),
        held_out=row.get("held_out", 0),
        parts={name: row[f"part_{number}"] for number, name in enumerate(parts)},
    )


def size_query(conditions: Conditions, definition: Definition) -> Query:
    """The query behind `size`: one row of counts; a plain count when there is nothing else to count."""
    matched = conditions.rule(definition)
    consent, objection = conditions.consent(definition), conditions.objection(definition)
    columns = [exp.alias_(exp.Count(this=exp.Star()), "matched")]
    member: list[exp.Expression] = []
    if consent is not None:
        refused = exp.not_(exp.Coalesce(this=consent, expressions=[exp.false()]))
        columns.append(_counted(refused, "without_consent"))
        member.append(consent)
    if objection is not None:
        columns.append(_counted(exp.and_(objection, *(one.copy() for one in member)), "objected"))
        member.append(exp.not_(exp.paren(objection.copy())))
    if member:
        columns.append(_counted(exp.and_(*(one.copy() for one in member)), "members"))
    held_out = conditions.is_held_out(definition) if definition.holdout_percent else None
    if held_out is not None:
        columns.append(_counted(exp.and_(held_out, *(one.copy() for one in member)), "held_out"))
    if definition.split:
        in_part = conditions.part(definition)
        for number, part in enumerate(definition.split.parts):
            this_part = exp.EQ(this=exp.paren(in_part.copy()), expression=exp.Literal.string(part.name))
            sent = [exp.not_(exp.paren(held_out.copy()))] if held_out is not None else []
            columns.append(_counted(exp.and_(this_part, *(one.copy() for one in member), *sent), f"part_{number}"))
    return conditions.sql(from_persons(exp.select(*columns), matched))


def composition(snapshot: Snapshot, definition: Definition, tag: str, audiences: AudienceOf) -> list[Cell]:
    """What an audience is made of by one tag, beside the whole population.

    Texts and booleans value by value, the most frequent first or in the order of the catalogue; numbers value by value
    or in fifths of the population; dates by month or year. Lift compares with everybody; significance compares the
    members with those who are not (two-proportion z test, Holm's correction over the cells). Raises RuleError and
    KeyError for a tag that is not published.
    """
    known = snapshot.tags[tag]
    conditions = _conditions(snapshot, audiences)
    member = conditions.of(definition)
    column = '"' + tag.replace('"', '""') + '"'
    labelled, labels = _grouping(snapshot, known, column)
    condition = member.sql(dialect="duckdb")
    rows = snapshot.rows(
        f"select {labelled} as cell, count(*) as population, count(*) filter (where {condition}) as members "
        "from tag_integration.person_tags group by all",
        conditions.parameters,
    )
    population = sum(row["population"] for row in rows)
    members = sum(row["members"] for row in rows)
    counted = _in_order(known, rows, labels)
    chances = _holm(
        [_chance(row["members"], members, row["population"] - row["members"], population - members) for row in counted]
    )
    cells = []
    for row, chance in zip(counted, chances, strict=True):
        share = row["members"] / members if members else None
        population_share = row["population"] / population if population else None
        cells.append(
            Cell(
                label=row["label"],
                value=row["value"],
                kind=row["kind"],
                members=row["members"],
                population=row["population"],
                share=share,
                population_share=population_share,
                lift=share / population_share if share is not None and population_share else None,
                probability=chance,
            )
        )
    return cells


def hide_small(cells: Sequence[Cell]) -> list[Cell]:
    """The cells without the counts of those under SMALL members.

    A single hidden cell could be found by subtraction, so the next smallest is hidden with it.
    """
    hidden = {number for number, cell in enumerate(cells) if cell.members is not None and cell.members < SMALL}
    others = [number for number in range(len(cells)) if number not in hidden]
    if len(hidden) == 1 and others and cells[next(iter(hidden))].members:
        hidden.add(min(others, key=lambda number: cells[number].members or 0))
    return [
        Cell(
            label=cell.label,
            value=cell.value,
            kind=cell.kind,
            members=None,
            population=cell.population if (cell.population or 0) >= SMALL else None,
            share=None,
            population_share=cell.population_share if (cell.population or 0) >= SMALL else None,
            lift=None,
            probability=None,
        )
        if number in hidden
        else cell
        for number, cell in enumerate(cells)
    ]


def overlap(snapshot: Snapshot, definitions: Sequence[Definition], audiences: AudienceOf) -> Overlap:
    """Persons that each pair of audiences shares, in one pass: a bitmask per person, counted by mask.

    Raises RuleError, and ValueError for more than MOST_AUDIENCES.
    """
    if len(definitions) > MOST_AUDIENCES:
        raise ValueError(f"{len(definitions)} audiences are more than {MOST_AUDIENCES}; choose fewer.")
    conditions = _conditions(snapshot, audiences)
    bits = []
    for number, definition in enumerate(definitions):
        member = conditions.of(definition).sql(dialect="duckdb")
        bits.append(f"case when {member} then {2**number}::bigint else 0 end")
    rows = snapshot.rows(
        f"select {' + '.join(bits) or '0::bigint'} as mask, count(*) as persons "
        "from tag_integration.person_tags group by all",
        conditions.parameters,
    )
    count = len(definitions)
    shared = [[0] * count for _ in range(count)]
    for row in rows:
        within = [number for number in range(count) if row["mask"] >> number & 1]
        for one in within:
            for other in within:
                shared[one][other] += row["persons"]
    return Overlap(tuple(shared[number][number] for number in range(count)), tuple(tuple(line) for line in shared))


def why(
    snapshot: Snapshot,
    definition: Definition,
    person_id: int,
    audiences: AudienceOf,
    language: str = "en",
    audience_name: NameOf = str,
) -> list[Reason]:
    """Line by line, whether a person meets a definition; the first line is the whole rule.

    Empty when there is no such person. Raises RuleError.
    """
    conditions = _conditions(snapshot, audiences)
    # Checks the definition; the expression itself is of no use here.
    conditions.of(definition)
    conditions.parameters.clear()
    events = events_of_version(snapshot)
    lines = outline(definition, snapshot.tags, language, events, audience_name)
    columns: dict[str, str] = {}
    for number, line in enumerate(lines):
        condition = conditions.group(line.rule) if isinstance(line.rule, Group) else conditions.leaf(line.rule)
        columns[f"holds_{number}"] = f"coalesce({condition.sql(dialect='duckdb')}, false)"
        if isinstance(line.rule, TagRule):
            columns[f"value_{number}"] = '"' + line.rule.tag + '"'
    consent, objection = conditions.consent(definition), conditions.objection(definition)
    if consent is not None:
        columns["consent"] = f"coalesce({consent.sql(dialect='duckdb')}, false)"
    if objection is not None:
        columns["objection"] = objection.sql(dialect="duckdb")
    listed = ", ".join(f"{expression} as {name}" for name, expression in columns.items())
    row = snapshot.row(
        f"select {listed} from tag_integration.person_tags where person_id = $person",
        conditions.parameters | {"person": person_id},
    )
    if row is None:
        return []
    reasons = [
        Reason(
            path=line.path,
            depth=line.depth,
            text=line.text,
            holds=row[f"holds_{number}"],
            value=row.get(f"value_{number}"),
            tag=line.rule.tag if isinstance(line.rule, TagRule) else "",
        )
        for number, line in enumerate(lines)
    ]
    told = beside_the_rule(definition, language)
    if consent is not None:
        tag = CONSENT_TAGS[definition.consent]
        reasons.append(Reason("consent", 0, told.pop(0), row["consent"], row["consent"], tag))
    if objection is not None:
        reasons.append(
            Reason("suppression", 0, told.pop(0), not row["objection"], row["objection"], SUPPRESSION_TAGS[0])
        )
    return reasons


def is_member(reasons: Sequence[Reason]) -> bool:
    """Whether a person with these reasons is in the audience: the whole rule, consent and no objection."""
    return bool(reasons) and all(reason.holds for reason in reasons if reason.depth == 0)


def shown(count: int, may_see_small: bool) -> int | None:
    """A count, or None when it is under SMALL and the reader may not see personal data."""
    return count if may_see_small or count >= SMALL else None


def _conditions(snapshot: Snapshot, audiences: AudienceOf) -> Conditions:
    return Conditions(snapshot.tags, events_of_version(snapshot), audiences, snapshot.as_of_date)


def _counted(condition: exp.Expression, name: str) -> exp.Expression:
    # count_if() of nothing but unknowns is null in DuckDB, a filtered count is 0.
    counted = exp.Filter(this=exp.Count(this=exp.Star()), expression=exp.Where(this=condition))
    return exp.alias_(counted, name)


def _grouping(snapshot: Snapshot, tag: Tag, column: str) -> tuple[str, Callable[[Any], tuple[str, str]]]:
    """(SQL that says which cell a value is in, cell -> (label, kind)) for a tag."""
    if tag.data_type in ("integer", "decimal"):
        found = snapshot.row(
            f"select count(distinct {column}) as numbers, "
            f"quantile_disc({column}, [0.2, 0.4, 0.6, 0.8]) as fifths, min({column}) as lowest, "
            f"max({column}) as highest from tag_integration.person_tags"
        )
        if found is not None and found["numbers"] > FEW_NUMBERS:
            edges = sorted({edge for edge in found["fifths"] if edge < found["highest"]})
            return _ranges(column, edges, found["lowest"], found["highest"], tag.data_type == "integer")
        return column, lambda value: (_plain(value), "value")
    if tag.data_type in ("date", "timestamp"):
        months = snapshot.value(
            f"select count(distinct date_trunc('month', {column})) from tag_integration.person_tags"
        )
        form = "%Y-%m" if (months or 0) <= 2 * FEW_NUMBERS else "%Y"
        return f"strftime({column}, '{form}')", lambda value: (str(value), "range")
    return f"cast({column} as varchar)" if tag.data_type == "text" else column, lambda value: (str(value), "value")


def _ranges(
    column: str, edges: list, lowest: Any, highest: Any, whole: bool
) -> tuple[str, Callable[[Any], tuple[str, str]]]:
    cases = " ".join(f"when {column} <= {edge} then {number}" for number, edge in enumerate(edges))
    bounds = [lowest, *edges, highest]

    def label(number: int) -> tuple[str, str]:
        low, high = bounds[number], bounds[number + 1]
        if number and whole:
            low += 1
        elif number:
            return f"> {_plain(low)} – {_plain(high)}", "range"
        return (_plain(low) if low == high else f"{_plain(low)} – {_plain(high)}"), "range"

    return f"case when {column} is null then null {cases} else {len(edges)} end", label


def _in_order(
    tag: Tag, rows: Sequence[Mapping[str, Any]], labels: Callable[[Any], tuple[str, str]]
) -> list[dict[str, Any]]:
    """Cells in the order they are shown; rare texts added up, the unknown last."""
    known = [row for row in rows if row["cell"] is not None]
    if tag.values:
        order = {value: number for number, value in enumerate(tag.values)}
        known.sort(key=lambda row: order.get(str(row["cell"]), len(order)))
    elif tag.data_type == "text":
        known.sort(key=lambda row: (-row["population"], str(row["cell"])))
    elif tag.data_type == "boolean":
        known.sort(key=lambda row: not row["cell"])
    else:
        known.sort(key=lambda row: row["cell"])
    shown_alone = known if tag.data_type != "text" or tag.values else known[:MOST_VALUES]
    rest = known[len(shown_alone) :]
    cells = []
    for row in shown_alone:
        label, kind = labels(row["cell"])
        value = row["cell"] if kind == "value" else None
        cells.append(
            {"label": label, "kind": kind, "value": value, "members": row["members"], "population": row["population"]}
        )
    for kind, together in (("rest", rest), ("unknown", [row for row in rows if row["cell"] is None])):
        if together:
            cells.append(
                {
                    "label": "",
                    "kind": kind,
                    "value": None,
                    "members": sum(row["members"] for row in together),
                    "population": sum(row["population"] for row in together),
                }
            )
    return cells


def _chance(hits: int, members: int, other_hits: int, others: int) -> float | None:
    """Two-sided probability of a two-proportion z test with a pooled variance; None where it says nothing."""
    if not members or not others:
        return None
    pooled = (hits + other_hits) / (members + others)
    # The normal approximation needs a few expected in each of the four cells.
    if min(members, others) * min(pooled, 1 - pooled) < 5:
        return None
    error = math.sqrt(pooled * (1 - pooled) * (1 / members + 1 / others))
    return math.erfc(abs(hits / members - other_hits / others) / error / math.sqrt(2))


def _holm(chances: Sequence[float | None]) -> list[float | None]:
    """Holm's correction: the smallest times as many as there are, and so on, never decreasing."""
    order = sorted((chance, number) for number, chance in enumerate(chances) if chance is not None)
    corrected: list[float | None] = [None] * len(chances)
    largest = 0.0
    for rank, (chance, number) in enumerate(order):
        largest = max(largest, min(1.0, chance * (len(order) - rank)))
        corrected[number] = largest
    return corrected


def _plain(number: Any) -> str:
    return f"{number:,f}".rstrip("0").rstrip(".") if "." in str(number) else f"{number:,}"
