"""What a published version knows of one person: tags with their reasons, facts, identifiers, consent, household."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tagloom.identity.identifiers import identifier_hash, normalise, parse_identifier
from tagloom.identity.policy import POLICY_FILE, Policy, load_policy
from tagloom.portal.serving import Snapshot, Tag

FACTS_A_PAGE = 50
"""Facts that a page of the timeline shows."""

FACTS_OF_A_TAG = 10
"""Newest facts that are shown as the ground of one value."""

HISTORY_ROWS = 200
"""Changes of tag values that are listed."""

MOST_REDIRECTS = 20
"""Merges that are followed from a retired person to the one who lives; more would be a circle."""


@dataclass(frozen=True)
class Value:
    """A tag's value of the person."""

    tag: Tag
    value: Any
    """None where nothing is known, and where it is hidden."""
    is_hidden: bool = False
    """It is personal data, which the reader may not see."""
    stale_because: str = ""
    """Why a value that was once known is not shown any more: it was learnt too long ago."""

    @property
    def is_known(self) -> bool:
        """Whether there is something to show."""
        return self.value is not None or self.is_hidden


@dataclass(frozen=True)
class Looked:
    """What became of looking somebody up."""

    person: int | None
    """The person, None when nobody has the identifier."""
    subject: str
    """What was looked up, as the audit log may say it: `person:42`, `phone 3f9a1c2b…`."""


def look_up(snapshot: Snapshot, kind: str, text: str, policy: Policy, key: bytes) -> Looked:
    """The person that somebody means by a typed value: normalised and hashed just as staging does it.

    kind: `person` for a person's number, else an identifier type of the policy. The value leaves this function as a
    hash only. Raises IdentifierError when it is no value of that kind; its message repeats the value: show another one.
    """
    if kind == "person":
        digits = text.strip().removeprefix("person:")
        number = int(digits) if digits.isdecimal() and len(digits) < 19 else None
        if number is None:
            return Looked(None, "person")
        living, _ = living_person(snapshot, number)
        return Looked(living, f"person:{number}")
    identifier_type, value = parse_identifier(f"{kind}:{text}", policy)
    hashed = identifier_hash(identifier_type, value, key)
    return Looked(owner_of(snapshot, identifier_type, hashed), f"{identifier_type} {hashed[:8]}…")


def is_value_of(kind: str, text: str, policy: Policy) -> bool:
    """Whether a typed value can be one of this type."""
    return normalise(kind, text, strips_plus_tags=policy.plus_tags == "strip") is not None


def owner_of(snapshot: Snapshot, identifier_type: str, hashed: str) -> int | None:
    """The person with this identifier, None when it is nobody's."""
    return snapshot.value(
        "select person_id from serving.person_identifiers where identifier_key = ? and identifier_type = ?",
        [hashed, identifier_type],
    )


def living_person(snapshot: Snapshot, person: int) -> tuple[int | None, list[int]]:
    """The person that has this number now and the numbers on the way, if it was merged; None when there never was one.

    A number that was merged into another leads to it, over as many merges as there were.
    """
    way: list[int] = []
    here: int | None = person
    while here is not None and len(way) < MOST_REDIRECTS and here not in way:
        if snapshot.value("select 1 from tag_integration.person_tags where person_id = ?", [here]):
            return here, way
        way.append(here)
        here = _survivor(snapshot, here)
    return None, way


def merged_numbers(snapshot: Snapshot, person: int) -> list[int]:
    """Numbers that lead to this person since they were merged into it, directly."""
    if "serving.person_redirects" in snapshot.tables:
        rows = snapshot.rows(
            "select person_id from serving.person_redirects where survivor_id = ? order by person_id", [person]
        )
    else:
        rows = snapshot.rows(
            "select distinct other_person_id as person_id from serving.person_changes "
            "where person_id = ? and kind = 'merge' and other_person_id is not null order by person_id",
            [person],
        )
    return [row["person_id"] for row in rows]


def _survivor(snapshot: Snapshot, person: int) -> int | None:
    if "serving.person_redirects" in snapshot.tables:
        return snapshot.value("select survivor_id from serving.person_redirects where person_id = ?", [person])
    if "serving.person_changes" not in snapshot.tables:
        return None
    return snapshot.value(
        "select person_id from serving.person_changes where other_person_id = ? and kind = 'merge' "
        "order by run_number desc limit 1",
        [person],
    )


def values_of(snapshot: Snapshot, person: int, *, see_personal: bool) -> list[Value]:
    """The person's values of all published tags, in the order of the catalogue.

    see_personal: whether values that are personal data themselves may be read; else they are hidden.
    """
    row = snapshot.row("select * from tag_integration.person_tags where person_id = ?", [person]) or {}
    stale = _stale(snapshot, person)
    found = []
    for tag in snapshot.tags.values():
        value = row.get(tag.name)
        hidden = tag.personal_data == "direct" and not see_personal and value is not None
        found.append(Value(tag, None if hidden else value, hidden, stale.get(tag.name, "")))
    return found


def _stale(snapshot: Snapshot, person: int) -> dict[str, str]:
    if "tag_integration.tag_stale_values" not in snapshot.tables:
        return {}
    rows = snapshot.rows(
        "select tag, reason from tag_integration.tag_stale_values where object = 'person' and object_id = ?",
        [str(person)],
    )
    return {row["tag"]: row["reason"] for row in rows}


def share_of_value(snapshot: Snapshot, tag: Tag, value: Any) -> int:
    """How many persons have this value."""
    return snapshot.value(
        f'select count(*) from tag_integration.person_tags where "{tag.name}" is not distinct from ?', [value]
    )


