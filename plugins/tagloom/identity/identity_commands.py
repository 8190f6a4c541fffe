"""The commands `python -m tagloom identity ...`: what is decided, explained, suspected and tried about who is who."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tagloom.identity import decision_file_commands, request_commands, review_commands
from tagloom.settings import Settings, identity_key

if TYPE_CHECKING:
    import duckdb

    from tagloom.identity.decisions import Draft
    from tagloom.identity.explain import Explanation, Portrait, Step
    from tagloom.identity.identifiers import Identifier

SHOWN = 20
"""Rows of a list that are printed unless --limit says otherwise."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

IDENTIFIERS = """An identifier is written as its type and its value, phone:+16125550100, email:ann@example.com,
loyalty_card:200000123, in any spelling, or as its number, key:123; a person as person:42. Values are hashed before
anything is looked up and are written nowhere."""

_WHEN = "It takes effect with the next build or update of identity mapping; to build now, run the DAG build_tags."


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its actions to the command line."""
    parser = commands.add_parser(
        "identity",
        help="who is who: explain it, correct it, try another policy",
        description="Explains and corrects who is who. " + IDENTIFIERS,
    )
    actions = parser.add_subparsers(required=True, metavar="action")

    linking = _action(actions, "link", "decide that two identifiers are one person's, against every guard", _link)
    _add_pair(linking)
    _add_signature(linking)

    parting = _action(actions, "never-link", "decide that two identifiers are never one person's", _never_link)
    _add_pair(parting)
    _add_signature(parting)

    blocking = _action(actions, "block", "decide that an identifier says nothing about anybody", _block)
    blocking.add_argument("identifier", metavar="A", help="for example phone:+16125550100 or key:123")
    _add_signature(blocking)

    splitting = _action(actions, "split", "let identifiers leave a person, together", _split)
    splitting.add_argument("person", metavar="PERSON", help="for example person:42")
    splitting.add_argument("identifiers", nargs="+", metavar="A", help="identifiers of the other person in it")
    _add_signature(splitting)

    listing = _action(actions, "decisions", "list the decisions that hold", _decisions)
    listing.add_argument("--all", action="store_true", help="also those that were withdrawn")
    decision_file_commands.add(listing)

    withdrawing = _action(actions, "withdraw", "take a batch of decisions back", _withdraw)
    withdrawing.add_argument("batch", type=int, metavar="BATCH", help="number, as `decisions` lists it")
    withdrawing.add_argument("--by", metavar="NAME", help="who decides; your login name if not given")

    explaining = _action(actions, "explain", "show what joins two identifiers, what parts them, or a person", _explain)
    explaining.add_argument("one", metavar="A", help="an identifier, or person:42")
    explaining.add_argument("other", nargs="?", metavar="B", help="a second identifier")
    explaining.add_argument("--limit", type=int, default=SHOWN, help=f"identifiers of a person to print ({SHOWN})")

    suspecting = _action(actions, "suspects", "list identifiers that join more people than they should", _suspects)
    suspecting.add_argument("--limit", type=int, default=SHOWN, help=f"at most so many ({SHOWN})")

    simulating = _action(
        actions, "simulate", "try another policy or decisions on a copy and show the changes", _simulate
    )
    simulating.add_argument(
        "--policy", type=Path, metavar="FILE", help="the policy to try; the present one if not given"
    )
    simulating.add_argument(
        "--decisions",
        type=Path,
        metavar="FILE",
        help="decisions to try, one a line as on the command line: never-link key:12 key:99",
    )
    simulating.add_argument(
        "--only-identity", action="store_true", help="compare persons only, not tags and audiences; faster"
    )
    review_commands.add(actions)
    request_commands.add(actions)


def _action(actions: argparse._SubParsersAction, name: str, help_text: str, function) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=help_text, description=f"{help_text.capitalize()}. {IDENTIFIERS}")
    parser.set_defaults(function=function)
    return parser


def _add_pair(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("left", metavar="A", help="for example phone:+16125550100 or key:123")
    parser.add_argument("right", metavar="B", help="another identifier")


def _add_signature(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--because", required=True, metavar="TEXT", help="why; without names, numbers or addresses")
    parser.add_argument("--by", metavar="NAME", help="who decides; your login name if not given")


@contextmanager
def _warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    from tagloom.identity.identifiers import IdentifierError
    from tagloom.warehouse import open_warehouse

    if not settings.warehouse.exists():
        raise IdentifierError("Nothing is built yet, so nobody is known; run `make demo` or build_tags first.")
    with open_warehouse(settings) as connection:
        yield connection


def _find(connection: duckdb.DuckDBPyConnection, *texts: str) -> list[Identifier]:
    from tagloom.identity.identifiers import find_identifier
    from tagloom.identity.policy import POLICY_FILE, load_policy

    policy = load_policy(POLICY_FILE)
    return [find_identifier(connection, text, policy, identity_key()) for text in texts]


def _link(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.identity import decisions

    with _warehouse(settings) as connection:
        _write(connection, decisions.link(*_find(connection, options.left, options.right)), options)


def _never_link(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.identity import decisions

    with _warehouse(settings) as connection:
        _write(connection, decisions.never_link(*_find(connection, options.left, options.right)), options)


def _block(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.identity import decisions

    with _warehouse(settings) as connection:
        _write(connection, decisions.block(*_find(connection, options.identifier)), options)


def _split(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.identity import decisions
    from tagloom.identity.identifiers import find_person

    with _warehouse(settings) as connection:
        person = find_person(connection, options.person)
        _write(connection, decisions.split(connection, person, _find(connection, *options.identifiers)), options)


def _write(connection: duckdb.DuckDBPyConnection, drafts: list[Draft], options: argparse.Namespace) -> None:
    from tagloom.identity import decisions
    from tagloom.identity.identifiers import login_name

    batch = decisions.write(connection, drafts, options.because, options.by or login_name())
    owners = _owners(connection, drafts)
    print(f"batch {batch}:")
    for draft in drafts:
        ends = [draft.left, *([draft.right] if draft.right else [])]
        print(f"  {draft.kind} " + " and ".join(f"{end}, {owners[end]}" for end in ends))
    print(f"{_WHEN} To take it back: identity withdraw {batch}")


def _owners(connection: duckdb.DuckDBPyConnection, drafts: list[Draft]) -> dict[Identifier, str]:
    ends = {end for draft in drafts for end in (draft.left, draft.right) if end}
    rows = connection.execute(
        "select identifier_key, person_id from identity_mapping.identity_map "
        "where list_contains($keys, identifier_key)",
        {"keys": [end.key for end in ends]},
    ).fetchall()
    persons = dict(rows)
    return {end: f"of person {persons[end.key]}" if end.key in persons else "of nobody" for end in ends}


def _decisions(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.identity.decisions import decisions_with_state
    from tagloom.text_table import text_table

    with _warehouse(settings) as connection:
        found = decisions_with_state(connection, with_withdrawn=options.all)
    if not found:
        print("nothing is decided" if options.all else "no decision holds")
        return
    rows = [
        (
            *(str(decision.batch_id), decision.sentence, decision.state, decision.reason),
            *(decision.decided_by, f"{decision.decided_at:%Y-%m-%d %H:%M}"),
        )
        for decision in found
    ]
    print(text_table(("batch", "decision", "state", "because", "by", "at (UTC)"), rows, widest=60))


def _withdraw(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.identity import decisions
    from tagloom.identity.identifiers import login_name

    with _warehouse(settings) as connection:
        taken_back = decisions.withdraw(connection, options.batch, options.by or login_name())
    print(f"batch {options.batch} is withdrawn:")
    for decision in taken_back:
        print(f"  {decision.sentence}")
    print(_WHEN)


def _explain(settings: Settings, options: argparse.Namespace) -> int:
    from tagloom.identity.explain import explain, portrait
    from tagloom.identity.identifiers import IdentifierError, find_person

    with _warehouse(settings) as connection:
        if options.other is None:
            person = _person(connection, options.one)
            if person is None:
                print(f"{_find(connection, options.one)[0]} is of nobody")
                return 0
            print(_portrait(portrait(connection, person), options.limit))
            return 0
        if options.one.startswith("person:") or options.other.startswith("person:"):
            for text in (options.one, options.other):
                if text.startswith("person:"):
                    find_person(connection, text)
            raise IdentifierError(
                "Explain one person, or two identifiers; `explain person:42` lists those of a person."
            )
        print(_explanation(explain(connection, *_find(connection, options.one, options.other))))
    return 0


def _person(connection: duckdb.DuckDBPyConnection, text: str) -> int | None:
    from tagloom.identity.identifiers import find_person

    if text.startswith("person:"):
        return find_person(connection, text)
    [identifier] = _find(connection, text)
    rows = connection.execute(
        "select person_id from identity_mapping.identity_map where identifier_key = ?", [identifier.key]
    ).fetchall()
    return rows[0][0] if rows else None


def _explanation(found: Explanation) -> str:
    from tagloom.text_table import text_table

    ends = f"{found.left} and {found.right}"
    if found.left == found.right:
        return f"Both are {found.left}, {_of(found.left_person)}."
    if found.joined:
        number = len(found.steps)
        head = f"{ends} are joined by {number} link{'' if number == 1 else 's'}, {_of(found.left_person)}."
    else:
        head = f"{ends} are not joined: the first is {_of(found.left_person)}, the second {_of(found.right_person)}."
        if not found.steps:
            return head + " No record leads from one to the other, not even over a refused link."
        refused = sum(step.rejected_because is not None for step in found.steps)
        head += f" The best way from one to the other has {refused} refused link{'' if refused == 1 else 's'}:"
    rows = [
        (
            *(str(step.left), str(step.right), step.rejected_because or "linked", step.strength),
            *(", ".join(step.sources), _day(step.first_seen_at), _day(step.last_seen_at), step.why),
        )
        for step in found.steps
    ]
    headings = ("from", "to", "verdict", "strength", "sources", "first seen", "last seen", "why")
    return head + "\n\n" + text_table(headings, rows, widest=100)


def _of(person: int | None) -> str:
    return "of nobody" if person is None else f"of person {person}"


def _portrait(found: Portrait, limit: int) -> str:
    from tagloom.text_table import text_table

    parts = []
    if not found.members:
        heir = f"; who it was is person {found.survivor} now" if found.survivor else ""
        parts.append(f"Person {found.person} is retired{heir}.")
    else:
        number = len(found.members)
        parts.append(
            f"Person {found.person} consists of {number} identifier{'' if number == 1 else 's'}, held together by "
            f"their strongest links; {found.anchor} is the anchor that the number stays with."
        )
        rows = [
            (
                *(f"key:{member.identifier.key}", member.identifier.type, _masked(member.identifier), member.records),
                *(_day(member.first_seen_at), _day(member.last_seen_at), *_held_by(member.by)),
            )
            for member in found.members[:limit]
        ]
        headings = ("key", "type", "hash", "records", "first seen", "last seen", "held by", "strength", "why")
        parts.append(text_table(headings, rows, widest=80))
        if number > limit:
            parts.append(f"{number - limit:,} more; --limit {number} prints all.")
    if found.changes:
        parts.append(text_table(("day", "change", "because"), found.changes[:SHOWN], widest=100))
    return "\n\n".join(parts)


def _held_by(step: Step | None) -> tuple[str, int | None, str]:
    if step is None:
        return "(anchor)", None, ""
    sources = f" of {', '.join(step.sources)}" if step.sources else ""
    return f"key:{step.left.key}", step.strength, step.why + sources


def _masked(identifier: Identifier) -> str:
    from tagloom.identity.identifiers import masked

    return masked(identifier.hash)


def _day(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%d}" if moment else None


def _suspects(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.identity.suspects import suspects
    from tagloom.text_table import text_table

    with _warehouse(settings) as connection:
        found, number = suspects(connection, options.limit)
    if not found:
        print("no identifier is suspect")
        return
    rows = [(one.identifier, one.persons, one.records, one.because, one.command) for one in found]
    print(text_table(("identifier", "persons", "records", "because", "proposal"), rows, widest=100))
    print(f"\n{len(found):,} of {number:,}. Look at one with: identity explain key:{found[0].identifier.key}")


def _simulate(settings: Settings, options: argparse.Namespace) -> int:
    from tagloom.identity.policy import POLICY_FILE, load_policy
    from tagloom.identity.simulate import simulate
    from tagloom.identity.simulation_report import report

    policy = load_policy(options.policy or POLICY_FILE)
    try:
        found = simulate(
            settings,
            policy,
            options.decisions,
            only_identity=options.only_identity,
            say=lambda text: print(text, file=sys.stderr, flush=True),
        )
    except KeyboardInterrupt:
        print("Stopped; the copy is removed and nothing was changed.", file=sys.stderr)
        return INTERRUPTED
    print(report(found))
    return 0
