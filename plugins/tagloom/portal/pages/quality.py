"""How far the data can be trusted: checks, freshness, quarantine, incidents, channels, and what is held back.

Reads the quality book and the alert book, which can be read while a task has the warehouse; both may be absent.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from tagloom import quality_book
from tagloom.alerting import book, holds
from tagloom.alerting.holds import Hold, HoldError
from tagloom.portal.errors import ConflictError, NotFoundError, PortalError
from tagloom.portal.page import Page, page_of
from tagloom.portal.rights import needs

router = APIRouter()

LAYERS = ("landing", "staging", "identity_mapping", "intermediate", "tag_category", "tag_integration", "serving")

DAYS = 30
"""Days of data that trends show."""

OUTCOMES = ("failed", "not evaluated", "warned", "passed")

RELEASED = "hold released"
ACKNOWLEDGED = "incident acknowledged"
"""Actions in the audit log."""

LONGEST_REASON = 500


@dataclass(frozen=True)
class Held:
    """An audience or export, and what holds it now."""

    subject: str
    """As holds call it: audience:7, export:3, or the name of a dbt audience, report or export."""
    kind: str
    """audience, export or report"""
    name: str
    path: str
    """Page of the portal that shows it; empty when there is none."""
    holds: list[Hold]
    """In force; empty when it was released from all."""
    released: list[Hold]
    """Would hold it, but somebody has released it."""


@router.get("/quality", dependencies=[needs("see")])
def overview(page: Page = Depends(page_of)) -> Response:
    """Show scores of layers and tables, what is wrong now, and how fresh every source is."""
    trend = quality_book.layer_trend(page.settings, DAYS)
    newest = {one.layer: one for one in trend}
    layers = sorted(newest.values(), key=lambda one: LAYERS.index(one.layer) if one.layer in LAYERS else 99)
    days = sorted({one.as_of_date for one in trend})
    scores = {(one.as_of_date, one.layer): one.score for one in trend}
    tables = quality_book.latest_tables(page.settings)
    return page.render(
        "quality/overview.html",
        tabs=_tabs(page),
        layers=layers,
        days=[day.isoformat() for day in days],
        series=[{"name": one.layer, "values": [scores.get((day, one.layer)) for day in days]} for one in layers],
        worst=[one for one in tables if one.score < 100][:12],
        table_number=len(tables),
        incidents=_open_incidents(page),
        held=[one for one in _held(page) if one.holds],
        landings=_freshness(page),
        quarantined=sum(one.rows for one in quality_book.quarantine(page.settings)),
    )


@router.get("/quality/checks", dependencies=[needs("see")])
def checks(layer: str = "", outcome: str = "", table: str = "", page: Page = Depends(page_of)) -> Response:
    """List the newest result of every check; of one table also its score over time."""
    results = quality_book.latest(page.settings)
    layers = [name for name in LAYERS if any(one.layer == name for one in results)]
    shown = [
        one
        for one in results
        if (not layer or one.layer == layer)
        and (not outcome or one.outcome == outcome)
        and (not table or one.table == table)
    ]
    counts: dict[str, int] = defaultdict(int)
    for one in results:
        if (not layer or one.layer == layer) and (not table or one.table == table):
            counts[one.outcome] += 1
    trend = quality_book.table_trend(page.settings, table, DAYS) if table else []
    return page.render(
        "quality/checks.html",
        tabs=_tabs(page),
        layer=layer,
        layers=layers,
        outcome=outcome,
        outcomes=[name for name in OUTCOMES if counts.get(name)],
        counts=counts,
        table=table,
        results=shown,
        heat=_heat(page, layer) if not table else None,
        trend=trend,
        trend_days=[one.as_of_date.isoformat() for one in trend],
    )


@router.get("/quality/checks/{contract:path}", dependencies=[needs("see")])
def check(contract: str, name: str = "", page: Page = Depends(page_of)) -> Response:
    """Show one check: what it promises, what it measured over time, what to do."""
    found = [one for one in quality_book.latest(page.settings) if one.contract == contract and one.name == name]
    if not found:
        raise NotFoundError(page.t("There is no such check."), page.t("It may have been renamed since its last run."))
    trend = quality_book.check_trend(page.settings, contract, name, 3 * DAYS)
    return page.render(
        "quality/check.html",
        tabs=_tabs(page),
        check=found[0],
        trend=trend,
        trend_days=[day.isoformat() for day, _ in trend],
        trend_values=[measured for _, measured in trend],
    )


@router.get("/quality/quarantine", dependencies=[needs("see")])
def quarantine(page: Page = Depends(page_of)) -> Response:
    """Show how many rows wait in quarantine, by table and reason."""
    reasons = quality_book.quarantine(page.settings)
    tables = sorted({f"{one.source}.{one.table_name}" for one in reasons})
    rows = {(f"{one.source}.{one.table_name}", one.reason): one.rows for one in reasons}
    return page.render(
        "quality/quarantine.html",
        tabs=_tabs(page),
        reasons=reasons,
        tables=tables,
        series=[
            {"name": reason, "values": [rows.get((table, reason), 0) for table in tables]}
            for reason in sorted({one.reason for one in reasons})
        ],
    )


@router.get("/quality/incidents", dependencies=[needs("see")])
def incidents(page: Page = Depends(page_of)) -> Response:
    """List what is wrong now, what was, and who was told of it."""
    with book.read_book(page.settings.alert_book) as opened:
        resolved = book.resolved_incidents(opened, 50)
        alerts = _alerts(opened)
    return page.render(
        "quality/incidents.html", tabs=_tabs(page), incidents=_open_incidents(page), resolved=resolved, alerts=alerts
    )


@router.get("/quality/incidents/{number:int}", dependencies=[needs("see")])
def incident(number: int, page: Page = Depends(page_of)) -> Response:
    """Show one incident: since when, who was told, who works on it, what it holds."""
    with book.read_book(page.settings.alert_book) as opened:
        try:
            history = book.history(opened, number)
        except KeyError:
            raise NotFoundError(page.t("There is no incident {number}.", number=number)) from None
        dependents = _dependents(opened, number)
    return page.render(
        "quality/incident.html",
        tabs=_tabs(page),
        incident=history["incident"][0],
        told=history["told"] if page.may("override") else [],
        dependents=dependents,
        longest=LONGEST_REASON,
    )


@router.post("/quality/incidents/{number:int}/acknowledge", dependencies=[needs("override")])
def acknowledge(number: int, page: Page = Depends(page_of)) -> Response:
    """Note that somebody works on an incident: there are no reminders any more."""
    note = _reason(page)
    with book.open_book(page.settings.alert_book) as opened:
        try:
            book.acknowledge(opened, number, page.user.name, note, datetime.now(UTC))
        except KeyError:
            raise ConflictError(page.t("The incident is over, or there is none.")) from None
    page.audit(ACKNOWLEDGED, f"incident:{number}", note)
    return page.redirect(f"/quality/incidents/{number}", page.t("Noted: you work on it. There are no more reminders."))


@router.get("/quality/channels", dependencies=[needs("see")])
def channels(page: Page = Depends(page_of)) -> Response:
    """Draw what channels achieve against what is usual, the alarming ones first."""
    from tagloom.steering.notes import CHANNELS, read_note

    rows, taken_at = read_note(page.store, CHANNELS)
    return page.render(
        "quality/channels.html",
        tabs=_tabs(page),
        channels=sorted((_channel(page, row) for row in rows), key=_order_of_channels),
        taken_at=taken_at,
    )


@router.get("/quality/holds", dependencies=[needs("see")])
def held(page: Page = Depends(page_of)) -> Response:
    """List what open incidents hold back, what was released, and the log of releases."""
    found = _held(page)
    in_force = holds.open_holds(page.settings)
    return page.render(
        "quality/holds.html",
        tabs=_tabs(page),
        held=found,
        names={one.subject: one.name for one in found},
        open_holds=in_force,
        open_tags=sorted({tag for hold in in_force for tag in hold.tags}),
        log=holds.overrides(page.settings),
        longest=LONGEST_REASON,
    )


@router.post("/quality/holds", dependencies=[needs("override")])
def release(page: Page = Depends(page_of)) -> Response:
    """Release an audience or export from what holds it now; a later incident holds it again."""
    reason = _reason(page)
    subject = str(page.form.get("subject", ""))
    found = next((one for one in _held(page) if one.subject == subject), None)
    if found is None or not found.holds:
        raise ConflictError(page.t("Nothing holds this any more."))
    try:
        number = holds.override(page.settings, subject, reason, page.user.name)
    except HoldError as error:
        raise PortalError(str(error)) from error
    page.audit(RELEASED, subject, reason)
    return page.redirect(
        "/quality/holds", page.t("{name} is released from {number} incidents.", name=found.name, number=number)
    )


def _tabs(page: Page) -> list[tuple[str, str, bool]]:
    entries = (
        ("Overview", "/quality"),
        ("Checks", "/quality/checks"),
        ("Quarantine", "/quality/quarantine"),
        ("Incidents", "/quality/incidents"),
        ("Channels", "/quality/channels"),
        ("Held back", "/quality/holds"),
    )
    here = max((path for _, path in entries if page.path.startswith(path)), key=len)
    return [(page.t(title), path, path == here) for title, path in entries]


def _reason(page: Page) -> str:
    reason = str(page.form.get("reason", "")).strip()
    if not reason:
        raise PortalError(page.t("Say why: whoever looks at it in a year was not there."))
    if len(reason) > LONGEST_REASON:
        raise PortalError(page.t("The reason is longer than {most} characters.", most=LONGEST_REASON))
    return reason


def _open_incidents(page: Page) -> list[book.Incident]:
    """What is wrong now: failures first, then the oldest."""
    with book.read_book(page.settings.alert_book) as opened:
        found = book.open_incidents(opened)
    return sorted(found, key=lambda one: (one.finding.severity != "failed", one.opened_at))


def _alerts(opened: Any, limit: int = 100) -> list[dict[str, Any]]:
    """Mails and messages, newest first, with how many were sent and wait; nobody's address."""
    cursor = opened.execute(
        """
        select alerts.kind, alerts.severity, alerts.subject, alerts.created_at,
            count(delivery_id) as deliveries, count(sent_at) as sent, max(problem) as problem
        from alerts left join deliveries using (alert_id)
        group by alert_id order by alert_id desc limit ?
        """,
        [limit],
    )
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _dependents(opened: Any, number: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for kind, name in opened.execute(
        "select kind, name from incident_dependents where incident_id = ? order by kind, name", [number]
    ):
        found[kind].append(name)
    return dict(found)


def _freshness(page: Page) -> list[dict[str, Any]]:
    """One row per source: its newest interval, when it landed, rows, tables."""
    sources: dict[str, list[quality_book.LandedTable]] = defaultdict(list)
    for one in quality_book.newest_landings(page.settings):
        sources[one.source].append(one)
    return [
        {
            "source": source,
            "tables": len(tables),
            "interval": max(one.data_interval for one in tables),
            "landed_at": max(one.landed_at for one in tables),
            "landed": sum(one.landed for one in tables),
            "quarantined": sum(one.quarantined for one in tables),
            "duplicates": sum(one.duplicates for one in tables),
        }
        for source, tables in sorted(sources.items())
    ]


def _heat(page: Page, layer: str) -> dict[str, Any] | None:
    """What the tables of a layer, or the worst of all, lack to 100 by day: a heat map; None with nothing to compare."""
    trends = quality_book.table_trends(page.settings, DAYS)
    chosen = {name: rows for name, rows in trends.items() if rows and (not layer or rows[-1].layer == layer)}
    lacking = {name: sum(100 - one.score for one in rows) for name, rows in chosen.items()}
    worst = sorted((name for name in chosen if lacking[name]), key=lambda name: (-lacking[name], name))[:20]
    days = sorted({one.as_of_date for rows in chosen.values() for one in rows})
    if len(days) < 2 or not worst:
        return None
    scores = {(name, one.as_of_date): round(100 - one.score, 1) for name in worst for one in chosen[name]}
    return {
        "kind": "heatmap",
        "minimum": 0,
        "maximum": 60,
        "labels": False,
        "categories": [f"{day:%m-%d}" for day in days],
        "series": [
            {"name": name.partition(".")[2] or name, "values": [scores.get((name, day)) for day in days]}
            for name in worst
        ],
    }


def _channel(page: Page, row: dict[str, Any]) -> dict[str, Any]:
    """A channel as its card shows it: the newest verdict and the chart of its last days."""
    day, verdict = max(row["verdicts"].items())
    days = row["days"][-35:]
    factor = 100 if row["unit"] == "share" else 1
    verdicts = row["verdicts"]

    def bound(name: str) -> list[float | None]:
        return [_scaled(verdicts.get(date, {}).get(name), factor) for date, _ in days]

    measured = [_scaled(value, factor) for _, value in days]
    series: list[dict[str, Any]] = [{"name": page.t("Measured"), "values": measured}]
    for name, title, tone in (("expected", page.t("Usual"), "quiet"), ("lowest", page.t("Lowest allowed"), "warn")):
        values = bound(name)
        if sum(value is not None for value in values) > 1:
            series.append({"name": title, "values": values, "tone": tone, "dashed": True})
    spec = {
        "kind": "line",
        "categories": [date for date, _ in days],
        "series": series,
        "unit": "%" if row["unit"] == "share" else "",
        "areas": [[date, date] for date, _ in days if verdicts.get(date, {}).get("is_alarming")],
    }
    lowest = verdict.get("lowest")
    if lowest is not None and len(series) == 1:
        spec["target"] = _scaled(lowest, factor)
    return {
        "title": page.title(row) + (f" · {row['part']}" if row["part"] else ""),
        "monitor": row["monitor"],
        "owner": row["owner"],
        "what_to_do": row["what_to_do"],
        "unit": row["unit"],
        "day": day,
        "is_alarming": verdict["is_alarming"],
        "sentence": verdict["sentence"],
        "measured": verdict["measured"],
        "expected": verdict["expected"],
        "alarms": [date for date, one in sorted(verdicts.items()) if one["is_alarming"]],
        "has_values": any(value is not None for value in measured),
        "spec": spec,
    }


def _order_of_channels(one: dict[str, Any]) -> tuple[bool, bool, str]:
    return not one["is_alarming"], not one["has_values"], one["title"]


def _scaled(value: float | None, factor: int) -> float | None:
    return None if value is None else round(value * factor, 4)


def _held(page: Page) -> list[Held]:
    """Saved audiences and exports, dbt audiences and reports that an incident holds, or would but for a release."""
    from tagloom.audiences import library
    from tagloom.audiences.export_book import exports_of

    in_force = holds.open_holds(page.settings)
    if not in_force:
        return []
    released = defaultdict(set)
    for one in holds.overrides(page.settings):
        released[one.subject].add(one.incident_id)
    candidates: list[tuple[str, str, str, str, frozenset[str], frozenset[str]]] = []
    for audience in library.list_audiences(page.store):
        tags = library.tags_of_audience(page.store, audience)
        events = library.events_of_audience(page.store, audience)
        tables = frozenset({"serving.person_events"} if events else ())
        path = f"/audiences/{audience.id}"
        candidates.append((audience.subject, "audience", audience.path, path, tags, tables))
        for export in exports_of(page.store, audience.id):
            columns = frozenset(export.columns)
            name = f"{export.name} ({audience.path})"
            exports = f"/audiences/{audience.id}/exports"
            candidates.append((f"export:{export.id}", "export", name, exports, tags | columns, tables))
    named = sorted({(kind, name) for hold in in_force for kind, names in hold.others.items() for name in names})
    candidates += [
        (name, kind, name, "", frozenset(), frozenset())
        for kind, name in named
        if kind in ("audience", "report", "export")
    ]
    found = []
    for subject, kind, name, path, tags, tables in candidates:
        hitting = [hold for hold in in_force if hold.hits(tags, tables, subject)]
        if hitting:
            free = [hold for hold in hitting if hold.incident_id in released[subject]]
            found.append(Held(subject, kind, name, path, [one for one in hitting if one not in free], free))
    return sorted(found, key=lambda one: (not one.holds, one.kind, one.name))
