"""The schema says to an editor what the loader says to everybody, key by key."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from jsonschema import Draft202012Validator
from tagloom.settings import PROJECT
from tagloom.source_tools.schema import EDITOR_LINE, has_editor_line, source_schema
from tagloom.source_tools.template import KINDS, new_declaration

SCHEMA = json.loads(source_schema())
DECLARATIONS = sorted((PROJECT / "sources").glob("*.yml"))


def complaints(content: object) -> list[str]:
    """What a JSON schema validator, as in an editor, finds wrong."""
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(content)]


def right() -> dict:
    return yaml.safe_load((PROJECT / "sources" / "loyalty.yml").read_text(encoding="utf-8"))


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


def test_there_are_declarations():
    assert DECLARATIONS


@pytest.mark.parametrize("path", DECLARATIONS, ids=lambda path: path.stem)
def test_it_accepts_every_declaration(path):
    assert complaints(yaml.safe_load(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("kind", KINDS)
def test_it_accepts_every_template(kind):
    assert complaints(yaml.safe_load(new_declaration("shop", kind))) == []


def test_it_refuses_keys_nobody_knows_at_every_level():
    for place in (
        lambda content: content,
        lambda content: content["tables"][0],
        lambda content: content["tables"][0]["reader"],
        lambda content: content["tables"][0]["columns"][0],
    ):
        content = right()
        place(content)["colour"] = "red"
        assert complaints(content), place(content)


def test_it_refuses_wrong_words_and_missing_keys():
    content = right()
    content["party"] = "fourth"
    del content["owner"]
    assert len(complaints(content)) == 2


def test_every_key_is_explained():
    unexplained = [
        f"{name}.{key}"
        for name, definition in [("Source", SCHEMA), *SCHEMA["$defs"].items()]
        for key, facts in definition["properties"].items()
        if not facts.get("description") and "const" not in facts and key != "paging"
    ]
    assert unexplained == []


def test_the_reference_page_has_every_key():
    page = (PROJECT / "docs" / "sources.md").read_text(encoding="utf-8")
    absent = [
        f"{name}.{key}"
        for name, definition in [("Source", SCHEMA), *SCHEMA["$defs"].items()]
        for key in definition["properties"]
        if not re.search(rf"`([a-z.]+\.)?{key}`|`[^`]*\b{key}: ", page)
    ]
    assert absent == []


def test_explanations_are_one_line_and_titles_are_not_made_up():
    text = source_schema()
    assert "\\n" not in text
    assert '"title": "' not in text.replace(f'"title": "{SCHEMA.get("title")}"', "")


@pytest.mark.parametrize("path", DECLARATIONS, ids=lambda path: path.stem)
def test_every_declaration_tells_editors_where_the_schema_is(path):
    assert has_editor_line(path), f"sources/{path.name}: begin it with {EDITOR_LINE.strip()}"


def test_the_line_names_the_file_beside_the_declarations():
    assert (PROJECT / "sources" / EDITOR_LINE.strip().partition("$schema=")[2]).exists()
