"""Tag models in memory, for tests of what is written from them."""

from __future__ import annotations

import datetime
from pathlib import Path

from tagloom.tags.definitions import OBJECT_KEYS, Tag, TagModel


def tag(name: str, data_type: str = "integer", category: str = "value", **changes) -> Tag:
    """A right tag with keys changed."""
    right = {
        "name": name,
        "data_type": data_type,
        "description": f"What {name} says.",
        "title": name,
        "title_zh": "标签",
        "category": [category, "detail"],
        "kind": "statistic",
        "owner": "loyalty@example.com",
        "unit": "orders",
        "if_missing": "null",
        "refresh": "daily",
        "valid_for": "7d",
        "personal_data": "indirect",
        "status": "published",
        "since": datetime.date(2026, 11, 22),
    }
    return Tag.model_validate(right | changes)


def model(
    name: str, *tags: Tag, category: str = "value", of: str = "person", folder: Path = Path(), sql: str | None = None
) -> TagModel:
    """A tag model of these tags; with `sql`, its SQL file lies in the folder."""
    made = TagModel(
        object=of,
        category=category,
        name=name,
        path=folder / f"{name}.yml",
        description="One row per object.",
        key=OBJECT_KEYS[of],
        columns=list(tags),
    )
    if sql is not None:
        folder.mkdir(parents=True, exist_ok=True)
        made.sql_path.write_text(sql, encoding="utf-8")
    return made
