"""What the audience builder says: it gets these texts in the reader's language together with its data.

They have a catalogue of their own, because many are single words ("is", "then") that mean other things elsewhere.
"""

from __future__ import annotations

from functools import cache

from babel.messages.pofile import read_po

from tagloom.portal.languages import TRANSLATIONS

TEXTS = (
    "About what, empty: anything",
    "Add a part",
    "All conditions",
    "All of",
    "Any of",
    "Cancel",
    "Choose a tag or event",
    "Choose values",
    "Close",
    "Compare by tag",
    "Comparison",
    "Condition about",
    "Condition",
    "Conditions that are not finished are left out.",
    "Consent and chance",
    "Copy this condition",
    "Copy this group",
    "Days between them",
    "Days",
    "Days, empty: ever",
    "Event after it",
    "Everybody who does not fit this group, persons without a value included",
    "First event",
    "Folder",
    "Group of conditions",
    "Group",
    "Hardly by chance: p = {p} after Holm's correction",
    "Hold out, percent",
    "How the conditions belong together",
    "How the conditions of this group belong together",
    "In words",
    "Kept apart by chance to measure the effect; counted, never exported.",
    "Leave out who objected to advertising",
    "Lift",
    "More conditions",
    "Name of part {number}",
    "Name",
    "No",
    "Nobody is left out yet. Add a condition to choose.",
    "Not",
    "Note on this version",
    "Nothing fits.",
    "Nothing has this name.",
    "One condition is not finished and does not count yet.",
    "Only who allows the channel and has an address for it.",
    "Percent of part {number}",
    "Reachable by",
    "Redo",
    "Remove part {number}",
    "Remove this condition",
    "Remove this group",
    "Remove {value}",
    "SQL",
    "Save a new version",
    "Save as version {number}",
    "Save the audience",
    "Save",
    "Search tags and events",
    "Share of members",
    "Size",
    "Split by chance, for a test",
    "Sum of amounts, empty: any",
    "Tag value",
    "Text",
    "The mark is the share among everybody. A dot: hardly by chance.",
    "Times",
    "Undo and redo",
    "Undo",
    "Use “{value}”",
    "Value of {title}",
    "What changed and why",
    "What it is for",
    "What it is made of",
    "What the rule means",
    "Who",
    "Without conditions: everybody.",
    "Yes",
    "about",
    "any",
    "anything",
    "at least",
    "days",
    "empty: the top",
    "ever",
    "first",
    "from",
    "in the last",
    "of {population} persons, data through {day}",
    "persons",
    "significant",
    "sum at least",
    "the first in the last",
    "then",
    "times",
    "to",
    "within",
    "{count} conditions are not finished and do not count yet.",
    "{total} % of 100 %",
)
"""Each text that frontend/src/builder asks for; a test keeps the two the same."""


@cache
def builder_words(language: str) -> dict[str, str]:
    """Return English text -> text in this language, of translations/<language>/builder/; empty for English."""
    words: dict[str, str] = {}
    for file in sorted((TRANSLATIONS / language / "builder").glob("*.po")):
        with file.open("rb") as stream:
            words |= {str(entry.id): str(entry.string) for entry in read_po(stream, locale=language) if entry.string}
    return words
