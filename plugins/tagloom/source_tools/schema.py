"""The JSON schema of source declarations, for editors: completion, explanations and red lines while one types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tagloom.sources import Source

SCHEMA_FILE = "source.schema.json"
"""Name of the schema; it lies beside the declarations."""

EDITOR_LINE = f"# yaml-language-server: $schema={SCHEMA_FILE}\n"
"""First line of every declaration: tells editors where the schema is."""


def source_schema() -> str:
    """The schema as text: every key with the explanation that stands beside it in sources.py."""
    return schema_text(Source, "plugins/tagloom/sources.py")


def schema_text(model: type[BaseModel], module: str) -> str:
    """The JSON schema of what a model reads, as a written file; `module` is where the model stands."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"Written by `make tags` from {module}; change that, not this file.",
        **model.model_json_schema(),
    }
    return json.dumps(_tidy(schema), indent=2, ensure_ascii=False) + "\n"


def has_editor_line(declaration: Path) -> bool:
    """Whether a declaration tells editors which schema it follows."""
    return declaration.read_text(encoding="utf-8").startswith(EDITOR_LINE)


def _tidy(node: Any, is_names: bool = False) -> Any:
    """Explanations in one line, and without the titles that pydantic makes from names: they say nothing new."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidied = {}
    for key, value in node.items():
        if key == "title" and not is_names:
            continue
        if key == "description" and isinstance(value, str):
            tidied[key] = " ".join(value.split())
        else:
            # Below `properties` stand names of keys, and a key may be called title.
            tidied[key] = _tidy(value, is_names=key in ("properties", "$defs") and not is_names)
    return tidied
