"""What a published version knows of identity mapping: metrics, the cluster of a person, changes, suspects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from tagloom.identity.policy import Policy
from tagloom.portal.serving import Snapshot

CHANGES_A_PAGE = 100
"""Changes that a page of the history shows."""

CHANGE_KINDS = ("create", "merge", "split", "reassign", "retire", "revive")

GUARD = "rejected_edges_"
"""How metrics that count what a guard refused begin."""


@dataclass(frozen=True)
class End:
    """An identifier as it is drawn."""

    type: str
    key: str
    """Keyed hash."""
    label: str
    """Masked."""
    person: int | None
    """Whose it is; None: of nobody, or not known here."""

    @property
    def value(self) -> str:
        """As a form sends it back."""
        return f"{self.type}:{self.key}"


@dataclass(frozen=True)
class Edge:
    """A link between two identifiers of a person, or one that was refused."""

    left: End
    right: End
    source: str
    """Systems that show both, comma separated."""
    kind: str
    first_seen: Any
    last_seen: Any
    count: int
    strength: int
    probability: float | None
    rejected_because: str | None
    """None: the link holds."""


@dataclass(frozen=True)
class Cluster:
    """What a person consists of, and what was held apart."""

    person: int
    members: list[dict[str, Any]]
    """Rows of serving.person_identifiers."""
    used: list[Edge]
    refused: list[Edge]

    @property
    def ends(self) -> dict[str, End]:
        """Every identifier in it or held apart from it, by hash."""
        found = {
            row["identifier_key"]: End(row["identifier_type"], row["identifier_key"], row["label"], self.person)
            for row in self.members
        }
        for edge in (*self.used, *self.refused):
            for end in (edge.left, edge.right):
                found.setdefault(end.key, end)
        return found


def metrics(snapshot: Snapshot) -> dict[str, float]:
    """Metric -> value of the newest day; empty when there are none."""
    if "serving.identity_metrics" not in snapshot.tables:
        return {}
    rows = snapshot.rows(
        "select metric, value from serving.identity_metrics "
        "where as_of_date = (select max(as_of_date) from serving.identity_metrics) order by metric"
    )
    return {row["metric"]: row["value"] for row in rows}


def metric_trend(snapshot: Snapshot, names: list[str], days: int = 90) -> tuple[list[date], dict[str, list]]:
    """Days, oldest first, and metric -> value of each of these days (None where it was not measured)."""
    if "serving.identity_metrics" not in snapshot.tables:
        return [], {}
    rows = snapshot.rows(
        f"""
        select as_of_date, metric, value from serving.identity_metrics
        where list_contains($names, metric)
            and as_of_date > (select max(as_of_date) from serving.identity_metrics) - {int(days)}
        order by as_of_date
        """,
        {"names": names},
    )
    known = sorted({row["as_of_date"] for row in rows})
    values = {(row["as_of_date"], row["metric"]): row["value"] for row in rows}
    return known, {name: [values.get((day, name)) for day in known] for name in names}


def sizes(snapshot: Snapshot, fewest: int = 1) -> list[tuple[str, int]]:
    """How many persons have so many identifiers; groups of fewer than `fewest` persons are added up: `12+`."""
    if "serving.person_attributes" not in snapshot.tables:
        return []
    rows = snapshot.rows(
        "select identifiers, count(*) as persons from serving.person_attributes "
        "where identifiers is not null group by identifiers order by identifiers desc"
    )
    found: list[tuple[str, int]] = []
    together = 0
    for row in rows:
        together += row["persons"]
        if together >= fewest:
            found.append(
                (f"{row['identifiers']}" if together == row["persons"] else f"{row['identifiers']}+", together)
            )
            together = 0
    # What is left over at the small end is told with its neighbour, if there is one.
    if together and found:
        found[-1] = (f"1–{found[-1][0]}", found[-1][1] + together)
    return found[::-1]


def cluster(snapshot: Snapshot, person: int) -> Cluster:
    """The identifiers of a person with the links that join them and those that were refused."""
    members = snapshot.rows(
        "select * from serving.person_identifiers where person_id = ? order by first_seen nulls last, identifier_key",
        [person],
    )
    labels = {row["identifier_key"]: row["label"] for row in members}
    rows = snapshot.rows(
        """
        select edges.*, one.label as left_label, one.person_id as left_person,
            other.label as right_label, other.person_id as right_person
        from serving.person_edges as edges
        left join serving.person_identifiers as one on edges.left_key = one.identifier_key
        left join serving.person_identifiers as other on edges.right_key = other.identifier_key
        where edges.person_id = $person or edges.other_person_id = $person
        order by edges.rejected_because nulls first, edges.strength desc, edges.count desc, left_key, right_key
        """,
        {"person": person},
    )
    seen: set[tuple[str, str]] = set()
    edges = []
    for row in rows:
        # One that leads to another person may stand with either of the two.
        pair = (row["left_key"], row["right_key"])
        if pair in seen:
            continue
        seen.add(pair)
        ends = []
        for side in ("left", "right"):
            key, kind = row[f"{side}_key"], row[f"{side}_type"]
            label = row[f"{side}_label"] or labels.get(key) or f"{kind} {key[:8]}…"
            ends.append(End(kind, key, label, row[f"{side}_person"]))
        edges.append(
            Edge(
                *ends,
                source=row["source"] or "",
                kind=row["kind"],
                first_seen=row["first_seen"],
                last_seen=row["last_seen"],
                count=row["count"] or 0,
                strength=row["strength"] or 0,
                probability=row["probability"],
                rejected_because=row["rejected_because"],
            )
        )
    return Cluster(
        person,
        members,
        [edge for edge in edges if edge.rejected_because is None],
        [edge for edge in edges if edge.rejected_because is not None],
    )


def layers(cluster: Cluster, anchor: str) -> tuple[dict[str, int], list[Edge]]:
    """Hash of each identifier of the person -> steps from the anchor, and the strongest links that join them all."""
    parent: dict[str, str] = {}

    def top(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    tree: list[Edge] = []
    neighbours: dict[str, list[str]] = {}
    # The links come with the strongest first.
    for edge in cluster.used:
        left, right = edge.left.key, edge.right.key
        if top(left) != top(right):
            parent[top(left)] = top(right)
            tree.append(edge)
            neighbours.setdefault(left, []).append(right)
            neighbours.setdefault(right, []).append(left)
    steps: dict[str, int] = {}
    for start in (anchor, *(row["identifier_key"] for row in cluster.members)):
        if start in steps or not start:
            continue
        steps[start] = 0
        waiting = [start]
        while waiting:
            here = waiting.pop(0)
            for there in neighbours.get(here, ()):
                if there not in steps:
                    steps[there] = steps[here] + 1
                    waiting.append(there)
    return steps, tree


def strongest(members: list[dict[str, Any]], policy: Policy) -> dict[str, Any] | None:
    """The identifier that says most of who somebody is: the strongest, of those the one seen first."""
    strengths = {name: rules.strength for name, rules in policy.identifier_types.items()}
    return max(
        members,
        key=lambda row: (strengths.get(row["identifier_type"], 0), -members.index(row)),
        default=None,
    )


def changes(
    snapshot: Snapshot, kind: str = "", person: int | None = None, page: int = 1
) -> tuple[list[dict[str, Any]], int]:
    """A page of what happened to persons, newest first, and how many changes there are."""
    if "serving.person_changes" not in snapshot.tables:
        return [], 0
    condition = "($kind = '' or kind = $kind) and ($person is null or $person in (person_id, other_person_id))"
    parameters = {"kind": kind, "person": person}
    number = snapshot.value(f"select count(*) from serving.person_changes where {condition}", parameters)
    rows = snapshot.rows(
        f"select * from serving.person_changes where {condition} "
        "order by run_number desc, kind, person_id, other_person_id "
        f"limit {CHANGES_A_PAGE} offset {(page - 1) * CHANGES_A_PAGE}",
        parameters,
    )
    return rows, number


def changes_by_day(snapshot: Snapshot, days: int = 60) -> list[dict[str, Any]]:
    """Changes other than new persons: as_of_date, kind, changes."""
    if "serving.person_changes" not in snapshot.tables:
        return []
    return snapshot.rows(
        f"""
        select as_of_date, kind, count(*) as changes from serving.person_changes
        where kind <> 'create' and as_of_date > $day::date - {int(days)}
        group by as_of_date, kind order by as_of_date, kind
        """,
        {"day": snapshot.as_of_date},
    )


def published_suspects(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Suspects of the published version, the worst first: what two links show, without walking whole components."""
    if "serving.person_suspects" not in snapshot.tables:
        return []
    return snapshot.rows(
        "select * from serving.person_suspects order by urgency, persons desc, records desc, identifier_key limit 200"
    )


def person_exists(snapshot: Snapshot, person: int) -> bool:
    """Whether somebody has this number now."""
    return bool(snapshot.value("select 1 from tag_integration.person_tags where person_id = ?", [person]))
