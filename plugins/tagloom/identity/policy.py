"""The identity policy: one file that says how far each type of identifier is trusted, and what guards keep out.

`identity/policy.yml` is what people write. dbt reads seeds that `make tags` writes from it, so a change of the file
holds for everything known from the next build on.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tagloom.identity.matching_settings import Matching
from tagloom.settings import PROJECT

POLICY_FILE = PROJECT / "identity" / "policy.yml"
"""The policy of this installation."""

WRITTEN_YAML = "# Written by `make tags` from identity/policy.yml; change that, not this file.\n"
WRITTEN_SQL = "{#- Written by `make tags` from identity/policy.yml; change that, not this file. -#}\n"

MANUAL_STRENGTH = 9
"""Strength of a link that a person made: above every type's."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Share = Annotated[float, Field(ge=0, le=1)]


class PolicyError(ValueError):
    """The identity policy is wrong; the message has one line per problem, which names file, key and cure."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Blocked(_Strict):
    """Made-up values, which link nobody."""

    values: list[str] = []
    """Normalised values, such as +15555555555."""
    patterns: list[str] = []
    """Regular expressions that are looked for in the normalised value."""

    @field_validator("patterns")
    @classmethod
    def _compile(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            problem = _pattern_problem(pattern)
            if problem:
                raise ValueError(f"{pattern!r} is not a regular expression that the warehouse can read: {problem}")
        return patterns

    @property
    def pattern(self) -> str | None:
        """All of it as one regular expression; None when nothing is blocked."""
        parts = list(self.patterns)
        if self.values:
            parts.insert(0, f"^({'|'.join(_literally(value) for value in self.values)})$")
        return "|".join(parts) or None


class Owners(_Strict):
    """How many owners one such identifier may have, and whose it is when there are more."""

    counted: Name
    """Identifier type whose different values, seen in one record with the identifier, are counted."""
    at_most: int = Field(ge=1)
    """So many owners may have it at one time."""
    within_days: int | None = Field(default=None, ge=0)
    """Owners that were seen with it further apart than this had it one after the other, as with a phone number that is
    given out again: it belongs to the later ones, and what was seen before their time is recycled. none: all count."""
    otherwise: Literal["nobody", "dominant", "latest"] = "nobody"
    """Whose it is when more have it. nobody: it links nobody. dominant: the one seen `dominance` times as often as the
    next, if there is one. latest: the newest one, if it was seen only after all others; else nobody's."""
    dominance: float = Field(default=3.0, ge=1)
    """How many times as often as the runner-up the dominant owner must be seen."""

    @field_validator("within_days", mode="before")
    @classmethod
    def _none_is_a_word(cls, value: object) -> object:
        return None if value == "none" else value


class IdentifierType(_Strict):
    """How identity mapping may use identifiers of one type."""

    title: str = Field(min_length=1)
    """What people call it, in English."""
    title_zh: str = Field(min_length=1)
    """What people call it, in Chinese."""
    strength: int = Field(ge=1, le=5)
    """1 (weak) to 5 (strong). Where a guard must choose, links through stronger identifiers are kept."""
    makes_person: bool
    """Whether this identifier alone is reason enough to count a person. Passers-by's devices are not."""
    per_person: int | None = Field(default=None, ge=1)
    """So many of them one person may have; 1 means that two different ones are never one person's. none: no limit."""
    blocked: Blocked = Blocked()
    """Made-up values."""
    owners: Owners | None = None
    """Limit to how many people share one; not given, it may be anybody's number."""
    contradicting_attributes_part: bool = False
    """Whether records that share one are parted when their names and their birth dates contradict (attribute_veto)."""
    household: bool = False
    """Whether people who share one, few as they are, live together."""

    @field_validator("per_person", mode="before")
    @classmethod
    def _none_is_a_word(cls, value: object) -> object:
        return None if value == "none" else value


