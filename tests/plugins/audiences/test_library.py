"""Saved audiences: versions, names, who uses whom, and what may be deleted."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session
from tagloom.audiences import library
from tagloom.audiences.library import AudienceError, AudienceInUseError, UnknownAudienceError
from tagloom.audiences.rules import RuleError
from tagloom.portal.store.audiences import AudienceRun, Export
from tagloom.portal.store.base import now
from tagloom.settings import Settings


def a_definition(*rules: dict, **more: object) -> dict:
    return {"schema": 1, "rule": {"combinator": "and", "not": False, "rules": list(rules)}, **more}


def has(tag: str) -> dict:
    return {"field": f"tag:{tag}", "operator": "=", "value": True}


def inside(audience_id: int) -> dict:
    return {"field": f"audience:{audience_id}", "operator": "in"}


def an_export(store: Session, audience_id: int, **more: object) -> Export:
    given = {"name": "To the mailer", "target": "csv", "columns": [], "schedule": "daily", "config": {}}
    export = Export(audience_id=audience_id, owner="mia", created_at=now(), **(given | more))
    store.add(export)
    store.flush()
    return export


def test_what_is_saved_is_loaded_again(store: Session) -> None:
    saved = library.save(
        store,
        a_definition(has("has_app")),
        " App  users ",
        by="ana",
        folder="/spring/ mails/",
        description="Who has it",
    )
    assert (saved.name, saved.folder, saved.path) == ("App users", "spring/mails", "spring/mails/App users")
    assert (saved.owner, saved.number, saved.changed_by) == ("ana", 1, "ana")
    store.commit()
    assert library.load(store, saved.id) == saved
    assert library.list_audiences(store) == [saved]
    assert saved.definition.rule.rules[0].tag == "has_app"


def test_a_change_makes_a_version_and_the_same_again_none(store: Session) -> None:
    first = library.save(store, a_definition(has("has_app")), "App", by="ana")
    again = library.save(store, a_definition(has("has_app")), "App", by="ben", audience_id=first.id)
    assert again.number == 1
    assert again.changed_by == "ana"
    second = library.save(store, a_definition(has("is_staff")), "Apps", by="ben", note="Staff", audience_id=first.id)
    assert (second.number, second.name, second.owner, second.note) == (2, "Apps", "ana", "Staff")
    assert [version.number for version in library.versions(store, first.id)] == [2, 1]
    assert library.load(store, first.id, number=1).definition == first.definition
    with pytest.raises(UnknownAudienceError, match="Apps has no version 3"):
        library.load(store, first.id, number=3)


def test_nobody_changes_sides_when_the_definition_changes(store: Session) -> None:
    first = library.save(store, a_definition(holdout_percent=10), "A", by="ana")
    other = library.save(store, a_definition(holdout_percent=10), "B", by="ana")
    changed = library.save(store, a_definition(has("has_app"), holdout_percent=20), "A", by="ana", audience_id=first.id)
    assert first.definition.seed
    assert changed.definition.seed == first.definition.seed != other.definition.seed


@pytest.mark.parametrize(
    ("name", "folder", "sentence"),
    [
        ("  ", "", "A name is missing"),
        ("x" * 121, "", "has 121 characters"),
        ("a/b", "", "has a slash"),
        ("a\u202eb", "", "cannot be seen"),
        ("a", "../etc", "is no folder"),
        ("a", "x" * 100 + "/" + "y" * 100, "is no folder"),
    ],
)
def test_names_must_be_fit_to_be_shown(store: Session, name: str, folder: str, sentence: str) -> None:
    with pytest.raises(AudienceError, match=sentence):
        library.save(store, a_definition(), name, by="ana", folder=folder)


def test_a_name_is_taken_once_per_folder_and_free_after_deletion(store: Session) -> None:
    first = library.save(store, a_definition(), "Everybody", by="ana")
    library.save(store, a_definition(), "Everybody", by="ana", folder="spring")
    with pytest.raises(AudienceError, match="already an audience Everybody in the top folder"):
        library.save(store, a_definition(), "Everybody", by="ben")
    library.delete(store, first.id)
    assert library.save(store, a_definition(), "Everybody", by="ben").id != first.id
    assert library.load(store, first.id, deleted=True).deleted_at
    with pytest.raises(UnknownAudienceError, match=f"no audience {first.id}"):
        library.load(store, first.id)


def test_a_definition_that_is_none_is_refused(store: Session) -> None:
    with pytest.raises(RuleError):
        library.save(store, {"schema": 1, "rule": {"rules": [{"field": "person_id; drop table"}]}}, "A", by="ana")
    assert library.list_audiences(store) == []


def test_an_audience_never_contains_itself(store: Session) -> None:
    inner = library.save(store, a_definition(has("has_app")), "Inner", by="ana")
    outer = library.save(store, a_definition(inside(inner.id)), "Outer", by="ana")
    with pytest.raises(AudienceError, match="contain itself; leave"):
        library.save(store, a_definition(inside(inner.id)), "Inner", by="ana", audience_id=inner.id)
    with pytest.raises(AudienceError, match="contain itself, through another one"):
        library.save(store, a_definition(inside(outer.id)), "Inner", by="ana", audience_id=inner.id)
    with pytest.raises(UnknownAudienceError, match="no audience 99"):
        library.save(store, a_definition(inside(99)), "New", by="ana")


def test_what_is_used_is_not_deleted(store: Session) -> None:
    inner = library.save(store, a_definition(has("has_app")), "Inner", by="ana")
    outer = library.save(store, a_definition(inside(inner.id)), "Outer", by="ana", folder="spring")
    export = an_export(store, inner.id)
    with pytest.raises(AudienceInUseError, match="Inner cannot be deleted") as refused:
        library.delete(store, inner.id)
    assert refused.value.users == ["audience spring/Outer", "export To the mailer"]
    library.delete(store, outer.id)
    export.active = False
    library.delete(store, inner.id)
    assert library.list_audiences(store) == []


def test_tags_of_inner_audiences_count(store: Session) -> None:
    inner = library.save(store, a_definition(has("has_app"), suppression=False), "Inner", by="ana")
    middle = library.save(store, a_definition(inside(inner.id), suppression=False), "Middle", by="ana")
    outer = library.save(store, a_definition(inside(middle.id), has("is_staff"), suppression=False), "Outer", by="ana")
    assert library.tags_of_audience(store, outer) == {"has_app", "is_staff"}
    careful = library.save(store, a_definition(consent="email"), "Careful", by="ana")
    assert {"do_not_promote", "is_email_reachable"} <= library.tags_of_audience(store, careful)


def test_users_of_tags_are_named_for_mails(settings: Settings, store: Session) -> None:
    plain = library.save(store, a_definition(has("has_app"), suppression=False), "Apps", by="ana")
    other = library.save(store, a_definition(suppression=False), "Everybody", by="ana", folder="all")
    library.save(store, a_definition(inside(plain.id), suppression=False), "Outer", by="ana")
    an_export(store, other.id, columns=["has_app"])
    an_export(store, other.id, name="Paused", columns=["has_app"], active=False)
    store.commit()
    assert library.users_of_tags(settings, {"has_app", "rfm_segment"}) == [
        "audience Apps",
        "audience Outer",
        "export To the mailer of audience all/Everybody",
    ]
    assert library.users_of_tags(settings, []) == []
    assert library.users_of_tags(settings, {"rfm_segment"}) == []


def test_looking_for_users_makes_no_database(settings: Settings) -> None:
    assert library.users_of_tags(settings, {"has_app"}) == []
    assert not (settings.home / "portal.sqlite").exists()


def test_runs_are_read_newest_first(store: Session) -> None:
    saved = library.save(store, a_definition(), "Everybody", by="ana")
    for number, size in enumerate([10, 12], start=1):
        store.add(
            AudienceRun(
                audience_id=saved.id,
                version_number=1,
                published_version=f"2017123{number}-a",
                as_of_date=now().date(),
                size=size,
                entered=size,
                stayed=0,
                left_count=0,
                computed_at=now(),
            )
        )
    store.flush()
    assert [run.size for run in library.runs(store, saved.id)] == [12, 10]
    assert library.last_runs(store)[saved.id].size == 12
