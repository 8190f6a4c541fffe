"""Monitors as people declare them: `monitors/<name>.yml`, a metric in SQL and the rule that makes it alarming."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tagloom.settings import PROJECT

MONITORS = PROJECT / "monitors"
"""The monitors of this installation."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class MonitorError(ValueError):
    """Monitors are wrong; the message has one line per problem, which names file, key and cure."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class BelowMean(_Strict):
    """Alarms when a metric is below a share of its trailing mean on several days running."""

    kind: Literal["below_mean"]
    share: float = Field(0.8, gt=0, lt=1)
    """A day is low below this share of the mean."""
    days: int = Field(3, ge=1)
    """So many days running must be low."""
    mean_of_days: int = Field(28, ge=7)
    """The mean is that of so many days before them; days of an alarm do not count."""
    minimum_denominator: int = Field(30, ge=1)
    """Over the low days together; below it nothing is said, because a few customers more or less make the metric."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """How sure the low days together must be below the mean (one-sided), so that small channels do not cry wolf."""


class SeasonalBand(_Strict):
    """Alarms when a metric leaves the band that Holt-Winters smoothing forecasts from the weeks before."""

    kind: Literal["seasonal_band"]
    days: int = Field(1, ge=1)
    """So many days running must be outside."""
    period_days: int = Field(7, ge=2)
    """Length of the season, in days."""
    learnt_from_days: int = Field(84, ge=21)
    """So many days before are learnt from; days of an alarm do not count."""
    confidence: float = Field(0.99, gt=0.5, lt=1)
    """Share of ordinary days that lie in the band."""
    side: Literal["below", "above", "both"] = "below"
    """Which way out of the band is alarming."""
    minimum_denominator: int = Field(30, ge=1)
    """A day with less says nothing."""


Rule = Annotated[BelowMean | SeasonalBand, Field(discriminator="kind")]


class Monitor(_Strict):
    """One metric that is watched, for each of its parts."""

    name: str = ""
    """The file's name, taken from it; what is written here does not count."""
    title: str = Field(min_length=1)
    """What business users call it."""
    title_zh: str = Field(min_length=1)
    """What they call it in Chinese."""
    owner: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    """E-mail address of who acts."""
    what_to_do: str = Field(min_length=1)
    """The first step, as a sentence."""
    unit: Literal["share", "number", "money"]
    """How a value is written: a share as a percentage, a number, an amount."""
    sql: str = Field(min_length=1)
    """Select of day (date), part (text: the channel, platform, store ...), numerator, denominator; one row per day and
    part. The value of a day is numerator / denominator; a metric that is a plain number has denominator = numerator's
    number of events. Reads intermediate, tag_integration and serving."""
    rule: Rule
    """When it is alarming."""


def load_monitors(folder: Path = MONITORS) -> list[Monitor]:
    """Read every monitor, by name. Raises MonitorError, which lists all problems of all files."""
    monitors, problems = [], []
    for path in sorted(folder.glob("*.yml")):
        try:
            content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
        except yaml.YAMLError as error:
            problems.append(f"monitors/{path.name}: is not readable as YAML: {' '.join(str(error).split())}")
            continue
        if not isinstance(content, dict):
            problems.append(f"monitors/{path.name}: must hold keys such as title: and sql:")
            continue
        try:
            monitors.append(Monitor.model_validate({**content, "name": path.stem}))
        except ValidationError as error:
            problems += [_sentence(path, item) for item in error.errors()]
    if problems:
        raise MonitorError("\n".join(problems))
    return monitors


def _sentence(path: Path, item: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in item["loc"] if part not in ("below_mean", "seasonal_band"))
    match item["type"]:
        case "missing":
            return f"monitors/{path.name}: {place}: is missing"
        case "extra_forbidden":
            return f"monitors/{path.name}: {place}: is not a known key; remove it"
        case _:
            return f"monitors/{path.name}: {place}: {item.get('input')!r} is not allowed: {item['msg']}"
