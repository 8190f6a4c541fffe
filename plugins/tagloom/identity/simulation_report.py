"""What a simulation found, as text for a terminal."""

from __future__ import annotations

from tagloom.identity.differences import Simulation
from tagloom.text_table import text_table

SHOWN = 15
"""Rows of each list that the report prints."""


def report(found: Simulation) -> str:
    """The differences as text."""
    persons = found.persons
    same_policy = found.policy_before == found.policy_after
    parts = [
        f"Policy {found.policy_before}"
        + (", with the decisions tried," if same_policy else f" -> {found.policy_after}")
        + f" for {found.as_of_date}. Nothing was changed.",
        text_table(
            ("persons", "number"),
            [
                ("before", persons.before),
                ("after", persons.after),
                (f"merged (into {persons.merged_into:,})", persons.merged),
                (f"split (into {persons.split_into:,})", persons.split),
                ("gone", persons.gone),
                ("new", persons.new),
                ("identifiers that move", persons.moved_identifiers),
            ],
        ),
    ]
    if found.examples:
        parts.append(text_table(("for example", "identifiers", "why"), found.examples, widest=90))
    if found.tags is not None:
        parts.append(_tags_table(found.tags))
    if found.audiences is not None:
        rows = [(one.name, one.before, one.after, one.entered, one.left) for one in found.audiences]
        parts.append(text_table(("audience", "before", "after", "entered", "left"), rows, widest=60))
    if found.metrics:
        rows = [(one.name, _number(one.before), _number(one.after)) for one in found.metrics]
        parts.append(text_table(("metric", "before", "after"), rows, widest=60))
    return "\n\n".join(parts)


def _tags_table(tags: tuple[tuple[str, int], ...]) -> str:
    if not tags:
        return "No tag of a person who is there before and after changes."
    table = text_table(("tag", "persons whose value changes"), tags[:SHOWN], widest=60)
    rest = len(tags) - SHOWN
    return table + (f"\n{rest:,} more tags change." if rest > 0 else "")


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value == int(value) else f"{value:.4f}"
