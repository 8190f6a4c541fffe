"""What the first page tells: how much is there, how fresh and how well it is, and what changed since the day before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tagloom import quality_book
from tagloom.alerting.book import Incident, open_incidents, read_book
from tagloom.alerting.holds import open_holds
from tagloom.portal.serving import Snapshot, Tag
from tagloom.portal.store.audiences import Audience, AudienceRun
from tagloom.settings import Settings

LAYERS = ("landing", "staging", "identity_mapping", "intermediate", "tag_category", "tag_integration", "serving")
"""Layers in the order in which they are built."""

DRIFTING_TAGS = 6
"""Tags with changed values that are named."""

STAGE_TAGS = ("lifecycle_stage", "rfm_segment")
"""Tags whose groups the first page draws: the first one that is published."""


@dataclass(frozen=True)
class Layer:
    """How well one layer did in its newest run."""

    name: str
    score: float
    """0 to 100; below 50 something is held."""
    checks: int
    warned: int
    failed: int
    as_of_date: date

    @property
    def tone(self) -> str:
        """Good, warn or bad."""
        return "bad" if self.failed else "warn" if self.warned else "good"


@dataclass(frozen=True)
class FreshSource:
    """What arrived last from one source."""

    name: str
    tables: int
    interval: str
    """Newest day of data, or `<first day>/<day after the last>`."""
    landed_at: datetime
    rows: int
    quarantined: int


@dataclass(frozen=True)
class Move:
    """Persons that came into one group on the newest day."""

    value: str
    persons: int


@dataclass(frozen=True)
class Changes:
    """What is other than on the day before."""

    since: date | None
    """The day that is compared with: the newest one before with statistics; None when there is none."""
    persons: int | None
    """Persons more or fewer."""
    moves: list[Move]
    """Into which groups of the stage tag persons came on the newest day."""
    drifting: list[Tag]
    """Tags whose values are spread otherwise than before."""
    identity: dict[str, int]
    """Kind of change to persons (create, merge, split) -> how many on the newest day."""


@dataclass(frozen=True)
class AudienceCounts:
    """Saved audiences and how the last run of them changed their members."""

    audiences: int
    entered: int
    left: int


def layers(settings: Settings) -> list[Layer]:
    """Return the newest state of each layer that was checked, in the order of building."""
    newest = {score.layer: score for score in quality_book.layer_trend(settings, 7)}
    return [
        Layer(name, found.score, found.checks, found.warned, found.failed, found.as_of_date)
        for name in (*LAYERS, *sorted(set(newest) - set(LAYERS)))
        if (found := newest.get(name))
    ]


def sources(settings: Settings) -> list[FreshSource]:
    """Return what arrived last of each source, by name."""
    grouped: dict[str, list[quality_book.LandedTable]] = {}
    for landed in quality_book.newest_landings(settings):
        grouped.setdefault(landed.source, []).append(landed)
    return [
        FreshSource(
            name,
            len(tables),
            max(table.data_interval for table in tables),
            max(table.landed_at for table in tables),
            sum(table.landed for table in tables),
            sum(table.quarantined for table in tables),
        )
        for name, tables in sorted(grouped.items())
    ]


def incidents(settings: Settings) -> tuple[list[Incident], int]:
    """Return what is wrong now, failures first, and how many tags are held because of it."""
    if not settings.alert_book.exists():
        return [], 0
    with read_book(settings.alert_book) as book:
        found = open_incidents(book)
    held = {tag for hold in open_holds(settings) for tag in hold.tags}
    return sorted(found, key=lambda incident: incident.finding.severity != "failed"), len(held)


def stage_tag(snapshot: Snapshot) -> Tag | None:
    """Return the tag whose groups are drawn, None when none of STAGE_TAGS is published."""
    return next((snapshot.tags[name] for name in STAGE_TAGS if name in snapshot.tags), None)


def stages(snapshot: Snapshot, tag: Tag) -> list[Move]:
    """Return how many persons each value of the tag has, in the order of its values."""
    rows = snapshot.rows(
        f'select "{tag.name}"::varchar as value, count(*) as persons from tag_integration.person_tags '
        f'where "{tag.name}" is not null group by all'
    )
    order = {value: position for position, value in enumerate(tag.values or ())}
    found = [Move(row["value"], row["persons"]) for row in rows]
    return sorted(found, key=lambda move: (order.get(move.value, len(order)), -move.persons))


def changes(snapshot: Snapshot) -> Changes:
    """Return what is other than on the day before, or than on the newest day before that has statistics."""
    since = persons = None
    drifting: list[Tag] = []
    identity: dict[str, int] = {}
    moves: list[Move] = []
    if "tag_integration.tag_statistics" in snapshot.tables:
        since = snapshot.value(
            "select max(as_of_date) from tag_integration.tag_statistics where as_of_date < ?", [snapshot.as_of_date]
        )
        before = snapshot.value(
            "select max(objects) from tag_integration.tag_statistics where object = 'person' and as_of_date = ?",
            [since],
        )
        persons = None if before is None else snapshot.persons - before
        rows = snapshot.rows(
            "select tag from tag_integration.tag_statistics where object = 'person' and as_of_date = ? "
            "and drift = 'strong' order by psi_previous desc nulls last, tag limit ?",
            [snapshot.as_of_date, DRIFTING_TAGS],
        )
        drifting = [snapshot.tags[row["tag"]] for row in rows if row["tag"] in snapshot.tags]
    if "serving.person_changes" in snapshot.tables:
        rows = snapshot.rows(
            "select kind, count(*) as changes from serving.person_changes where as_of_date = ? "
            "group by kind order by kind",
            [snapshot.as_of_date],
        )
        identity = {row["kind"]: row["changes"] for row in rows}
    tag = stage_tag(snapshot)
    if tag and "tag_integration.tag_history" in snapshot.tables:
        # Only those that came from another group: on the first day everybody is new.
        rows = snapshot.rows(
            """
            select newer.value, count(*) as persons
            from tag_integration.tag_history as newer
            inner join tag_integration.tag_history as older
                on older.object = newer.object and older.tag = newer.tag and older.object_id = newer.object_id
                and older.valid_to = newer.valid_from
            where newer.object = 'person' and newer.tag = $tag and newer.valid_from = $day
                and older.object = 'person' and older.tag = $tag and older.valid_to = $day and newer.value is not null
            group by newer.value
            order by persons desc, newer.value
            """,
            {"tag": tag.name, "day": snapshot.as_of_date},
        )
        moves = [Move(row["value"], row["persons"]) for row in rows]
    return Changes(since, persons, moves, drifting, identity)


def audience_counts(store: Session) -> AudienceCounts:
    """Return how many audiences are saved, and how many persons their newest runs took in and let go."""
    saved = select(func.count()).select_from(Audience).where(Audience.deleted_at.is_(None))
    newest = select(func.max(AudienceRun.as_of_date)).scalar_subquery()
    moved = select(
        func.coalesce(func.sum(AudienceRun.entered), 0), func.coalesce(func.sum(AudienceRun.left_count), 0)
    ).where(AudienceRun.as_of_date == newest)
    entered, left = store.execute(moved).one()
    return AudienceCounts(store.scalar(saved) or 0, entered, left)
