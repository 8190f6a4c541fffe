"""How a value came about, as text for a terminal of a hundred columns."""

from __future__ import annotations

from tagloom.tags.explanation import Explained, Facts, Rows
from tagloom.tags.origins import Origin
from tagloom.text_table import text_table

WIDTH = 100


def report(found: Explained) -> str:
    """The explanation as text."""
    meta = found.meta
    value = found.value + (f" ({found.value_because})" if found.value_because else "")
    head = [
        *_wrapped(f"{found.tag} of person {found.person} on {found.as_of_date}: {value}"),
        *_wrapped(
            f"{found.title} {found.title_zh}: a {meta.get('kind')} of {meta.get('owner')}, {meta.get('status')}, "
            f"version {meta.get('version', 1)}, unit {meta.get('unit') or '-'}, valid for {meta.get('valid_for')}"
        ),
        *_wrapped(found.description),
        found.path,
    ]
    parts = ["\n".join(head)]
    if found.built is not None and found.built != found.value and meta.get("status") == "published":
        parts.append(
            f"The wide table of the warehouse says {found.built}: the definition differs from the one that was built, "
            "or the value is stale."
        )
    parts.append("STEPS of the SQL, with this person's rows")
    parts += [_rows(step, f"{number}. {step.name}") for number, step in enumerate(found.steps, start=1)]
    if found.facts:
        parts.append("FACTS that the SQL reads, and the deliveries that they came with")
        parts += [_facts(facts, found.steps) for facts in found.facts]
    for model, tags in found.other_tags:
        where = f"make explain PERSON={found.person} TAG={tags[0] if tags else model}"
        parts.append("\n".join(_wrapped(f"It reads {model}, too; look there with: {where}")))
    return "\n\n".join(parts)


def _facts(facts: Facts, steps: tuple[Rows, ...]) -> str:
    parts = [_rows(facts.rows, facts.rows.name)]
    for number, step in enumerate(steps, start=1):
        if (step.columns, step.shown, step.number) == (facts.rows.columns, facts.rows.shown, facts.rows.number):
            parts = [f"{facts.rows.name}: {step.number:,} row{'s' * (step.number != 1)}, those of step {number}"]
    if facts.rows.number and not facts.origins:
        parts.append("  which deliveries these came with cannot be told from the keys")
    parts += [_origin(origin) for origin in facts.origins]
    return "\n".join(parts)


def _origin(origin: Origin) -> str:
    files = f"{origin.files:,} file{'s' * (origin.files != 1)}"
    found = (
        f"from {origin.rows:,} delivered row{'s' * (origin.rows != 1)} of {origin.table} in {files}, found by "
        + ", ".join(origin.traced_by)
    )
    lines = [f"  {line}" for line in _wrapped(found)]
    rows = [(row.source_file, row.line, f"{row.landed_at:%Y-%m-%d %H:%M}") for row in origin.shown]
    if rows:
        table = text_table(("file", "line", "landed at (UTC)"), rows, widest=70)
        lines += [f"    {line}" for line in table.splitlines()]
    if origin.rows > len(rows):
        lines.append(f"    ... and {origin.rows - len(rows):,} more")
    return "\n".join(lines)


def _rows(rows: Rows, name: str) -> str:
    head = f"{name}: {rows.number:,} row{'s' * (rows.number != 1)}" + (f", {rows.note}" if rows.note else "")
    if not rows.shown or not rows.columns:
        return head
    lines = [head]
    if len(rows.shown) == 1:
        [row] = rows.shown
        lines += [f"  {line}" for line in _side_by_side(rows.columns, row)]
        return "\n".join(lines)
    columns, table = _fitting(rows)
    lines += [f"  {line}" for line in table.splitlines()]
    if len(columns) < len(rows.columns):
        lines += [f"  {line}" for line in _wrapped("not shown: " + ", ".join(rows.columns[len(columns) :]))]
    if rows.number > len(rows.shown):
        lines.append(f"  ... and {rows.number - len(rows.shown):,} more")
    return "\n".join(lines)


def _side_by_side(columns: tuple[str, ...], row: tuple[str | None, ...]) -> list[str]:
    """`name: value` pairs, as many on a line as fit."""
    return _packed(
        [f"{column}: {'-' if value is None else value}" for column, value in zip(columns, row, strict=True)], "   "
    )


def _fitting(rows: Rows) -> tuple[tuple[str, ...], str]:
    """A table of as many columns as fit."""
    for number in range(len(rows.columns), 0, -1):
        columns = rows.columns[:number]
        table = text_table(columns, [row[:number] for row in rows.shown], widest=28)
        if number == 1 or max(map(len, table.splitlines())) <= WIDTH - 2:
            return columns, table
    return (), ""


def _wrapped(text: str) -> list[str]:
    return _packed(text.split(), " ")


def _packed(words: list[str], gap: str) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(gap) + len(word) <= WIDTH - 2:
            lines[-1] += gap + word
        else:
            lines.append(word)
    return lines
