"""Every mistake an analyst can make in a tag's twin gives one sentence; the project's own twins have none."""

import datetime
from pathlib import Path

import pytest
import yaml
from tagloom.tags.definitions import OBJECT_KEYS, TagError, load_tags

PROJECT_TAGS = Path(__file__).parents[3] / "dbt_project" / "models" / "tag_category"


def tag(**changes):
    """A right config.meta.tag with keys changed; None is a value, ... leaves the key out."""
    right = {
        "title": "RFM segment",
        "title_zh": "RFM分群",
        "category": ["value", "rfm"],
        "kind": "rule",
        "owner": "loyalty@example.com",
        "unit": None,
        "if_missing": None,
        "refresh": "daily",
        "valid_for": "7d",
        "personal_data": "indirect",
        "status": "published",
        "since": datetime.date(2026, 11, 22),
    }
    return {key: value for key, value in (right | changes).items() if value is not ...}


def column(name="rfm_segment", data_type="varchar", description="What to do with somebody.", meta=None, **more):
    return {
        "name": name,
        "data_type": data_type,
        "description": description,
        "config": {"meta": {"tag": meta or tag()}},
    } | more


def write(folder, *columns, place="person/value", name="tag_value__rfm", sql=True, key="person_id", **model):
    """Write a pair below `folder` and return the folder."""
    path = folder / place / f"{name}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = [{"name": key, "data_type": "bigint"}] if key else []
    declared = {"name": name, "description": "One row per person.", "columns": [*keys, *columns]} | model
    path.write_text(yaml.safe_dump({"models": [declared]}, allow_unicode=True), encoding="utf-8")
    if sql:
        path.with_suffix(".sql").write_text("select 1\n", encoding="utf-8")
    return folder


def problems(folder):
    with pytest.raises(TagError) as error:
        load_tags(folder)
    return str(error.value).splitlines()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "tag_category"


def test_the_projects_own_tags_are_right():
    models = load_tags(PROJECT_TAGS)
    person_tags = [tag for model in models if model.object == "person" for tag in model.columns]
    assert len(person_tags) >= 55
    assert len({tag.category[0] for tag in person_tags}) >= 9
    assert all(model.sql_path.exists() and model.key == OBJECT_KEYS[model.object] for model in models)


def test_reads_everything_of_a_tag(folder):
    meta = tag(values={"champion": "冠军客户"})
    [model] = load_tags(write(folder, column(meta=meta), description="One row\nper person."))
    assert (model.object, model.category, model.name, model.key) == ("person", "value", "tag_value__rfm", "person_id")
    assert model.description == "One row per person."
    [read] = model.columns
    assert (read.name, read.data_type, read.description) == ("rfm_segment", "varchar", "What to do with somebody.")
    assert (read.category, read.kind, read.unit, read.if_missing) == (["value", "rfm"], "rule", None, "null")
    assert (read.valid_days, read.since, read.values) == (7, datetime.date(2026, 11, 22), {"champion": "冠军客户"})


def test_if_missing_as_yaml_reads_bare_words(folder):
    flag = column("is_new", "boolean", meta=tag(if_missing=False))
    count = column("orders", "integer", meta=tag(if_missing="zero"))
    [model] = load_tags(write(folder, flag, count, column(meta=tag(if_missing="null"))))
    assert [read.if_missing for read in model.columns] == ["false", "zero", "null"]


def test_version_and_history_when_a_twin_says_nothing(folder):
    write(
        folder,
        column("is_new", "boolean", meta=tag(if_missing=False)),
        column("segment", meta=tag(values={"champion": "冠军客户"})),
        column("orders", "integer"),
        column("was_new", "boolean", meta=tag(history=False)),
        column("tier", meta=tag(history=True, version=3)),
    )
    [model] = load_tags(folder)
    assert [read.history for read in model.columns] == [True, True, False, False, True]
    assert [read.version for read in model.columns] == [1, 1, 1, 1, 3]


ASKED_ON = {"name": "asked_on", "data_type": "date", "description": "The day of the answer."}


