"""What changed definitions change, as text for a terminal of a hundred columns and as Markdown for a merge request."""

from __future__ import annotations

from collections.abc import Sequence

from tagloom.tags.difference import WORKING_TREE, Difference, ModelDifference, TagDifference
from tagloom.tags.preview_report import PLURALS
from tagloom.text_table import text_table

DETAILED = 8
"""Tags of which distribution and transitions are printed, those that change most."""


def report(found: Difference, *, markdown: bool = False) -> str:
    """The differences as text, or as Markdown."""
    table = _markdown_table if markdown else _text_table
    title = "### " if markdown else ""
    head = (
        f"{title}Tags of {found.as_of_date}: {found.base} -> {WORKING_TREE}. "
        "Warehouse and published version are as they were."
    )
    parts = [head.replace("->", "→") if markdown else head, *found.notes]
    if not found.models:
        return "\n\n".join([*parts, "No tag model differs, nor anything that one reads."])
    rows = [(one.name, ", ".join(one.because), _seconds(one), _second(one.seconds_after)) for one in found.models]
    parts.append(table(("model", "what differs", "seconds before", "after"), rows))
    moved = [tag for tag in found.tags if tag.changed or tag.status[0] != tag.status[1]]
    if found.tags:
        parts.append(table(_TAG_HEADINGS, [_tag_row(tag) for tag in moved])) if moved else None
        same = len(found.tags) - len(moved)
        if same:
            parts.append(
                f"{same} tag{'s' * (same != 1)} of these models {'have' if same != 1 else 'has'} the same values."
            )
    if found.audiences:
        rows = [(one.name, one.before, one.after, one.entered, one.left) for one in found.audiences]
        parts.append(table(("audience", "before", "after", "entered", "left"), rows))
    detailed = [tag for tag in moved if tag.changed][:DETAILED]
    parts += [_details(tag, markdown) for tag in detailed]
    rest = sum(bool(tag.changed) for tag in moved) - len(detailed)
    if rest > 0:
        parts.append(f"{rest} more tags change.")
    return "\n\n".join(part for part in parts if part)


_TAG_HEADINGS = ("tag", "status", "version", "changed", "share", "filled before", "after", "coverage before", "after")


def _tag_row(tag: TagDifference) -> tuple:
    old, new = tag.status
    status = new if old == new else f"{old or 'new'} -> {new or 'gone'}"
    before, after = tag.version
    version = f"{after}" if before is None or before == after else f"{before} -> {after or '-'}"
    name = tag.name if tag.object == "person" else f"{tag.object}.{tag.name}"
    filled = tuple(None if one is None else number for one, number in zip(tag.status, tag.filled, strict=True))
    coverage = [None if number is None else _percent(number, tag.objects) for number in filled]
    changed = (None, None) if None in tag.status else (tag.changed, _percent(tag.changed, tag.objects))
    return (name, status, version, *changed, *filled, *coverage)


def _details(tag: TagDifference, markdown: bool) -> str:
    objects = PLURALS[tag.object]
    head = f"{tag.name}: the value of {tag.changed:,} of {tag.objects:,} {objects} differs"
    if tag.is_new:
        head = f"{tag.name}: new, {tag.filled[1]:,} of {tag.objects:,} {objects} have a value"
    old, new = tag.status
    table = _markdown_table if markdown else _text_table
    parts = [table(*_spread(tag))]
    if old and new:
        lines = [(f"{before} -> {after}", number) for before, after, number in tag.transitions]
        listed = sum(number for _, number in lines)
        if listed < tag.changed:
            lines.append(("all others", tag.changed - listed))
        parts.append(table(("from -> to", objects), lines))
    if markdown:
        return f"<details><summary>{head}</summary>\n\n" + "\n\n".join(parts) + "\n\n</details>"
    return "\n".join(
        [head, *("\n".join(f"  {line}".rstrip() for line in part.splitlines()) + "\n" for part in parts)]
    ).rstrip()


def _spread(tag: TagDifference) -> tuple[tuple[str, ...], list[tuple]]:
    """Headings and rows of how the values are spread; of one side when the tag is not there on the other."""
    sides = [place for place in (0, 1) if tag.status[place] is not None]
    words = [("before", "after")[place] for place in sides]
    rows = [
        (label, *(counted[place] for place in sides), *(_percent(counted[place], tag.objects) for place in sides))
        for label, *counted in tag.spread
        if any(counted[place] for place in sides)
    ]
    shares = ["share before", "after"] if len(sides) == 2 else ["share"]
    return ("value", *words, *shares), rows


def warnings(found: Difference, fail_above: float | None) -> tuple[list[str], list[str]]:
    """What readers of tags must not be given so: values that differ under an old version; more than a share of them."""
    versions = [
        f"{tag.name}: {tag.changed:,} published values differ ({_percent(tag.changed, tag.objects)}), but the version "
        f"of its definition is still {tag.version[1] or 1}; write version: {(tag.version[0] or 1) + 1} into {tag.twin}"
        for tag in found.tags
        if tag.lacks_version
    ]
    shares = [
        f"{tag.name}: {_percent(tag.changed, tag.objects)} of the values differ, more than {fail_above:g}%"
        for tag in found.tags
        if fail_above is not None and not tag.is_new and tag.share * 100 > fail_above
    ]
    return versions, shares


def _seconds(model: ModelDifference) -> str | None:
    return _second(model.seconds_before)


def _second(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:.2f}"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "0.0%"


def _text_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return text_table(headings, rows, widest=44)


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [" | ".join(map(_cell, headings)), " | ".join("---" for _ in headings)]
    lines += [" | ".join(_cell(value) for value in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text.replace("|", "\\|").replace("->", "→")