def attributes(snapshot: Snapshot, person: int) -> dict[str, Any]:
    """The golden record as it is published, masked; empty when there is none."""
    if "serving.person_attributes" not in snapshot.tables:
        return {}
    return snapshot.row("select * from serving.person_attributes where person_id = ?", [person]) or {}


def events_of(snapshot: Snapshot, person: int) -> list[dict[str, Any]]:
    """Kinds of facts that the person has: event, title, title_zh, facts, first_on, last_on; the most frequent first."""
    return snapshot.rows(
        """
        select person_events.event, any_value(title) as title, any_value(title_zh) as title_zh, count(*) as facts,
            min(happened_on) as first_on, max(happened_on) as last_on
        from serving.person_events
        left join serving.event_catalog on person_events.event = event_catalog.event
        where person_id = ?
        group by person_events.event
        order by facts desc, person_events.event
        """,
        [person],
    )


def months_of(snapshot: Snapshot, person: int, event: str = "") -> list[dict[str, Any]]:
    """Facts by month over the last twelve months of the data: month (first day), facts, amount."""
    return snapshot.rows(
        """
        with months as (
            select unnest(generate_series(
                date_trunc('month', $day::date) - interval 11 months, date_trunc('month', $day::date), interval 1 month
            ))::date as month
        ),
        facts as (
            select date_trunc('month', happened_on)::date as month, amount
            from serving.person_events
            where person_id = $person and ($event = '' or event = $event)
        )
        select months.month, count(facts.month) as facts, coalesce(sum(facts.amount), 0)::double as amount
        from months
        left join facts on months.month = facts.month
        group by months.month
        order by months.month
        """,
        {"day": snapshot.as_of_date, "person": person, "event": event},
    )


def facts_of(snapshot: Snapshot, person: int, event: str = "", page: int = 1) -> tuple[list[dict[str, Any]], int]:
    """A page of the person's facts, newest first, and how many there are: event, happened_at (UTC), amount, what ..."""
    conditions = "person_id = $person and ($event = '' or event = $event)"
    parameters = {"person": person, "event": event}
    number = snapshot.value(f"select count(*) from serving.person_events where {conditions}", parameters)
    rows = snapshot.rows(
        f"""
        select event, happened_at, happened_on, amount, quantity, what, source
        from serving.person_events
        where {conditions}
        order by happened_at desc nulls last, event, what
        limit {FACTS_A_PAGE} offset {(page - 1) * FACTS_A_PAGE}
        """,
        parameters,
    )
    return rows, number


def sources_of(tag: Tag) -> list[str]:
    """Systems that a tag is computed from: `pos.basket_lines, web.events` -> pos, web."""
    names = (name.strip().partition(".")[0] for name in tag.upstream_sources.split(","))
    return sorted({name for name in names if name})


def facts_behind(
    snapshot: Snapshot, person: int, tag: Tag, limit: int = FACTS_OF_A_TAG
) -> tuple[list[dict[str, Any]], int]:
    """The newest facts of the person from the systems that a tag is computed from, and how many there are."""
    sources = sources_of(tag)
    parameters = {"person": person, "sources": sources}
    condition = "person_id = $person and list_contains($sources, source::varchar)"
    number = snapshot.value(f"select count(*) from serving.person_events where {condition}", parameters)
    rows = snapshot.rows(
        f"select event, happened_at, happened_on, amount, quantity, what, source from serving.person_events "
        f"where {condition} order by happened_at desc nulls last, event, what limit {limit}",
        parameters,
    )
    return rows, number


def history_of(snapshot: Snapshot, person: int, tag: str = "") -> list[dict[str, Any]]:
    """Changes of tag values, newest first: tag, value, valid_from, valid_to (None: still). Only tags that are kept."""
    if "tag_integration.tag_history" not in snapshot.tables:
        return []
    return snapshot.rows(
        f"""
        select tag, value, valid_from, valid_to
        from tag_integration.tag_history
        where object = 'person' and object_id = $person and ($tag = '' or tag = $tag)
        order by valid_from desc, tag
        limit {HISTORY_ROWS}
        """,
        {"person": str(person), "tag": tag},
    )


def identifiers_of(snapshot: Snapshot, person: int) -> list[dict[str, Any]]:
    """The person's identifiers: identifier_type, identifier_key (hash), label (masked), first_seen, last_seen."""
    if "serving.person_identifiers" not in snapshot.tables:
        return []
    return snapshot.rows(
        "select * from serving.person_identifiers where person_id = ? order by identifier_type, first_seen nulls last, "
        "identifier_key",
        [person],
    )


def household_of(snapshot: Snapshot, person: int) -> list[dict[str, Any]]:
    """Who lives with the person, the person included: household_id, person_id, since; empty when alone."""
    if "serving.household_members" not in snapshot.tables:
        return []
    return snapshot.rows(
        """
        select household_id, person_id, since from serving.household_members
        where household_id = (select household_id from serving.household_members where person_id = ?)
        order by person_id
        """,
        [person],
    )


def identifier_titles(policy: Policy, language: str) -> Mapping[str, str]:
    """Identifier type -> what people call it."""
    return {
        name: (rules.title_zh if language == "zh" else rules.title) or name
        for name, rules in policy.identifier_types.items()
    }


def policy_in_force() -> Policy:
    """The identity policy; read again only when its file was changed, because that takes a tenth of a second."""
    return _policy(POLICY_FILE.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _policy(changed_at: int) -> Policy:
    return load_policy()
