"""A new tag begins with a pair in which only what nobody else can know is open, and clear mistakes are refused."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest
import yaml
from tagloom.settings import PROJECT
from tagloom.tags.definitions import OBJECT_KEYS, TagError, load_tags
from tagloom.tags.new_tag import KINDS, TEMPLATES, known_tags, new_tag
from tagloom.tags.project import TagRequestError

SINCE = date(2026, 11, 22)

OF_EVERY_OBJECT = ("fact", "statistic", "rule", "rfm", "lifecycle", "habit", "score")

FILLED_IN = {
    'title: ""': "title: Tried",
    'title_zh: ""': "title_zh: 试用标签",
    'description: ""  # what': "description: Decides nothing.  # what",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A dbt project with the tags that there are."""
    shutil.copytree(PROJECT / "dbt_project" / "models" / "tag_category", tmp_path / "models" / "tag_category")
    return tmp_path


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "models" / "tag_category").mkdir(parents=True)
    return tmp_path


def make(project: Path, name="is_tried", category="habit/trial", kind="rule", **more):
    return new_tag(project, name, category, kind, **({"owner": "a@example.com", "since": SINCE} | more))


def all_pairs():
    return [("person", kind) for kind in KINDS] + [
        (object_name, kind) for object_name in OBJECT_KEYS if object_name != "person" for kind in OF_EVERY_OBJECT
    ]


@pytest.mark.parametrize(("object_name", "kind"), all_pairs())
def test_only_words_are_missing(empty, object_name, kind):
    category = "habit/trial" if object_name == "person" else "sales/trial"
    made = make(empty, "tried", category, kind, object_name=object_name, new_category=True)
    with pytest.raises(TagError) as error:
        load_tags(empty / "models" / "tag_category")
    missing = [line.split(": ")[2] for line in str(error.value).splitlines()]
    assert missing == ["description", "meta.tag.title", "meta.tag.title_zh"]
    text = made.twin.read_text(encoding="utf-8")
    for empty_key, filled in FILLED_IN.items():
        assert empty_key in text
        text = text.replace(empty_key, filled)
    made.twin.write_text(text, encoding="utf-8")
    [model] = load_tags(empty / "models" / "tag_category")
    [tag] = model.columns
    assert (model.object, tag.name, tag.kind, tag.status, tag.since) == (object_name, "tried", kind, "draft", SINCE)
    assert tag.name in made.sql.read_text(encoding="utf-8")


@pytest.mark.parametrize(("object_name", "kind"), all_pairs())
def test_the_unit_test_is_about_the_model_and_expects_what_cannot_be(empty, object_name, kind):
    made = make(empty, "tried", "sales/trial", kind, object_name=object_name, new_category=True)
    [test] = yaml.safe_load(made.twin.read_text(encoding="utf-8"))["unit_tests"]
    assert test["model"] == made.sql.stem
    assert test["expect"]["rows"] == [{OBJECT_KEYS[object_name]: 1, "tried": None}]
    sql = made.sql.read_text(encoding="utf-8")
    assert all(f"{{{{ {given['input']} }}}}" in sql for given in test["given"])
    assert sql.count("ref(") == len(test["given"])


def test_every_kind_has_a_template():
    written = yaml.safe_load((TEMPLATES / "kinds.yml").read_text(encoding="utf-8"))
    assert set(written) == {*KINDS, "yes_no_rule"}
    assert {path.stem for path in TEMPLATES.glob("*.sql")} == set(written)


def test_a_rule_whose_name_asks_a_question_is_yes_or_no(empty):
    question, words = (make(empty, name, kind="rule") for name in ("is_tried", "tried_rhythm"))
    assert "data_type: boolean" in question.twin.read_text(encoding="utf-8")
    assert "accepted_values" in words.twin.read_text(encoding="utf-8")


def test_the_file_is_named_after_the_category_or_the_object(project):
    assert make(project).sql == project / "models/tag_category/person/habit/tag_habit__is_tried.sql"
    assert make(project, "tried", topic="trip_size").twin.name == "tag_habit__trip_size.yml"
    store = make(project, "tried", "sales/trial", object_name="store")
    assert store.sql == project / "models/tag_category/store/sales/tag_store__tried.sql"


def test_who_owns_most_of_the_category_owns_the_new_tag(project):
    owners = [tag.owner for tag in known_tags(project / "models" / "tag_category") if tag.category[0] == "service"]
    usual = max(set(owners), key=owners.count)
    made = make(project, category="service/trial", owner=None)
    assert f"owner: {usual}" in made.twin.read_text(encoding="utf-8")


def test_a_second_level_that_is_new_and_names_alike_are_worth_a_note(project):
    notes = make(project, "lifecycle_stages", "habit/trial").notes
    assert any(note.startswith("habit/trial is new in the tree") for note in notes)
    assert any("lifecycle_stage" in note for note in notes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "rfm_segment"}, "NAME: rfm_segment is taken: tag_value__rfm has a person tag of this name."),
        ({"name": "Is Tried"}, "NAME: 'Is Tried' is no name for a tag"),
        ({"name": "tag_habit__tried"}, "without tag_ in front"),
        ({"name": "x" * 41}, "at most 40"),
        ({"topic": "shopping_time"}, "tag_habit__shopping_time.sql is there already; add the tag to it as a column"),
        ({"category": "habbit/trip"}, "have no category 'habbit'; did you mean habit? There are behaviour, channel"),
        ({"category": "habit"}, "CATEGORY: 'habit' has 1 levels; write two or three. There are habit/"),
        ({"category": "habit/Trip"}, "is no path; write lower-case words with slashes between them"),
        ({"kind": "statistc"}, "KIND: 'statistc' is unknown; did you mean statistic? All are fact, statistic, rule"),
        ({"object_name": "shop"}, "OBJECT: 'shop' is unknown"),
        ({"object_name": "store", "kind": "import"}, "KIND: the template of import is for persons; for a store there"),
        ({"owner": "Ann"}, "OWNER: 'Ann' is no e-mail address"),
    ],
)
def test_clear_mistakes_are_refused_and_leave_nothing_behind(project, changes, sentence):
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    with pytest.raises(TagRequestError) as error:
        make(project, **changes)
    assert sentence in str(error.value)
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_a_new_first_level_has_to_be_asked_for(project):
    assert make(project, category="wishes/list", new_category=True).sql.parent.name == "wishes"
