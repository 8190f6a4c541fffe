"""The commands `python -m tagloom identity review ...`: pairs that may be one person, and what somebody decides."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tagloom.settings import Settings

if TYPE_CHECKING:
    import duckdb

    from tagloom.identity.identifiers import Identifier
    from tagloom.identity.policy import Policy

SHOWN = 10
"""Pairs that `list` prints unless --limit says otherwise."""

_WORDS = ((8, "strongly for"), (3, "for"), (0.5, "slightly for"), (-0.5, "says nothing"), (-3, "slightly against"))
"""From this match weight (bits: 3 are odds of 8 to 1) the evidence is called so; below all of them see `in_words`."""

_STATUSES = ("review", "accepted", "declined")

_WHEN = "It takes effect with the next build of identity mapping; to build now, run the DAG build_tags."


class ReviewError(ValueError):
    """A pair cannot be shown or decided; the message says why and what to do."""


@dataclass(frozen=True)
class Pair:
    """Two persons that matching found to be alike."""

    left: Identifier
    right: Identifier
    probability: float
    status: str
    evidence: dict[str, float]
    """Attribute -> match weight in bits, as it was scored."""
    is_decided: bool
    """Somebody has decided on just these two identifiers."""

    @property
    def name(self) -> str:
        """What the command line calls the pair: it stays the same from build to build."""
        return hashlib.sha256(f"{self.left.hash}|{self.right.hash}".encode()).hexdigest()[:8]


def add(actions: argparse._SubParsersAction) -> None:
    """Add `review` and its actions to the actions of `identity`."""
    parser = actions.add_parser("review", help="decide on pairs that matching found to be alike")
    reviews = parser.add_subparsers(required=True, metavar="what")

    listing = reviews.add_parser("list", help="show pairs, the likeliest first, with masked values and the evidence")
    listing.add_argument("--status", choices=_STATUSES, default="review", help="which pairs (review)")
    listing.add_argument("--limit", type=int, default=SHOWN, help=f"at most so many ({SHOWN})")
    listing.set_defaults(function=_list)

    for action, help_text in (
        ("accept", "decide that the two are one person"),
        ("decline", "decide that the two are never one person, also of pairs that were linked"),
    ):
        deciding = reviews.add_parser(action, help=help_text)
        deciding.add_argument("pairs", nargs="+", metavar="PAIR", help="as `review list` names them")
        deciding.add_argument("--because", metavar="TEXT", help="why; without names, numbers or addresses")
        deciding.add_argument("--by", metavar="NAME", help="who decides; your login name if not given")
        deciding.set_defaults(function=_decide, action=action)

    learning = reviews.add_parser("retrain", help="learn the model anew from the present records at the next build")
    learning.set_defaults(function=_retrain)


def pairs(connection: duckdb.DuckDBPyConnection) -> list[Pair]:
    """What the last matching found, the likeliest first."""
    from tagloom.identity.identifiers import Identifier
    from tagloom.operations import create_operations_tables

    create_operations_tables(connection)
    columns = connection.execute(
        "select list(column_name) from duckdb_columns() where schema_name = 'operations' "
        "and table_name = 'identity_matches' and database_name = current_database()"
    ).fetchall()[0][0]
    if "evidence" not in columns:
        return []
    rows = connection.execute(
        """
        select
            one.identifier_key, left_type, left_hash, other.identifier_key, right_type, right_hash,
            probability, status, evidence,
            exists (
                select 1 from operations.identity_decisions as decisions
                where withdrawn_at is null and list_sort([decisions.left_hash, decisions.right_hash])
                    = list_sort([matches.left_hash, matches.right_hash])
            )
        from operations.identity_matches as matches
        inner join identity_mapping.identity_registry as one
            on left_type = one.identifier_type and left_hash = one.identifier_hash
        inner join identity_mapping.identity_registry as other
            on right_type = other.identifier_type and right_hash = other.identifier_hash
        order by probability desc, one.identifier_key, other.identifier_key
        """
    ).fetchall()
    return [
        Pair(Identifier(*row[:3]), Identifier(*row[3:6]), row[6], row[7], json.loads(row[8] or "{}"), row[9])
        for row in rows
    ]


def in_words(weight: float) -> str:
    """8.2 -> `strongly for`, -5.0 -> `against`."""
    for least, words in _WORDS:
        if weight >= least:
            return words
    return "against" if weight >= -8 else "strongly against"


def masked_value(value: str | None, kind: str) -> str:
    """A value that who knows the person recognises: of a date the year, of other texts the first and last letters."""
    from tagloom.samples import DOT, mask

    if value is None:
        return "-"
    if kind == "date":
        return value[:4] + DOT * 4
    return mask(value)


@contextmanager
def _warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    from tagloom.warehouse import open_warehouse

    if not settings.warehouse.exists():
        raise ReviewError("Nothing is built yet, so there is nothing to review; run `make demo` or build_tags first.")
    with open_warehouse(settings) as connection:
        yield connection


def _list(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.identity.policy import load_policy

    policy = load_policy()
    with _warehouse(settings) as connection:
        found = [
            pair
            for pair in pairs(connection)
            if pair.status == options.status and not (pair.status == "review" and pair.is_decided)
        ]
        shown = found[: options.limit]
        rows = compared(connection, policy, shown)
    if not found:
        reason = "" if policy.matching.enabled else "; matching is switched off in identity/policy.yml"
        print(f"no pair has the status {options.status}{reason}")
        return
    print("\n\n".join(_in_full(pair, rows[pair.name]) for pair in shown))
    print(f"\n{len(shown):,} of {len(found):,} pairs. To decide: identity review accept | decline {shown[0].name}")


def _values(
    connection: duckdb.DuckDBPyConnection, policy: Policy, shown: Sequence[Pair]
) -> dict[int, dict[str, str | None]]:
    """Identifier key -> attribute -> clear value of its person; only in memory."""
    from tagloom.identity.matching_model import KEY
    from tagloom.identity.matching_persons import PERSONS, collect_persons, in_memory

    names = policy.matching.attributes
    keys = [key for pair in shown for key in (pair.left.key, pair.right.key)]
    with in_memory(connection) as warehouse:
        collect_persons(connection, warehouse, policy)
        rows = connection.execute(
            f"""
            select members.identifier_key, {", ".join(f"persons.{name}" for name in names)}
            from members
            inner join {PERSONS} as persons on members.person_key = persons.{KEY}
            where list_contains($keys, members.identifier_key)
            """,
            {"keys": keys},
        ).fetchall()
    return {key: dict(zip(names, values, strict=True)) for key, *values in rows}


def compared(
    connection: duckdb.DuckDBPyConnection, policy: Policy, shown: Sequence[Pair]
) -> dict[str, list[tuple[str, str, str, str, str]]]:
    """Pair name -> attribute, masked value of one, of the other, what they are to each other, what that speaks for."""
    values = _values(connection, policy, shown) if shown else {}
    return {pair.name: _rows(pair, policy, values) for pair in shown}


def _rows(pair: Pair, policy: Policy, values: dict[int, dict[str, str | None]]) -> list[tuple[str, str, str, str, str]]:
    left, right = values.get(pair.left.key, {}), values.get(pair.right.key, {})
    rows = []
    for comparison in policy.matching.comparisons:
        weight = pair.evidence.get(comparison.attribute)
        for name in (comparison.attribute, comparison.together_with):
            if name is None:
                continue
            one, other = left.get(name), right.get(name)
            said = "(with the above)" if name != comparison.attribute else "" if weight is None else in_words(weight)
            agreement = _agreement(one, other, right.get(comparison.swapped_with))
            cells = [masked_value(value, comparison.kind) for value in (one, other)]
            rows.append((name, *cells, agreement, said))
    return rows


def _in_full(pair: Pair, rows: Sequence[tuple[str, str, str, str, str]]) -> str:
    from tagloom.text_table import text_table

    head = f"{pair.name}  {pair.probability:.3f}  {pair.left} and {pair.right}"
    table = text_table(("", "one", "the other", "they are", "which speaks"), rows)
    return head + "\n" + "\n".join(f"  {line}" for line in table.splitlines())


def _agreement(one: str | None, other: str | None, swapped: str | None) -> str:
    if one is not None and one == other:
        return "the same"
    if one is not None and one == swapped:
        return "swapped"
    return "not known" if one is None or other is None else "different"


def _decide(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.identity import decisions
    from tagloom.identity.identifiers import login_name

    with _warehouse(settings) as connection:
        known = {pair.name: pair for pair in pairs(connection)}
        unknown = [name for name in options.pairs if name not in known]
        if unknown:
            raise ReviewError(f"There is no pair {', '.join(unknown)}; `identity review list` names those there are.")
        chosen = [known[name] for name in dict.fromkeys(options.pairs)]
        accepts = options.action == "accept"
        make = decisions.link if accepts else decisions.never_link
        drafts = [draft for pair in chosen for draft in make(pair.left, pair.right)]
        because = options.because or f"reviewed: {'the same person' if accepts else 'two persons'}"
        batch = decisions.write(connection, drafts, because, options.by or login_name())
    number = len(chosen)
    verdict = "one person" if accepts else "never one person"
    print(f"batch {batch}: {number} pair{'' if number == 1 else 's'} {'is' if number == 1 else 'are'} {verdict}.")
    print(f"{_WHEN} To take it back: identity withdraw {batch}")


def _retrain(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom import layer_state
    from tagloom.identity.matching import model_path
    from tagloom.identity.policy import load_policy

    matching = load_policy().matching
    with _warehouse(settings) as connection:
        # No layer is any more what a build would make now, so the next one does not skip identity mapping.
        layer_state.last_build(connection)
        layer_state.note_update(connection)
    model_path(settings.home, matching).unlink(missing_ok=True)
    off = "" if matching.enabled else " Matching is switched off in identity/policy.yml; switch it on first."
    print(f"The model is forgotten and learned anew by the next run of build_tags.{off}")
