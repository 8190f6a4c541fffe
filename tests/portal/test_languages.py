"""Chinese is complete, and values cannot break a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient
from tagloom.portal.app import NAVIGATION
from tagloom.portal.languages import TRANSLATIONS, catalogue, preferred_language, translate
from tagloom.portal.rendering import PORTAL
from tagloom.portal.rights import RIGHTS, ROLES
from tagloom.portal.summary import LAYERS

from tests.portal.portal_texts import texts

PLACES = re.compile(r"{(\w+)}")


def test_every_text_has_its_chinese() -> None:
    known = catalogue("zh")
    missing = [f"{file.relative_to(PORTAL)}:{line}: {text!r}" for file, line, text in texts() if text not in known]

    assert missing == [], f"{len(missing)} texts have no line in translations/zh/<area>.po"


def test_texts_that_are_looked_up_by_name_have_their_chinese_too() -> None:
    named = [*RIGHTS.values(), *ROLES, *LAYERS, *(title for title, _, _ in NAVIGATION)]

    assert [text for text in named if text not in catalogue("zh")] == []


def test_a_translation_has_the_places_of_its_text() -> None:
    wrong = [
        text for text, chinese in catalogue("zh").items() if set(PLACES.findall(text)) != set(PLACES.findall(chinese))
    ]

    assert wrong == []


def test_two_areas_may_not_translate_the_same_text_differently(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
    (tmp_path / "zh").mkdir()
    for area, chinese in (("a", "标签"), ("b", "标记")):
        (tmp_path / "zh" / f"{area}.po").write_text(f'{head}msgid "Tag"\nmsgstr "{chinese}"\n', encoding="utf-8")
    monkeypatch.setattr("tagloom.portal.languages.TRANSLATIONS", tmp_path)

    with pytest.raises(ValueError, match="is translated as '标签' too"):
        catalogue.__wrapped__("zh")


def test_values_are_put_in_as_they_are() -> None:
    assert translate("{n} days", "zh", n=7) == "7 天"
    assert translate("{n} days", "en", n="{n!r}") == "{n!r} days"
    assert translate("A { without a value", "en") == "A { without a value"


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.1", "en"),
        ("de,zh;q=0.5", "zh"),
        ("de", "en"),
        ("", "en"),
        ("zh;q=none", "en"),
        ("*;q=0.1", "en"),
    ],
)
def test_the_browser_says_which_language_is_liked_best(accepted: str, language: str) -> None:
    assert preferred_language(accepted) == language


def test_a_chosen_language_beats_the_browser(client_as: Callable[..., TestClient]) -> None:
    client = client_as("viewer", language="zh")
    assert "总览" in client.get("/").text

    client.post("/language", data={"language": "en"})

    assert "Overview" in client.get("/").text


def test_catalogues_are_where_they_are_looked_for() -> None:
    assert sorted(TRANSLATIONS.glob("zh/*.po"))
