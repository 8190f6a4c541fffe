"""Tag definitions: reads the YAML twins of the tag models, the one place where a customer tag is described.

A tag model is one SQL file and its twin under `dbt_project/models/tag_category/<object>/<category>/`. Its columns other
than the key are tags, but for the dates that say since when a tag is known (`known_on`); what is known about each tag
stands in `config.meta.tag` of the column. Neither dbt nor Airflow is needed to read them.
"""

from __future__ import annotations

import datetime
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

OBJECT_KEYS = {
    "person": "person_id",
    "household": "household_id",
    "product": "product_id",
    "store": "store_id",
}
"""What can have tags -> the key column of its tag models."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORD = r"^[a-z][a-z0-9_]*$"
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_BOOLEAN_TYPES = ("boolean", "bool")
_NUMBER_TYPE = re.compile(r"(tinyint|smallint|int|integer|bigint|hugeint|float|real|double|decimal.*|numeric.*)")

_HINTS = {
    "category": "a list of two or three lower-case words, such as [value, rfm]",
    "description": "a sentence that says what is counted and which decision it serves",
    "data_type": "the SQL type of the column, such as integer",
    "name": "lower-case letters, digits and underscores",
    "owner": "the e-mail address of who answers for it",
    "history": "true to keep every value that an object has had, or false",
    "known_on": "the name of another column of the model, the day on which the value was last learnt",
    "since": "the day the definition began, such as 2026-11-22",
    "title": "a short English name for business users",
    "title_zh": "a short Chinese name for business users",
    "unit": "what a value counts, such as orders, or null",
    "valid_for": "a number of days such as 30d",
    "values": "each value the tag can have and its Chinese name, such as {champion: 冠军客户}",
    "version": "a whole number from 1 on, one more whenever the meaning changes",
}
"""Key -> what belongs there, for messages."""

Text = Annotated[str, Field(min_length=1)]


class TagError(ValueError):
    """Tag definitions are wrong; the message has one line per problem, which names file, column, key and cure."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tag(_Strict):
    """One tag: a column of a tag model and everything in its `config.meta.tag`."""

    name: Annotated[str, Field(pattern=_WORD)]
    data_type: Text
    """SQL type that the contract promises, in lower case."""
    description: Text
    title: Text
    title_zh: Text
    category: list[Annotated[str, Field(pattern=_WORD)]] = Field(min_length=2, max_length=3)
    """Path in the catalogue's tree; its first level is the folder of the model."""
    kind: Literal[
        "fact",
        "statistic",
        "rule",
        "preference",
        "rfm",
        "lifecycle",
        "habit",
        "sequence",
        "score",
        "prediction",
        "import",
        "derived",
        "comparison",
    ]
    """How the value comes about; docs/tag-kinds.md has a worked example of each."""
    owner: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
    unit: Text | None
    if_missing: Literal["null", "zero", "false"]
    """What an object has that is not in the model: nothing known, none of it, or not so."""
    refresh: Literal["daily"]
    valid_for: Annotated[str, Field(pattern=r"^[1-9][0-9]*d$")]
    """Days after which a value that was not learnt again is stale."""
    personal_data: Literal["none", "indirect", "direct"]
    status: Literal["draft", "published", "retired"]
    since: datetime.date
    values: dict[Text, Text] | None = None
    """Value -> its Chinese name, for tags with a fixed set of values."""
    version: Annotated[int, Field(ge=1, strict=True)] = 1
    """Of the meaning: raised by hand when the same facts give another value."""
    history: Annotated[bool, Field(strict=True)] = False
    """Whether every value is kept with its days; when not said, so for booleans and tags with a fixed set of values."""
    known_on: Annotated[str, Field(pattern=_WORD)] | None = None
    """Column of the same model, a date: the day the value was last learnt. None: learnt anew with every build."""

    @property
    def valid_days(self) -> int:
        """`valid_for` as a number of days."""
        return int(self.valid_for.removesuffix("d"))

    @model_validator(mode="before")
    @classmethod
    def _history_unless_said(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "history" in given:
            return given
        is_boolean = str(given.get("data_type")).lower() in _BOOLEAN_TYPES
        return given | {"history": is_boolean or given.get("values") is not None}

    @field_validator("if_missing", mode="before")
    @classmethod
    def _as_yaml_reads_it(cls, value: object) -> object:
        # YAML reads the bare words null and false as None and False.
        return {None: "null", False: "false"}.get(value, value) if value is None or value is False else value

    @field_validator("title_zh")
    @classmethod
    def _is_chinese(cls, title: str) -> str:
        if not _CHINESE.search(title):
            raise ValueError("has no Chinese character")
        return title

    @model_validator(mode="after")
    def _missing_fits_the_type(self, info: ValidationInfo) -> Tag:
        if self.if_missing == "zero" and not _NUMBER_TYPE.fullmatch(self.data_type.lower()):
            raise ValueError(f"if_missing: is zero, but a {self.data_type} cannot be zero; write null")
        if self.if_missing == "false" and self.data_type.lower() not in _BOOLEAN_TYPES:
            raise ValueError(f"if_missing: is false, but a {self.data_type} cannot be false; write null or zero")
        return self


class TagModel(_Strict):
    """One tag model: a table with one row per object and its tags as columns."""

    object: str
    """person, product, store ..., the first folder."""
    category: str
    """The second folder."""
    name: str
    """Name of the dbt model and of its table in the schema tag_category."""
    path: Path
    """The YAML twin; the SQL file lies beside it."""
    description: str
    """The grain: which objects have a row."""
    key: str
    columns: list[Tag]
    """The tags in declared order, without the key and the dates that only say since when a tag is known."""

    @property
    def sql_path(self) -> Path:
        """The SQL file."""
        return self.path.with_suffix(".sql")


def load_tags(models_folder: Path) -> list[TagModel]:
    """Read every tag model below `dbt_project/models/tag_category`, ordered by object, category and name.

    Raises TagError that lists all problems of all files at once.
    """
    problems: list[str] = []
    models = []
    for path in sorted(models_folder.rglob("*.yml")):
        model, found = _read_twin(path, models_folder)
        problems += found
        if model:
            models.append(model)
    problems += _unpaired(models_folder)
    problems += _names_used_twice(models, models_folder)
    if problems:
        raise TagError("\n".join(sorted(problems)))
    if not models:
        raise TagError(f"{models_folder}: holds no tag model (<object>/<category>/tag_*.sql and its .yml)")
    return sorted(models, key=lambda model: (list(OBJECT_KEYS).index(model.object), model.category, model.name))


def _read_twin(path: Path, models_folder: Path) -> tuple[TagModel | None, list[str]]:
    """Return the model (None when nothing of it can be used) and what is wrong with its file."""
    where = _shown(path, models_folder)
    folders = path.relative_to(models_folder).parts[:-1]
    if len(folders) != 2:
        return None, [f"{where}: lies in the wrong folder; move it to <object>/<category>/"]
    object_name, category = folders
    if object_name not in OBJECT_KEYS:
        return None, [f"{where}: {object_name!r} is no object; the first folder is one of {', '.join(OBJECT_KEYS)}"]
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except yaml.YAMLError as error:
        return None, [f"{where}: is not readable as YAML: {' '.join(str(error).split())}"]
    declared = content.get("models") if isinstance(content, dict) else None
    if not isinstance(declared, list) or len(declared) != 1 or not isinstance(declared[0], dict):
        return None, [f"{where}: models: must list exactly one model, the SQL file of the same name"]
    return _checked_model(declared[0], path, where, object_name, category)


def _checked_model(
    declared: dict[str, Any], path: Path, where: str, object_name: str, category: str
) -> tuple[TagModel | None, list[str]]:
    problems = []
    name, key = declared.get("name"), OBJECT_KEYS[object_name]
    beginning = f"tag_{category if object_name == 'person' else object_name}__"
    if name != path.stem:
        problems.append(f"{where}: name: is {name!r}, but the file is called {path.stem!r}; make them agree")
    if not path.stem.startswith(beginning):
        problems.append(f"{where}: the file name must begin with {beginning!r}, as its folder says")
    if not declared.get("description"):
        problems.append(f"{where}: description: is missing; say which {object_name}s have a row")
    columns = [column for column in declared.get("columns") or [] if isinstance(column, dict)]
    names = [column.get("name") for column in columns]
    problems += [
        f"{where}: column {column}: is declared {names.count(column)} times; keep one"
        for column in sorted({str(column) for column in names if names.count(column) > 1})
    ]
    if key not in names:
        problems.append(f"{where}: columns: the key {key} is missing; add it, one row per {object_name}")
    named = [(_dig(column, "config", "meta", "tag", "known_on"), column.get("name")) for column in columns]
    known_on = {name for name, of in named if isinstance(name, str) and name != of}
    tags = []
    for column in columns:
        if column.get("name") == key:
            continue
        if column.get("name") in known_on:
            problems += _known_on_problems(column, where)
            if not _dig(column, "config", "meta", "tag"):
                continue
        tag, found = _checked_tag(column, where, category)
        problems += found
        if tag:
            tags.append(tag)
    problems += [
        f"{where}: column {tag.name}: meta.tag.known_on: {tag.known_on!r} is no other column of the model; "
        "declare it with data_type: date and a description"
        for tag in tags
        if tag.known_on and (tag.known_on not in names or tag.known_on in (tag.name, key))
    ]
    if not {*names} - {key} - known_on:
        problems.append(f"{where}: columns: holds no tag; declare at least one beside the key")
    model = TagModel(
        object=object_name,
        category=category,
        name=path.stem,
        path=path,
        description=" ".join(str(declared.get("description") or "").split()),
        key=key,
        columns=tags,
    )
    return model, problems


def _known_on_problems(column: dict[str, Any], where: str) -> list[str]:
    """What is wrong with a column that says since when a tag is known."""
    where = f"{where}: column {column['name']}"
    problems = []
    if str(column.get("data_type")).lower() != "date":
        problems.append(
            f"{where}: data_type: is {column.get('data_type')!r}, but tags name it in known_on; it must be a date"
        )
    if not column.get("description"):
        problems.append(f"{where}: description: is missing; say on which day what was learnt")
    return problems


def _checked_tag(column: dict[str, Any], where: str, category: str) -> tuple[Tag | None, list[str]]:
    where = f"{where}: column {column.get('name')}"
    meta = _dig(column, "config", "meta", "tag")
    if not isinstance(meta, dict):
        cure = "move meta: under config:" if _dig(column, "meta", "tag") else "add it with title, kind, owner and so on"
        return None, [f"{where}: config.meta.tag: is missing; {cure}"]
    inherited = {key: column[key] for key in ("name", "data_type", "description") if column.get(key) is not None}
    problems = [
        f"{where}: meta.tag.{key}: belongs to the column; move it out" for key in ("name", "data_type") if key in meta
    ]
    own = {key: value for key, value in meta.items() if key not in inherited}
    try:
        tag = Tag.model_validate(own | inherited)
    except ValidationError as error:
        return None, problems + [f"{where}: {_sentence(item)}" for item in error.errors()]
    if tag.category[0] != category:
        problems.append(
            f"{where}: meta.tag.category: begins with {tag.category[0]!r}, but the folder is {category!r}; "
            "make them agree"
        )
    accepted = _accepted_values(column)
    if tag.values is not None and accepted is not None and set(tag.values) != set(accepted):
        differing = ", ".join(sorted(map(str, set(tag.values) ^ set(accepted))))
        problems.append(
            f"{where}: meta.tag.values: differs from the accepted_values test in {differing}; make them agree"
        )
    return tag, problems


def _accepted_values(column: dict[str, Any]) -> list[Any] | None:
    for test in column.get("data_tests") or []:
        values = _dig(test, "accepted_values", "arguments", "values")
        if isinstance(values, list):
            return values
    return None


def _unpaired(models_folder: Path) -> list[str]:
    problems = []
    for path in sorted(models_folder.rglob("*")):
        where = _shown(path, models_folder)
        match path.suffix:
            case ".yaml":
                problems.append(f"{where}: rename it to {path.stem}.yml, as all twins are called")
            case ".sql" if not path.with_suffix(".yml").exists():
                problems.append(f"{where}: has no YAML twin; describe its tags in {path.stem}.yml beside it")
            case ".yml" if not path.with_suffix(".sql").exists():
                problems.append(f"{where}: has no SQL; write {path.stem}.sql beside it or remove it")
    return problems


def _names_used_twice(models: list[TagModel], models_folder: Path) -> list[str]:
    first_use: dict[tuple[str, str], TagModel] = {}
    problems = []
    for model in models:
        for name in {tag.name for tag in model.columns}:
            first = first_use.setdefault((model.object, name), model)
            if first is not model:
                where = _shown(model.path, models_folder)
                problems.append(
                    f"{where}: column {name}: {first.name} already has a {model.object} tag of this name; "
                    "rename one, they become columns of one table"
                )
    return problems


def _sentence(item: dict[str, Any]) -> str:
    key = str(item["loc"][0]) if item["loc"] else ""
    place = key if key in ("name", "data_type", "description") else f"meta.tag.{key}"
    hint = f"; write {_HINTS[key]}" if key in _HINTS else ""
    match item["type"]:
        case "extra_forbidden":
            known = [field for field in Tag.model_fields if field not in ("name", "data_type", "description")]
            nearest = get_close_matches(key, known, n=1)
            cure = f"did you mean {nearest[0]!r}?" if nearest else f"the known keys are {', '.join(known)}"
            return f"{place}: is not a known key; {cure}"
        case "missing":
            return f"{place}: is missing{hint or f'; write {_allowed(key)}'}"
        case "literal_error":
            return f"{place}: {item['input']!r} is not allowed; write {_allowed(key)}"
        case "value_error" if not key:
            return f"meta.tag.{item['msg'].removeprefix('Value error, ')}"
        case "value_error":
            return f"{place}: {item['input']!r} {item['msg'].removeprefix('Value error, ')}{hint}"
        case _:
            return f"{place}: {item['input']!r} is not allowed{hint}"


def _allowed(key: str) -> str:
    words = Tag.model_fields[key].annotation.__args__
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _dig(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _shown(path: Path, models_folder: Path) -> str:
    return str(path.relative_to(models_folder.parent))