def test_the_date_a_tag_is_known_on_is_no_tag(folder):
    [model] = load_tags(write(folder, column(meta=tag(known_on="asked_on")), ASKED_ON))
    assert [(read.name, read.known_on) for read in model.columns] == [("rfm_segment", "asked_on")]


def test_a_tag_may_be_known_on_the_date_that_another_tag_is(folder):
    [model] = load_tags(write(folder, column(meta=tag(known_on="asked_on")), column("asked_on", "date")))
    assert [read.name for read in model.columns] == ["rfm_segment", "asked_on"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"data_type": "timestamp"},
            "column asked_on: data_type: is 'timestamp', but tags name it in known_on; it must",
        ),
        ({"data_type": None}, "column asked_on: data_type: is None, but tags name it in known_on; it must be a date"),
        ({"description": ""}, "column asked_on: description: is missing; say on which day what was learnt"),
    ],
)
def test_the_date_a_tag_is_known_on_is_declared(folder, changes, sentence):
    [problem] = problems(write(folder, column(meta=tag(known_on="asked_on")), ASKED_ON | changes))
    assert problem.startswith(f"{WHERE}: {sentence}")


def test_a_date_alone_is_no_tag(folder):
    assert (
        f"{WHERE}: column asked_on: config.meta.tag: is missing; add it with title, kind"
        in problems(write(folder, ASKED_ON))[0]
    )


def test_every_kind_of_tag_may_be_declared(folder):
    kinds = ["fact", "statistic", "rule", "preference", "rfm", "lifecycle", "habit", "sequence", "score", "prediction"]
    kinds += ["import", "derived", "comparison"]
    [model] = load_tags(write(folder, *(column(f"by_{kind}", meta=tag(kind=kind)) for kind in kinds)))
    assert [read.kind for read in model.columns] == kinds


def test_models_come_in_the_order_of_objects(folder):
    write(
        folder,
        column("size", meta=tag(category=["sales", "size"])),
        place="store/sales",
        name="tag_store__sales",
        key="store_id",
    )
    write(folder, column())
    assert [model.name for model in load_tags(folder)] == ["tag_value__rfm", "tag_store__sales"]


def test_objects_may_share_a_tag_name(folder):
    write(
        folder,
        column("sales", meta=tag(category=["sales", "x"])),
        place="store/sales",
        name="tag_store__sales",
        key="store_id",
    )
    write(folder, column("sales"))
    assert len(load_tags(folder)) == 2


