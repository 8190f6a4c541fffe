"""Late sources: whose delivery should have landed, by the clock for those that say when, or for the day of a build."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tagloom.landing.work import LANDED, UNCHANGED

if TYPE_CHECKING:
    from tagloom.settings import Settings
    from tagloom.sources import Source

PRESETS = {"@quarterly": "0 0 1 */3 *"}
"""Airflow's names of schedules that croniter does not know."""

MOST_DAYS = 400
"""What landed longer ago, counted from the newest landing, is not looked at; longer than any schedule's interval."""

LONGEST_LOOK_BACK = 60
"""Intervals; an expected time lies less than a day after the end of its interval, so of hourly ones 25 are enough."""


@dataclass(frozen=True)
class Late:
    """A source of which something is missing."""

    source: Source
    landed_until: date | None
    """Day after the last one that has landed (UTC); None when nothing ever has."""
    needed_until: date
    """Day after the last one that should have landed (UTC)."""
    expected_at: datetime | None = None
    """When it should have landed; None when a build needs it now."""

    @property
    def sentence(self) -> str:
        """What is missing and since when, for people."""
        day = timedelta(days=1)
        has = f"what has landed ends with {self.landed_until - day}" if self.landed_until else "nothing has ever landed"
        needed = f"the deliveries up to {self.needed_until - day} are needed"
        if self.expected_at:
            needed = (
                f"the deliveries up to {self.needed_until - day} were expected by {self.expected_at:%Y-%m-%d %H:%M %Z}"
            )
        return f"{needed[:1].upper()}{needed[1:]}; {has}."


def late_sources(sources: Iterable[Source], landed: Mapping[str, date], now: datetime, time_zone: str) -> list[Late]:
    """Sources with `expected_by` of which an interval should have landed by now and has not.

    `landed`: source -> day after its last one (UTC). `time_zone`: the business one, in which `expected_by` is meant.
    """
    late = []
    for source in sources:
        due = _newest_due(source, now, ZoneInfo(time_zone)) if source.expected_by else None
        if due is None:
            continue
        end, expected_at = due
        needed_until = (end - timedelta(microseconds=1)).date() + timedelta(days=1)
        until = landed.get(source.name)
        if until is None or until < needed_until:
            late.append(Late(source, until, needed_until, expected_at))
    return late


def late_for_day(sources: Iterable[Source], landed: Mapping[str, date], needed_until: date) -> list[Late]:
    """Sources that a build waits for and that have landed less than the days before `needed_until` (UTC)."""
    return [
        Late(source, landed.get(source.name), needed_until)
        for source in sources
        if source.build_waits_for_it and landed.get(source.name, date.min) < needed_until
    ]


def landed_until(settings: Settings) -> dict[str, date] | None:
    """Source -> day after the last one that landed (UTC), from the quality book; None when nothing was ever noted.

    Readable while a task has the warehouse open.
    """
    from tagloom.quality_book import landings

    found: dict[str, date] = {}
    for landing in landings(settings, MOST_DAYS):
        if landing.status in (LANDED, UNCHANGED):
            first, _, end = landing.data_interval.partition("/")
            until = date.fromisoformat(end) if end else date.fromisoformat(first) + timedelta(days=1)
            found[landing.source] = max(found.get(landing.source, date.min), until)
    return found or None


def _newest_due(source: Source, now: datetime, time_zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    """End of the newest interval whose expected time has come (UTC), and that time (business time zone)."""
    # Only installations that declare expected_by pay for it.
    from croniter import croniter

    # The interval that ends in this very second has ended.
    ticks = croniter(PRESETS.get(source.schedule, source.schedule), now.astimezone(UTC) + timedelta(seconds=1))
    for _ in range(LONGEST_LOOK_BACK):
        end = ticks.get_prev(datetime)
        local = end.astimezone(time_zone)
        expected_at = datetime.combine(local.date(), time.fromisoformat(source.expected_by), time_zone)
        if expected_at < local:
            expected_at = datetime.combine(local.date() + timedelta(days=1), expected_at.time(), time_zone)
        if expected_at <= now:
            return end, expected_at
    return None
