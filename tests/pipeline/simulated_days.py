"""Days that go by without anything wrong, lived through in one process of `dag_runs`.

Each day its deliveries land, and what landed is checked and reported as of that day. Then the facts are built, once for
all days: a day's facts do not change afterwards. As of each day, in order, every monitor of the channels judges them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

EVERYTHING_ELSE = ("staging", "identity_mapping", "intermediate")
"""Layers that the monitors' facts are made of."""


def live(first_day: str, days: int) -> dict:
    """Live through the days from `first_day`; what came before them lands at once.

    Returns what was not well: `checks` and `alarms`, sentences with their day; and how much was looked at: `checked`,
    `judged` (verdicts that had enough days to go by); `told`, the subjects of what would have been mailed.
    """
    from tagloom.alerting.book import open_book
    from tagloom.landing.land import land_source
    from tagloom.orchestration.build import CONTRACTS
    from tagloom.quality import check_layer, record_results
    from tagloom.settings import load_settings
    from tagloom.sources import load_sources
    from tagloom.transform import build_layer
    from tagloom.warehouse import open_warehouse

    settings, first = load_settings(), date.fromisoformat(first_day)
    sources = load_sources(settings.sources)
    lived = [first + timedelta(days=number) for number in range(days)]
    checks, checked = [], 0
    with open_warehouse(settings) as connection:
        for source in sources:
            land_source(connection, settings, source, first - timedelta(days=100), first, "before")
        for day in lived:
            for source in sources:
                # The evening in New York is in the deliveries of the next day.
                land_source(connection, settings, source, day, day + timedelta(days=2), f"day {day}")
            results = check_layer(connection, CONTRACTS, "landing", f"day {day}", day)
            record_results(connection, results)
            _report_checks(settings, results, day)
            checked += len(results)
            checks += [
                f"{day} {one.outcome}: {one.table}: {one.name}: {one.measured_text} {one.problem}"
                for one in results
                if one.outcome != "passed"
            ]
    for layer in EVERYTHING_ELSE:
        build_layer(settings, layer, lived[-1])
    alarms, judged = _judge(settings, lived)
    with open_book(settings.alert_book) as book:
        told = [row[0] for row in book.execute("select subject from alerts").fetchall()]
    return {"checks": checks, "checked": checked, "alarms": alarms, "judged": judged, "told": told}


def _judge(settings, days: list[date]) -> tuple[list[str], int]:
    from tagloom.monitoring.declarations import load_monitors
    from tagloom.monitoring.watch import watch
    from tagloom.warehouse import open_warehouse

    monitors, alarms, judged = load_monitors(), [], 0
    with open_warehouse(settings) as connection:
        for day in days:
            for found in watch(connection, monitors, day):
                judged += found.verdict.expected is not None
                if found.verdict.is_alarming:
                    alarms.append(f"{day}: {found.monitor.name}, {found.part}: {found.sentence}")
    return alarms, judged


def _report_checks(settings, results: list, day: date) -> None:
    from tagloom.alerting.messages import Alert
    from tagloom.alerting.report import Desk, report, write_digest
    from tagloom.alerting.routing import load_routing

    zone = ZoneInfo(settings.time_zone)
    desk = Desk(settings.alert_book, load_routing(), settings.alert_recipients, zone)
    alert = Alert(f"day {day}", day, "build_tags", "landing", "checks of landing", results=tuple(results))
    evening = datetime.combine(day, time(23), UTC)
    report(desk, "checks of landing", alert, evening)
    write_digest(desk, evening)