WHERE = "tag_category/person/value/tag_value__rfm.yml"
HERE = f"{WHERE}: column rfm_segment: "


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tittle": "x"}, "meta.tag.tittle: is not a known key; did you mean 'title'?"),
        ({"xyz": 1}, "meta.tag.xyz: is not a known key; the known keys are title, title_zh, category, kind"),
        ({"owner": ...}, "meta.tag.owner: is missing; write the e-mail address of who answers for it"),
        ({"kind": ...}, "meta.tag.kind: is missing; write fact, statistic, rule"),
        ({"if_missing": ...}, "meta.tag.if_missing: is missing; write null, zero or false"),
        ({"kind": "guess"}, "meta.tag.kind: 'guess' is not allowed; write fact, statistic, rule, preference"),
        ({"status": "live"}, "meta.tag.status: 'live' is not allowed; write draft, published or retired"),
        ({"refresh": "hourly"}, "meta.tag.refresh: 'hourly' is not allowed; write daily"),
        ({"if_missing": 0}, "meta.tag.if_missing: 0 is not allowed; write null, zero or false"),
        ({"if_missing": True}, "meta.tag.if_missing: True is not allowed; write null, zero or false"),
        ({"if_missing": "zero"}, "meta.tag.if_missing: is zero, but a varchar cannot be zero; write null"),
        ({"if_missing": False}, "meta.tag.if_missing: is false, but a varchar cannot be false; write null or zero"),
        ({"owner": "loyalty"}, "meta.tag.owner: 'loyalty' is not allowed; write the e-mail address"),
        ({"valid_for": "7 days"}, "meta.tag.valid_for: '7 days' is not allowed; write a number of days such as 30d"),
        ({"valid_for": 7}, "meta.tag.valid_for: 7 is not allowed; write a number of days such as 30d"),
        ({"since": "soon"}, "meta.tag.since: 'soon' is not allowed; write the day the definition began"),
        ({"title": ""}, "meta.tag.title: '' is not allowed; write a short English name"),
        ({"title_zh": "segment"}, "meta.tag.title_zh: 'segment' has no Chinese character; write a short Chinese name"),
        ({"category": ["value"]}, "meta.tag.category: ['value'] is not allowed; write a list of two or three"),
        ({"category": ["value", "RFM!"]}, "meta.tag.category: 'RFM!' is not allowed; write a list of two or three"),
        (
            {"category": ["worth", "rfm"]},
            "meta.tag.category: begins with 'worth', but the folder is 'value'; make them",
        ),
        ({"version": 0}, "meta.tag.version: 0 is not allowed; write a whole number from 1 on, one more whenever"),
        ({"version": "2"}, "meta.tag.version: '2' is not allowed; write a whole number from 1 on"),
        ({"version": True}, "meta.tag.version: True is not allowed; write a whole number from 1 on"),
        ({"history": "yes"}, "meta.tag.history: 'yes' is not allowed; write true to keep every value"),
        ({"known_on": "Asked on"}, "meta.tag.known_on: 'Asked on' is not allowed; write the name of another column"),
        (
            {"known_on": ["asked_on"]},
            "meta.tag.known_on: ['asked_on'] is not allowed; write the name of another column",
        ),
        (
            {"known_on": "asked_on"},
            "meta.tag.known_on: 'asked_on' is no other column of the model; declare it with data_type: date",
        ),
        (
            {"known_on": "rfm_segment"},
            "meta.tag.known_on: 'rfm_segment' is no other column of the model; declare it with data_type: date",
        ),
        (
            {"known_on": "person_id"},
            "meta.tag.known_on: 'person_id' is no other column of the model; declare it with data_type: date",
        ),
        ({"values": {True: "是"}}, "meta.tag.values: True is not allowed; write each value the tag can have"),
        ({"name": "x"}, "meta.tag.name: belongs to the column; move it out"),
    ],
)
def test_a_wrong_key_gives_one_sentence(folder, changes, sentence):
    [problem] = problems(write(folder, column(meta=tag(**changes))))
    assert problem.startswith(HERE + sentence)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (column(description=None), "column rfm_segment: description: is missing; write a sentence that says"),
        (column(data_type=None), "column rfm_segment: data_type: is missing; write the SQL type"),
        (column("RFM-Segment"), "column RFM-Segment: name: 'RFM-Segment' is not allowed; write lower-case letters"),
        (column(config={}), "column rfm_segment: config.meta.tag: is missing; add it with title, kind"),
        (
            column(config={}) | {"meta": {"tag": tag()}},
            "column rfm_segment: config.meta.tag: is missing; move meta: under config:",
        ),
        (
            column(
                meta=tag(values={"lost": "已流失", "loyal": "忠诚客户"}),
                data_tests=["not_null", {"accepted_values": {"arguments": {"values": ["loyal", "champion"]}}}],
            ),
            "column rfm_segment: meta.tag.values: differs from the accepted_values test in champion, lost; make them",
        ),
    ],
)
def test_a_wrong_column_gives_one_sentence(folder, wrong, sentence):
    [problem] = problems(write(folder, wrong))
    assert problem.startswith(f"{WHERE}: {sentence}")


def test_key_column_is_missing(folder):
    assert problems(write(folder, column(), key=None)) == [
        f"{WHERE}: columns: the key person_id is missing; add it, one row per person"
    ]


def test_no_tag_beside_the_key(folder):
    assert problems(write(folder)) == [f"{WHERE}: columns: holds no tag; declare at least one beside the key"]


def test_grain_is_missing(folder):
    assert problems(write(folder, column(), description="")) == [
        f"{WHERE}: description: is missing; say which persons have a row"
    ]