class AttributeVeto(_Strict):
    """When two records cannot be one person's: name and birth date are known in both, and both contradict."""

    name_similarity_below: Share = 0.5
    """Names contradict when the less similar of given name and surname is less similar than this, swapped or not.
    Similarity is 1 minus edit distance divided by the longer length."""
    birth_date_differs: int = Field(default=2, ge=1, le=8)
    """Birth dates contradict when at least so many digits of YYYYMMDD must be changed to make them equal."""
    outweighed_by: int = Field(default=6, ge=2)
    """There is no veto between two who share identifiers whose strengths add up to this: theirs is one form that was
    filled in wrongly."""


class Household(_Strict):
    """When people who share an address or an identifier count as one household."""

    at_most_persons: int = Field(default=8, ge=2)
    """More than this share an office or a dormitory, not a home."""


class Policy(_Strict):
    """All rules of identity mapping."""

    plus_tags: Literal["keep", "strip"] = "strip"
    """Whether ann+shop@example.com is another mailbox than ann@example.com (keep) or the same (strip)."""
    identifier_types: dict[Name, IdentifierType] = Field(min_length=1)
    """Name that the source declarations use -> rules."""
    attribute_veto: AttributeVeto = AttributeVeto()
    """When two records cannot be one person's."""
    survivorship: dict[Name, list[Name]] = {}
    """Attribute of the golden record -> sources, the most trusted first; of one source the newest record wins."""
    household: Household = Household()
    """What a household is."""
    matching: Matching = Matching()
    """Persons without a common identifier, linked by likeness."""

    @model_validator(mode="after")
    def _types_exist(self) -> Policy:
        for name, rules in self.identifier_types.items():
            counted = rules.owners.counted if rules.owners else None
            if counted is not None and counted not in self.identifier_types:
                cure = _did_you_mean(counted, self.identifier_types)
                raise ValueError(f"identifier_types.{name}.owners.counted: {counted!r} is no identifier type; {cure}")
            if counted == name:
                raise ValueError(f"identifier_types.{name}.owners.counted: an identifier cannot own its like")
        if not any(rules.makes_person for rules in self.identifier_types.values()):
            raise ValueError("identifier_types: at least one type needs makes_person: true, or there are no persons")
        for attribute, sources in self.survivorship.items():
            if len(set(sources)) < len(sources):
                raise ValueError(f"survivorship.{attribute}: names a source twice; keep the first")
        return self

    @cached_property
    def version(self) -> str:
        """First twelve hexadecimal digits of the SHA-256 of the content; comments and order of keys do not count."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:12]


def load_policy(path: Path = POLICY_FILE) -> Policy:
    """Read a policy. Raises PolicyError that names every problem at once; FileNotFoundError when there is no file."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path.name}: not readable as YAML: {' '.join(str(error).split())}") from error
    try:
        return Policy.model_validate(content)
    except ValidationError as error:
        raise PolicyError("\n".join(f"{path.name}: {_sentence(item)}" for item in error.errors())) from error


def policy_files(policy: Policy) -> dict[Path, str]:
    """Path below dbt_project -> content, for every file that dbt reads the policy from."""
    return {
        Path("seeds/identity_policy.csv"): _csv(
            ["identifier_type", *_TYPE_COLUMNS, "policy_version"],
            ([name, *_type_row(rules), policy.version] for name, rules in policy.identifier_types.items()),
        ),
        Path("seeds/survivorship_policy.csv"): _csv(
            ["attribute", "source", "rank"],
            (
                [attribute, source, rank]
                for attribute, sources in policy.survivorship.items()
                for rank, source in enumerate(sources, start=1)
            ),
        ),
        Path("seeds/identity_rules.csv"): _csv(["name", "value"], _scalars(policy)),
        Path("macros/identity/strips_plus_tags.sql"): _plus_tags_macro(policy),
    }


_TYPE_COLUMNS = (
    *("title", "title_zh", "strength", "makes_person", "per_person", "counted_owner", "max_owners"),
    *("owner_window_days", "shared_goes_to", "dominance", "vetoed_by_attributes", "household", "blocked_pattern"),
)


