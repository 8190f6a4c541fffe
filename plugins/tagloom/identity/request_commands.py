"""The command `python -m tagloom identity carry-out`: does what stewards asked for in the portal."""

from __future__ import annotations

import argparse
import sys

from tagloom.settings import Settings


def add(actions: argparse._SubParsersAction) -> None:
    """Add `carry-out` to the actions of `identity`."""
    parser = actions.add_parser(
        "carry-out",
        help="do what was asked for in the portal: decisions, withdrawals, simulations",
        description="Writes decisions that were taken in the portal while the warehouse was in use, runs simulations "
        "that were asked for there, and renews what the portal shows of suspects, reviews and channels. The DAG "
        "steer_identity does the same every few minutes.",
    )
    parser.add_argument("--no-simulations", action="store_true", help="leave simulations, which take minutes")
    parser.set_defaults(function=_carry_out)


def _carry_out(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.portal.store.base import open_store
    from tagloom.steering.notes import take_notes
    from tagloom.steering.requests import carry_out_decisions, carry_out_simulation

    with open_store(settings).session() as session:
        done = carry_out_decisions(settings, session, patiently=True)
        while not options.no_simulations:
            request = carry_out_simulation(settings, session, say=lambda text: print(text, file=sys.stderr, flush=True))
            if request is None:
                break
            done.append(request)
        taken = take_notes(settings, session)
        for request in done:
            print(f"request {request.id}, {request.kind}: {request.status}. {request.answer}")
        session.commit()
    if not done:
        print("nothing was asked for")
    if taken:
        print(f"renewed for the portal: {', '.join(taken)}")
