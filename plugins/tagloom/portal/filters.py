"""Narrowing a chart to some persons: an audience or one value of a tag, written `audience:3` or `tag:state=nsw`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tagloom.audiences import library
from tagloom.audiences.compile import compile_members
from tagloom.audiences.evaluate import events_of_version
from tagloom.audiences.rules import Definition, RuleError, parse
from tagloom.portal.audience_links import Leaf, leaf_of_value
from tagloom.portal.errors import NotFoundError
from tagloom.portal.page import Page


@dataclass(frozen=True)
class Filter:
    """The persons that a chart counts."""

    code: str = ""
    """As in an address; empty: everybody."""
    label: str = ""
    sql: str = "true"
    """Condition over `persons.person_id`."""
    parameters: dict[str, Any] = field(default_factory=dict)
    leaves: tuple[Leaf, ...] = ()
    """The same as conditions of an audience."""


EVERYBODY = Filter()


def filter_of(page: Page, code: str) -> Filter:
    """The filter of an address. Raises NotFoundError for an audience or value that is not there."""
    if not code:
        return EVERYBODY
    kind, _, rest = code.partition(":")
    if kind == "audience" and rest.isdecimal():
        try:
            saved = library.load(page.store, int(rest))
        except LookupError:
            raise NotFoundError("The audience of this filter was deleted.", "Choose another filter.") from None
        leaf: Leaf = {"field": f"audience:{rest}", "operator": "in", "value": None}
        return _compiled(page, code, saved.name, saved.definition, leaf)
    name, _, value = rest.partition("=")
    tag = page.snapshot.tags.get(name)
    if kind != "tag" or tag is None or not value or (tag.values is not None and value not in tag.values):
        raise NotFoundError("This filter names no audience and no value of a tag.", "Choose another filter.")
    leaf = leaf_of_value(tag, value == "true" if tag.data_type == "boolean" else value)
    definition = parse({"schema": 1, "rule": {"combinator": "and", "rules": [leaf]}, "suppression": False})
    if tag.data_type == "boolean":
        value = page.t("yes") if value == "true" else page.t("no")
    label = f"{page.title(tag)}: {tag.value_label(value, page.language)}"
    return _compiled(page, code, label, definition, leaf)


def choices(page: Page) -> list[tuple[str, list[tuple[str, str]]]]:
    """What may be filtered by, as (heading, [(code, text)]): audiences, then tags with listed values."""
    audiences = [(f"audience:{saved.id}", saved.path) for saved in library.list_audiences(page.store)]
    found = [(page.t("Audiences"), audiences)] if audiences else []
    for tag in page.snapshot.tags.values():
        if tag.data_type == "boolean":
            values = [("true", page.t("yes")), ("false", page.t("no"))]
        else:
            values = [(value, tag.value_label(value, page.language)) for value in tag.values or ()]
        if values:
            found.append((page.title(tag), [(f"tag:{tag.name}={value}", text) for value, text in values]))
    return found


def _compiled(page: Page, code: str, label: str, definition: Definition, leaf: Leaf) -> Filter:
    snapshot = page.snapshot
    try:
        query = compile_members(
            definition,
            snapshot.tags,
            events_of_version(snapshot),
            library.definitions(page.store),
            snapshot.as_of_date,
        )
    except RuleError as error:
        raise NotFoundError(
            "The filter does not fit this version: {error}", "Choose another filter.", error=error
        ) from error
    return Filter(code, label, f"persons.person_id in (select person_id from ({query.sql}))", query.parameters, (leaf,))
