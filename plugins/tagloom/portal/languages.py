"""The portal's languages: English is what templates say, other languages are gettext catalogues, one file an area."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

LANGUAGES = {"en": "English", "zh": "中文"}
"""Code -> the language's own name."""

TRANSLATIONS = Path(__file__).parent / "translations"
"""translations/<language>/<area>.po"""


@cache
def catalogue(language: str) -> dict[str, str]:
    """Return English text -> text in this language, from all areas; empty for English.

    Raises ValueError when two areas translate the same text differently: put it into one of them.
    """
    texts: dict[str, str] = {}
    for file in sorted((TRANSLATIONS / language).glob("*.po")):
        with file.open("rb") as stream:
            for message in read_po(stream, locale=language):
                if not message.id or not message.string:
                    continue
                known = texts.setdefault(message.id, message.string)
                if known != message.string:
                    raise ValueError(f"{file}, line {message.lineno}: {message.id!r} is translated as {known!r} too.")
    return texts


def translate(text: str, language: str, **values: object) -> str:
    """Return the text in this language, English where there is none; `{name}` takes a value.

    Only the text of the catalogue is a pattern: values are put in as they are.
    """
    found = catalogue(language).get(text, text) if language != "en" else text
    return found.format_map(values) if values else found


def preferred_language(accepted: str) -> str:
    """Return the language of ours that an Accept-Language header likes best, English when it names none of them."""
    wishes = []
    for position, entry in enumerate(accepted.split(",")):
        code, _, quality = entry.strip().partition(";q=")
        try:
            wishes.append((-float(quality or 1), position, code.strip().lower()[:2]))
        except ValueError:
            continue
    return next((code for _, _, code in sorted(wishes) if code in LANGUAGES), "en")
