"""A preview of a tag model as text for a terminal of a hundred columns."""

from __future__ import annotations

from textwrap import wrap

from tagloom.tags.preview import ModelPreview, TagPreview
from tagloom.text_table import text_table

BAR = 24
"""Characters of a bar that stands for all rows."""

PLURALS = {"person": "persons", "household": "households", "product": "products", "store": "stores"}

WIDTH = 100


def report(found: ModelPreview) -> str:
    """The preview as text."""
    share = f", {found.rows / found.objects:.1%} of {found.objects:,} {PLURALS[found.object]}" if found.objects else ""
    lines = [
        f"{found.model} ({', '.join(found.status)}), {found.path}",
        f"As of {found.as_of_date}: {found.rows:,} rows{share}, in {found.seconds:.2f} s. "
        "Nothing was built or changed.",
    ]
    if found.computed:
        because = "is not built" if found.built_for == found.as_of_date else f"is built for {found.built_for}"
        lines.append(
            f"Computed for this, because the warehouse {because}: {', '.join(found.computed)}; who is who is as built."
            if found.built_for != found.as_of_date
            else f"Computed for this, because not built yet: {', '.join(found.computed)}."
        )
    parts = ["\n".join(lines)]
    if found.problems:
        to_do = [
            line
            for problem in found.problems
            for line in wrap(problem, WIDTH, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)
        ]
        parts.append("\n".join(["TO DO before it can be built:", *to_do]))
    if found.tags:
        parts.append(_overview(found))
    parts += [_spread(tag, found.rows) for tag in found.tags]
    if found.examples:
        parts.append("Examples\n" + _indented(_examples(found)))
    return "\n\n".join(parts)


def _overview(found: ModelPreview) -> str:
    rows = [
        (
            *(tag.name, tag.data_type.lower(), tag.filled, found.rows - tag.filled),
            *(
                f"{tag.filled / found.objects:.1%}" if found.objects else None,
                tag.distinct,
                tag.low,
                tag.middle,
                tag.high,
            ),
        )
        for tag in found.tags
    ]
    headings = ("tag", "type", "filled", "null", "coverage", "distinct", "lowest", "median", "highest")
    return text_table(headings, rows, widest=30)


def _spread(tag: TagPreview, rows: int) -> str:
    lines = [(label, number, f"{number / rows:.1%}", "█" * round(BAR * number / rows)) for label, number in tag.spread]
    return f"{tag.name}\n" + _indented(text_table(("value", "rows", "share", ""), lines))


def _examples(found: ModelPreview) -> str:
    """A row per object; a row per tag when there are more tags than fit on a line."""
    table = text_table(found.example_columns, found.examples, widest=30)
    if max(map(len, table.splitlines())) <= WIDTH - 2:
        return table
    rows = list(zip(found.example_columns, *found.examples, strict=True))
    return text_table([str(value) for value in rows[0]], rows[1:], widest=16)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())