def _type_row(rules: IdentifierType) -> list[object]:
    owners = rules.owners
    return [
        *(rules.title, rules.title_zh, rules.strength, rules.makes_person, rules.per_person),
        *((owners.counted, owners.at_most, owners.within_days) if owners else (None, None, None)),
        *((owners.otherwise, owners.dominance) if owners else (None, None)),
        *(rules.contradicting_attributes_part, rules.household, rules.blocked.pattern),
    ]


def _scalars(policy: Policy) -> Iterable[list[object]]:
    yield ["policy_version", policy.version]
    yield ["plus_tags", policy.plus_tags]
    for section in ("attribute_veto", "household", "matching"):
        for key, value in getattr(policy, section).model_dump(mode="json").items():
            if isinstance(value, str | int | float | bool):
                yield [f"{section}.{key}", value]


def _csv(header: list[str], rows: Iterable[list[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([[_cell(value) for value in row] for row in rows])
    return text.getvalue()


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _plus_tags_macro(policy: Policy) -> str:
    # A macro, because the staging views normalise and a view of a source should not hang on a seed.
    return (
        "{% macro strips_plus_tags() -%}\n"
        f"    {WRITTEN_SQL}"
        f"    {{{{ return({policy.plus_tags == 'strip'}) }}}}\n"
        "{%- endmacro %}\n"
    )


def _literally(value: str) -> str:
    """The value as a regular expression; classes instead of backslashes, which engines read differently."""
    return re.sub(r"[][^$.|?*+(){}\\]", lambda match: {"^": r"\^", "\\": r"\\"}.get(match[0], f"[{match[0]}]"), value)


def _pattern_problem(pattern: str) -> str | None:
    import duckdb

    try:
        re.compile(pattern)
        with duckdb.connect() as connection:
            connection.execute("select regexp_matches('', ?)", [pattern]).fetchall()
    except (re.error, duckdb.Error) as error:
        return str(error).splitlines()[0]
    return None


def _sentence(item: dict[str, Any]) -> str:
    parts = [str(part) for part in item["loc"]]
    where = ".".join(parts) or "(top level)"
    match item["type"]:
        case "extra_forbidden":
            return f"{where}: is not a known key; {_did_you_mean(parts[-1], _known_keys(parts[:-1]))}"
        case "missing":
            return f"{where}: is missing; {_explanation(parts)}"
        case "literal_error":
            return f"{where}: {item['input']!r} is not allowed; write {item['ctx']['expected']}"
        case "string_pattern_mismatch":
            return f"{where}: {item['input']!r} is no name; write lower-case letters, digits and underscores"
        case "value_error" if not item["loc"]:
            return item["msg"].removeprefix("Value error, ")
        case _:
            found = "" if isinstance(item["input"], dict | list) else f"; found {item['input']!r:.80}"
            return f"{where}: {item['msg'].removeprefix('Value error, ')}{found}"


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    names = list(known)
    guess = get_close_matches(word, names, n=1)
    return f"did you mean {guess[0]}?" if guess else f"known are {', '.join(names)}"


def _model_at(parts: list[str]) -> type[BaseModel] | None:
    """The model that the keys of this place belong to."""
    model: type[BaseModel] = Policy
    steps = iter(parts)
    for part in steps:
        field = model.model_fields.get(part)
        if field is None:
            return None
        inner = [kind for kind in _kinds(field.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not inner:
            return None
        model = inner[0]
        if model is IdentifierType:
            next(steps, None)
    return model


def _kinds(annotation: object) -> Iterable[object]:
    yield annotation
    for part in get_args(annotation):
        yield from _kinds(part)


def _known_keys(parts: list[str]) -> Iterable[str]:
    model = _model_at(parts)
    return model.model_fields if model else ()


def _explanation(parts: list[str]) -> str:
    model = _model_at(parts[:-1])
    field = model.model_fields.get(parts[-1]) if model else None
    text = " ".join((field.description or "").split()) if field else ""
    return f"add it: {text}" if text else "add it"