def test_column_is_declared_twice(folder):
    assert problems(write(folder, column(), column())) == [f"{HERE}is declared 2 times; keep one"]


def test_tag_name_is_used_by_two_models_of_an_object(folder):
    write(folder, column())
    write(folder, column(), name="tag_value__spend")
    assert problems(folder) == [
        "tag_category/person/value/tag_value__spend.yml: column rfm_segment: tag_value__rfm already has a person tag "
        "of this name; rename one, they become columns of one table"
    ]


def test_twin_without_sql(folder):
    assert problems(write(folder, column(), sql=False)) == [
        f"{WHERE}: has no SQL; write tag_value__rfm.sql beside it or remove it"
    ]


def test_sql_without_twin(folder):
    write(folder, column())
    (folder / "person/value/tag_value__new.sql").write_text("select 1\n")
    assert problems(folder) == [
        "tag_category/person/value/tag_value__new.sql: has no YAML twin; describe its tags in tag_value__new.yml "
        "beside it"
    ]


def test_twin_of_another_ending(folder):
    write(folder, column())
    (folder / "person/value/tag_value__new.yaml").write_text("models: []\n")
    assert problems(folder) == [
        "tag_category/person/value/tag_value__new.yaml: rename it to tag_value__new.yml, as all twins are called"
    ]


def test_model_is_not_called_as_its_file(folder):
    path = write(folder, column()) / "person/value/tag_value__rfm.yml"
    path.write_text(path.read_text().replace("tag_value__rfm", "tag_value__rmf"))
    assert problems(folder) == [
        f"{WHERE}: name: is 'tag_value__rmf', but the file is called 'tag_value__rfm'; make them agree"
    ]


@pytest.mark.parametrize(
    ("place", "name", "key", "beginning"),
    [
        ("person/value", "tag_worth__rfm", "person_id", "tag_value__"),
        ("store/value", "tag_value__rfm", "store_id", "tag_store__"),
    ],
)
def test_file_is_not_called_as_its_folder(folder, place, name, key, beginning):
    assert problems(write(folder, column(), place=place, name=name, key=key)) == [
        f"tag_category/{place}/{name}.yml: the file name must begin with {beginning!r}, as its folder says"
    ]


def test_file_lies_in_the_wrong_folder(folder):
    assert problems(write(folder, column(), place="person")) == [
        "tag_category/person/tag_value__rfm.yml: lies in the wrong folder; move it to <object>/<category>/"
    ]


def test_object_is_unknown(folder):
    assert problems(write(folder, column(), place="people/value")) == [
        "tag_category/people/value/tag_value__rfm.yml: 'people' is no object; the first folder is one of person, "
        "household, product, store"
    ]


@pytest.mark.parametrize("content", ["", "models: []", "models: [{name: a}, {name: b}]", "unit_tests: []", "- 1"])
def test_twin_lists_not_exactly_one_model(folder, content):
    (write(folder, column()) / "person/value/tag_value__rfm.yml").write_text(content)
    assert problems(folder) == [f"{WHERE}: models: must list exactly one model, the SQL file of the same name"]


def test_twin_is_no_yaml(folder):
    (write(folder, column()) / "person/value/tag_value__rfm.yml").write_text("models: [\n  {\n")
    [problem] = problems(folder)
    assert problem.startswith(f"{WHERE}: is not readable as YAML: ")
    assert "line 3" in problem


def test_all_problems_of_all_files_are_told_at_once(folder):
    write(folder, column(meta=tag(kind="guess", owner=...)))
    write(folder, column("tier", meta=tag(status="live")), name="tag_value__spend")
    assert [problem.split(": ")[0].rsplit("/")[-1] for problem in problems(folder)] == [
        "tag_value__rfm.yml",
        "tag_value__rfm.yml",
        "tag_value__spend.yml",
    ]


def test_empty_folder(folder):
    folder.mkdir()
    [problem] = problems(folder)
    assert "holds no tag model" in problem
