"""Links from what somebody looks at to a new audience of just these persons."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tagloom.portal.page import Page
from tagloom.portal.serving import Tag

Leaf = dict[str, Any]


def leaf_of_value(tag: Tag, value: object) -> Leaf:
    """The condition that a tag has a value; None: that nothing is known."""
    field = f"tag:{tag.name}"
    if value is None:
        return {"field": field, "operator": "null", "value": None}
    if tag.data_type == "text":
        return {"field": field, "operator": "in", "value": [str(value)]}
    return {"field": field, "operator": "=", "value": value}


def new_audience(page: Page, leaves: Sequence[Leaf]) -> str:
    """Address of the builder with these conditions, all of which must hold."""
    return page.url("/audiences/new", rule=definition_text(leaves))


def definition_text(leaves: Sequence[Leaf]) -> str:
    """The definition of an audience for whom all conditions hold, as JSON."""
    definition = {
        "schema": 1,
        "rule": {"combinator": "and", "not": False, "rules": list(leaves)},
        "consent": "none",
        "suppression": True,
        "holdout_percent": 0,
        "split": None,
    }
    return json.dumps(definition, ensure_ascii=False, separators=(",", ":"))
