"""The commands `python -m tagloom alerts list | show | acknowledge | holds | release | check`."""

from __future__ import annotations

import argparse
import getpass
from datetime import UTC, datetime

from tagloom.settings import Settings

ENDED = 20
"""How many ended incidents `list --all` shows."""


SHOWN_NAMES = 12
"""Of a long list of tags `holds` names so many and counts the others."""


class AlertError(ValueError):
    """The command cannot be followed; the message says why and what can be done."""


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its actions to the command line."""
    parser = commands.add_parser("alerts", help="see what is wrong and who was told, say that you work on it")
    actions = parser.add_subparsers(required=True, metavar="action")

    listing = actions.add_parser("list", help="what is wrong now, and which mails wait")
    listing.add_argument("--all", action="store_true", help=f"also the last {ENDED} incidents that have ended")
    listing.set_defaults(function=_list)

    show = actions.add_parser("show", help="one incident, and who was told of it when")
    show.add_argument("number", type=int, metavar="N", help="as `list` names it")
    show.set_defaults(function=_show)

    acknowledge = actions.add_parser("acknowledge", help="say that you work on it: there are no reminders any more")
    acknowledge.add_argument("number", type=int, metavar="N", help="as `list` names it")
    acknowledge.add_argument("--because", required=True, metavar="TEXT", help="what is being done")
    acknowledge.add_argument("--by", default=getpass.getuser(), help="who does it; default: your user name")
    acknowledge.set_defaults(function=_acknowledge)

    holds = actions.add_parser("holds", help="what is held back because something it is made of is wrong")
    holds.add_argument("--released", action="store_true", help="also who released what, and why")
    holds.set_defaults(function=_holds)

    release = actions.add_parser("release", help="let one audience or export go although something is wrong")
    release.add_argument("subject", metavar="SUBJECT", help="audience:12, export:3, or the name of a dbt audience")
    release.add_argument("--because", required=True, metavar="TEXT", help="why it is right to use it all the same")
    release.add_argument("--by", default=getpass.getuser(), help="who decides it; default: your user name")
    release.set_defaults(function=_release)

    check = actions.add_parser("check", help="read alerts/routing.yml and say who hears of everything")
    check.set_defaults(function=_check)


def _list(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.alerting.book import open_book, open_incidents, resolved_incidents, waiting
    from tagloom.alerting.wording import in_words
    from tagloom.text_table import text_table

    with open_book(settings.alert_book) as book:
        wrong = open_incidents(book)
        ended = resolved_incidents(book, ENDED) if options.all else []
        mails = waiting(book, datetime.max.replace(tzinfo=UTC))
    if wrong:
        rows = [
            (
                incident.incident_id,
                incident.finding.severity,
                in_words(incident.finding.kind, incident.finding.sentence),
                incident.finding.table or None,
                f"{incident.opened_at:%Y-%m-%d %H:%M}",
                incident.runs_seen,
                incident.acknowledged_by or None,
            )
            for incident in wrong
        ]
        print(text_table(("no.", "severity", "what", "table", "since (UTC)", "runs", "acknowledged by"), rows))
    else:
        print("Nothing is wrong.")
    if ended:
        rows = [
            (
                row["incident_id"],
                row["severity"],
                in_words(row["kind"], row["sentence"]),
                row["opened_at"][:16],
                row["resolved_at"][:16],
            )
            for row in ended
        ]
        print("\n" + text_table(("no.", "severity", "what has ended", "from (UTC)", "to (UTC)"), rows))
    if mails:
        tried = max(mail.attempts for mail in mails)
        what = "mails and messages wait" if len(mails) > 1 else "mail or message waits"
        print(f"\n{len(mails)} {what}" + (f", tried up to {tried} times." if tried else "."))


def _show(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.alerting.book import history, open_book
    from tagloom.alerting.wording import in_words
    from tagloom.text_table import text_table

    try:
        with open_book(settings.alert_book) as book:
            found = history(book, options.number)
    except KeyError as error:
        raise AlertError(error.args[0]) from error
    (incident,) = found["incident"]
    incident = incident | {"sentence": in_words(incident["kind"], incident["sentence"])}
    names = {
        "sentence": "what",
        "severity": "severity",
        "scope": "found by",
        "table_name": "table",
        "owner": "owner",
        "opened_at": "since (UTC)",
        "opened_run": "first run",
        "last_seen_at": "last seen (UTC)",
        "runs_seen": "runs",
        "acknowledged_by": "acknowledged by",
        "acknowledgement": "because",
        "resolved_at": "ended (UTC)",
    }
    for name, title in names.items():
        if incident[name] not in (None, ""):
            print(f"{title + ':':<18}{incident[name]}")
    rows = [
        (row["kind"], row["recipient"], row["due_at"][:16], (row["sent_at"] or "")[:16] or None, row["problem"] or None)
        for row in found["told"]
    ]
    print(
        "\n" + text_table(("told", "whom", "due (UTC)", "sent (UTC)", "problem"), rows)
        if rows
        else "\nNobody was told."
    )


def _acknowledge(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.alerting.book import acknowledge, open_book

    try:
        with open_book(settings.alert_book) as book:
            acknowledge(book, options.number, options.by, options.because, datetime.now(UTC))
    except KeyError as error:
        raise AlertError(error.args[0]) from error
    print(f"Incident {options.number}: no reminders any more; its end is told all the same.")


def _holds(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.alerting.holds import open_holds, overrides, users_of_tags
    from tagloom.text_table import text_table

    holds = open_holds(settings)
    for hold in holds:
        print(f"Incident {hold.incident_id}, since {hold.since:%Y-%m-%d %H:%M} UTC: {hold.reason}")
        held = {
            "tag": sorted(hold.tags),
            **{kind: sorted(names) for kind, names in sorted(hold.others.items()) if kind != "table"},
            "user of them": users_of_tags(settings, hold.tags),
        }
        for kind, names in held.items():
            if names:
                shown = ", ".join(names[:SHOWN_NAMES])
                more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
                print(f"  {kind + 's:' if kind != 'user of them' else 'users of them:':<15}{shown}{more}")
    if not holds:
        print("Nothing is held.")
    released = overrides(settings) if options.released else []
    if released:
        rows = [(f"{one.at:%Y-%m-%d %H:%M}", one.subject, one.incident_id, one.by, one.because) for one in released]
        print("\n" + text_table(("released (UTC)", "subject", "incident", "by", "because"), rows))


def _release(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.alerting.holds import HoldError, override

    try:
        number = override(settings, options.subject, options.because, options.by)
    except HoldError as error:
        raise AlertError(str(error)) from error
    if number:
        print(f"{options.subject}: released from {number} incident{'s' if number != 1 else ''}; the next run sends it.")
    else:
        print(f"{options.subject}: nothing holds it that it was not released from before.")


def _check(settings: Settings, options: argparse.Namespace) -> None:
    from tagloom.alerting.routing import load_routing

    routing = load_routing()
    everybody = ", ".join(routing.recipients or settings.alert_recipients)
    print(f"Everything goes to {everybody}" + (", and to owners what is theirs." if routing.tell_owners else "."))
    for number, route in enumerate(routing.routes, start=1):
        whom = ", ".join([*route.to, *route.webhooks]) or "nobody"
        when = route.when.model_dump(exclude_defaults=True) or "everything"
        print(f"Route {number}: {when} goes {'only ' if route.instead else 'also '}to {whom}.")
