"""Says in words why an edge between two identifiers is used or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagloom.identity.decisions import NEVER_LINK, live_decisions
from tagloom.identity.identifiers import Identifier

if TYPE_CHECKING:
    import duckdb


class Reasons:
    """Holds the policy and the decisions that the words come from."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._decisions = live_decisions(connection)
        self._policy = {
            row[0]: row
            for row in connection.execute(
                "select identifier_type, title, per_person, counted_owner, max_owners from seeds.identity_policy"
            ).fetchall()
        }

    def of(self, left: Identifier, right: Identifier, fact: dict) -> str:
        """Why the edge is used or refused; `fact` is its row: kind, observations, probability, rejected_because ..."""
        reason = fact["rejected_because"]
        if reason is None:
            return self._accepted(left, right, fact)
        match reason:
            case "blocked value":
                ends = [end for end in (left, right) if self._verdict(end) == reason]
                return "; ".join(self._blocked(end) for end in ends) or "a blocked value"
            case "shared identifier":
                ends = [end for end in (left, right) if self._verdict(end) == reason]
                return "; ".join(self._shared(end) for end in ends) or "an identifier of several people"
            case "not the dominant owner":
                return "several people share it, and another one is seen with it far more often"
            case "recycled":
                until = fact.get("valid_to")
                return "it was given to somebody else" + (f" after {until:%Y-%m-%d}" if until else " later")
            case "attribute veto":
                return "name and birth date of the two differ too much for one person"
            case "never linked":
                return self._never_linked(left, right)
            case "component guard":
                limits = [
                    f"{row[2]} {row[1].lower() if row[2] == 1 else _plural(row[1].lower())}"
                    for row in self._policy.values()
                    if row[2]
                ]
                return "a person may have at most " + ", ".join(limits) + "; stronger links came first"
        return reason

    def _accepted(self, left: Identifier, right: Identifier, fact: dict) -> str:
        if fact["kind"] == "manual":
            decision = self._decision(left, right)
            return f"batch {decision.batch_id} by {decision.decided_by}: {decision.reason}" if decision else "decided"
        if fact["kind"] == "probabilistic":
            return f"records look alike, probability {fact['probability']:.3f}"
        number = fact["observations"]
        return f"seen together in {number:,} record{'' if number == 1 else 's'}"

    def _verdict(self, end: Identifier) -> str | None:
        rows = self._connection.execute(
            "select rejected_because from identity_mapping.identity_identifiers where identifier_key = ?", [end.key]
        ).fetchall()
        return rows[0][0] if rows else None

    def _blocked(self, end: Identifier) -> str:
        for decision in self._decisions:
            if decision.kind == "block" and decision.left == (end.type, end.hash):
                return f"{end} is blocked by batch {decision.batch_id}: {decision.reason}"
        return f"{end} is a made-up value by the policy"

    def _shared(self, end: Identifier) -> str:
        [(owners,)] = self._connection.execute(
            "select owners from identity_mapping.identity_identifiers where identifier_key = ?", [end.key]
        ).fetchall()
        _, _, _, counted, allowed = self._policy[end.type]
        title = self._policy[counted][1].lower() if counted in self._policy else counted
        return f"{end} is seen with {owners} different {_plural(title)}, allowed are {allowed}"

    def _never_linked(self, left: Identifier, right: Identifier) -> str:
        decision = self._decision(left, right, NEVER_LINK)
        if decision:
            return f"batch {decision.batch_id} by {decision.decided_by}: {decision.reason}"
        return "it would bring together what a decision keeps apart; see `identity decisions`"

    def _decision(self, left: Identifier, right: Identifier, kind: str = "link"):
        ends = {(left.type, left.hash), (right.type, right.hash)}
        found = [one for one in self._decisions if one.kind == kind and {one.left, one.right} == ends]
        return found[-1] if found else None


def _plural(title: str) -> str:
    return title + ("es" if title.endswith("s") else "s")
