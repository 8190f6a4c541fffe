"""The section `matching` of the identity policy: what is compared, how, and from which probability it counts."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Attribute = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]

BLOCK = re.compile(r"^(?P<attribute>[a-z][a-z0-9_]*)(?::(?P<part>[1-9][0-9]?|year))?$")
"""An attribute, its first letters (surname:3) or the year of a date (birth_date:year)."""

Block = Annotated[str, Field(pattern=BLOCK.pattern.replace("?P<attribute>", "").replace("?P<part>", "?:"))]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Comparison(_Strict):
    """How one attribute of two persons is compared."""

    attribute: Attribute
    """Column of identity_records."""
    kind: Literal["name", "date", "code", "text", "street", "place"]
    """name: misspelt, or with another character; date: misread digits; code: short, such as a house number; text:
    longer; street: its name and its numbers are looked at apart; place: together with the postcode."""
    swapped_with: Attribute | None = None
    """Attribute that people write in its place, such as the surname for the given name."""
    together_with: Attribute | None = None
    """For a place, the attribute that says the same again, such as its postcode: agreeing on both counts once."""
    rare_values_count_more: bool = False
    """Two who share a rare value are more likely one person than two who share a frequent one (term frequency)."""

    @model_validator(mode="after")
    def _says_what_is_read(self) -> Comparison:
        if self.swapped_with and self.kind != "name":
            raise ValueError(f"swapped_with is for names; {self.attribute} is compared as a {self.kind}")
        if (self.together_with is None) == (self.kind == "place"):
            raise ValueError(f"together_with is for a place, and needed there; {self.attribute} is a {self.kind}")
        return self

    @property
    def about(self) -> set[str]:
        """The attributes that this comparison looks at."""
        return {name for name in (self.attribute, self.swapped_with, self.together_with) if name}


class Matching(_Strict):
    """Persons without a common identifier, linked by likeness (Fellegi-Sunter). Off unless switched on."""

    enabled: bool = False
    """Whether identity mapping is followed by matching."""
    accept: float = Field(default=0.95, gt=0.5, le=1)
    """From this probability two persons become one, unless a guard or a likelier partner speaks against it."""
    review: float = Field(default=0.5, gt=0, lt=1)
    """From this probability, and below `accept`, a human decides: `python -m tagloom identity review list`."""
    seed: int = Field(default=20170101, ge=0)
    """Of the sample that the model is trained with: the same records give the same model."""
    comparisons: tuple[Comparison, ...] = (
        Comparison(attribute="given_name", kind="name", swapped_with="surname", rare_values_count_more=True),
        Comparison(attribute="surname", kind="name", swapped_with="given_name", rare_values_count_more=True),
        Comparison(attribute="birth_date", kind="date"),
        Comparison(attribute="street", kind="street", rare_values_count_more=True),
        Comparison(attribute="suburb", kind="place", together_with="postcode", rare_values_count_more=True),
    )
    """What is compared. An attribute that one of two persons lacks says nothing for or against."""
    blocking: tuple[tuple[Block, ...], ...] = (
        ("given_name", "surname"),
        ("birth_date", "postcode"),
        ("birth_date", "given_name:1"),
        ("birth_date", "surname:1"),
        ("given_name:3", "surname:3", "birth_date:year"),
        ("surname:3", "postcode"),
        ("given_name:3", "postcode"),
        ("surname", "suburb"),
        ("given_name", "suburb"),
        ("street:8", "suburb:4"),
        ("street:8", "postcode"),
        ("birth_date",),
    )
    """Two persons are compared when they agree on every part of one of these rules; names may be swapped."""
    largest_block: int = Field(default=300, ge=2)
    """A rule is not used for a value that more persons share: it says too little, or is a default like 1900-01-01."""
    comparisons_per_person: float = Field(default=2.0, gt=0)
    """So many comparisons one rule may cost on average; where it would cost more, its most frequent values are left to
    the other rules."""
    certain: tuple[tuple[Block, ...], ...] = (("given_name", "surname", "birth_date"),)
    """Rules whose pairs are nearly all the same person; with `certain_share` they say how many pairs to expect."""
    certain_share: float = Field(default=0.6, gt=0, le=1)
    """Which share of the pairs that are one person these rules find, about."""
    model_file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+\.json$")] = "matching_model.json"
    """Where the trained model is kept, in the folder `identity` of the home. It holds weights and no personal data."""

    @field_validator("comparisons")
    @classmethod
    def _compares_something(cls, comparisons: tuple[Comparison, ...]) -> tuple[Comparison, ...]:
        names = [comparison.attribute for comparison in comparisons]
        if len(names) < 2:
            raise ValueError("compare at least two attributes; one alone cannot tell persons apart")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is compared twice, so that it would count twice; keep one")
        return comparisons

    @model_validator(mode="after")
    def _can_be_trained(self) -> Matching:
        if self.review >= self.accept:
            raise ValueError(f"review ({self.review}) must be below accept ({self.accept})")
        if not self.blocking or not all(self.blocking) or not self.certain or not all(self.certain):
            raise ValueError("blocking and certain need at least one rule each, and every rule an attribute")
        for comparison in self.comparisons:
            if all(comparison.about & blocked_attributes(rule) for rule in self.blocking):
                named = " or ".join(sorted(comparison.about))
                raise ValueError(
                    f"every blocking rule names {named}, so nothing can be learned about {comparison.attribute}; "
                    "add a rule without"
                )
        return self

    @property
    def attributes(self) -> tuple[str, ...]:
        """Every attribute that a comparison or a rule speaks of, sorted."""
        named = {name for comparison in self.comparisons for name in comparison.about}
        return tuple(
            sorted(named | {name for rule in (*self.blocking, *self.certain) for name in blocked_attributes(rule)})
        )

    @property
    def fingerprint(self) -> str:
        """First 12 hex digits of the SHA-256 of what a trained model depends on; thresholds are no part of it."""
        parts = {
            "seed",
            "comparisons",
            "blocking",
            "largest_block",
            "comparisons_per_person",
            "certain",
            "certain_share",
        }
        content = self.model_dump(mode="json", include=parts)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def blocked_attributes(rule: tuple[str, ...]) -> set[str]:
    """The attributes of a rule, without their parts."""
    return {BLOCK.match(block)["attribute"] for block in rule}
