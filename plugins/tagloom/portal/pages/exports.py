"""Exports of audiences: where members go, what was sent, what is held and why."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

from fastapi import APIRouter, Depends
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from tagloom.audiences import export_book, exports, library
from tagloom.audiences.destinations import destinations
from tagloom.audiences.exports import HOLDOUT_FILE
from tagloom.audiences.library import AudienceError, SavedAudience, UnknownAudienceError
from tagloom.portal.errors import ForbiddenError, NotFoundError, PortalError
from tagloom.portal.page import Page, page_of
from tagloom.portal.rights import needs
from tagloom.portal.serving import Snapshot
from tagloom.portal.store.audiences import FAILED, HELD, SCHEDULES, SENDING, SENT, SUPPRESSED, TARGETS, Export
from tagloom.settings import Settings

router = APIRouter()

TARGET_TITLES = {"csv": "CSV file", "parquet": "Parquet file", "webhook": "Webhook", "table": "Table in a database"}
TARGET_NOTES = {
    "csv": "For spreadsheets and most tools; cells are no formulas.",
    "parquet": "Keeps types; for analysts and data platforms.",
    "webhook": "Posted in batches to a system that the data team has named.",
    "table": "Replaced in one go in a database that the data team has named.",
}
SCHEDULE_TITLES = {
    "each_publish": "With each publish",
    "daily": "Once a day",
    "weekly": "Once a week",
    "once": "Once",
}
CHANNEL_TITLES = {"none": "Not checked here", "email": "E-mail", "sms": "Phone and SMS", "push": "Push message"}
PURPOSE_TITLES = {"advertising": "Advertising", "service": "Service, such as a recall"}
STATUS_TONES = {SENDING: "accent", SENT: "good", HELD: "warn", FAILED: "bad", SUPPRESSED: "quiet"}

RUNS = 100
"""Runs that a page shows."""

LONGEST_NOTICE = 300
"""Characters of a reason in a notice, which travels in a cookie; the page has all of it."""

log = logging.getLogger(__name__)


@router.get("/exports", dependencies=[needs("see")])
def all_exports(page: Page = Depends(page_of)) -> Response:
    """Every export with what became of it last."""
    audiences = {audience.id: audience for audience in library.list_audiences(page.store)}
    rows = [
        (audiences[export.audience_id], export)
        for export in export_book.exports_of(page.store)
        if export.audience_id in audiences
    ]
    return page.render("exports/all.html", rows=rows, newest=_newest(page, [row[1] for row in rows]), **_titles())


@router.get("/audiences/{audience_id}/exports", dependencies=[needs("see")])
def of_audience(audience_id: int, page: Page = Depends(page_of)) -> Response:
    """The exports of one audience."""
    audience = _audience(page, audience_id)
    found = export_book.exports_of(page.store, audience_id)
    return page.render(
        "exports/audience.html",
        audience=audience,
        exports=found,
        newest=_newest(page, found),
        held={export.id: exports.holds_of(page.settings, page.store, export, audience) for export in found},
        **_titles(),
    )


@router.get("/audiences/{audience_id}/exports/new", dependencies=[needs("export")])
def new(audience_id: int, page: Page = Depends(page_of)) -> Response:
    """The form of a new export."""
    audience = _audience(page, audience_id)
    return _form(page, audience, None, _given_by(audience))


@router.post("/audiences/{audience_id}/exports", dependencies=[needs("export")])
def create(audience_id: int, page: Page = Depends(page_of)) -> Response:
    """Save a new export, and send it at once when asked to."""
    audience = _audience(page, audience_id)
    return _save(page, audience, None)


@router.get("/exports/{export_id}", dependencies=[needs("see")])
def show(export_id: int, page: Page = Depends(page_of)) -> Response:
    """One export: what it sends, what became of it, what holds it."""
    export, audience = _export(page, export_id)
    run = export_book.run_of(page.store, export.id, page.snapshot.name)
    return page.render(
        "exports/export.html",
        audience=audience,
        export=export,
        config=export_book.config_of(export),
        current=run,
        runs=export_book.export_runs(page.store, [export.id], RUNS),
        files={run.id: exports.export_file(page.settings, run) for run in _runs(page, export)},
        holdout=HOLDOUT_FILE,
        holds=exports.holds_of(page.settings, page.store, export, audience),
        tags=page.snapshot.tags,
        is_due=export_book.is_due(page.store, export, page.snapshot.name, page.snapshot.as_of_date),
        **_titles(),
    )


@router.get("/exports/{export_id}/edit", dependencies=[needs("export")])
def edit(export_id: int, page: Page = Depends(page_of)) -> Response:
    """The form of an export."""
    export, audience = _export(page, export_id)
    given = {"name": export.name, "target": export.target, "schedule": export.schedule, "columns": export.columns}
    return _form(page, audience, export, given | export_book.config_of(export).model_dump())


@router.post("/exports/{export_id}", dependencies=[needs("export")])
def change(export_id: int, page: Page = Depends(page_of)) -> Response:
    """Save the form of an export; who saves it is its owner from then on."""
    export, audience = _export(page, export_id)
    return _save(page, audience, export)


@router.post("/exports/{export_id}/run", dependencies=[needs("export")])
def run_now(export_id: int, page: Page = Depends(page_of)) -> Response:
    """Send an export with the published version, unless it was sent with it."""
    export, _ = _export(page, export_id)
    return _run(page, export)


@router.post("/exports/{export_id}/pause", dependencies=[needs("export")])
def pause(export_id: int, page: Page = Depends(page_of)) -> Response:
    """Stop an export from running by itself, or let it run again."""
    export, _ = _export(page, export_id)
    export.active = not export.active
    page.audit("export resumed" if export.active else "export paused", f"export:{export.id}", export.name)
    notice = page.t("It runs by itself again.") if export.active else page.t("It does not run by itself any more.")
    return page.redirect(f"/exports/{export.id}", notice)


@router.post("/exports/{export_id}/delete", dependencies=[needs("export")])
def delete(export_id: int, page: Page = Depends(page_of)) -> Response:
    """Delete an export; its log stays."""
    export, audience = _export(page, export_id)
    export_book.delete_export(page.store, export.id)
    page.audit("export deleted", f"export:{export.id}", export.name)
    return page.redirect(f"/audiences/{audience.id}/exports", page.t("The export {name} is deleted.", name=export.name))


@router.post("/exports/{export_id}/release", dependencies=[needs("override")])
def release(export_id: int, page: Page = Depends(page_of)) -> Response:
    """Let an export go although something that it stands on is stale."""
    from tagloom.alerting.holds import HoldError, override

    export, _ = _export(page, export_id)
    because = str(page.form.get("because", ""))
    try:
        released = override(page.settings, f"export:{export.id}", because, page.user.name)
    except HoldError as error:
        raise PortalError(str(error), page.t("Say why it may be used all the same.")) from error
    page.audit("export released", f"export:{export.id}", f"{because} ({released} incidents)")
    notice = page.t("It is released; it goes out with the next run, or now with “Run now”.")
    return page.redirect(f"/exports/{export.id}", notice)


@router.get("/exports/{export_id}/files/{run_id}", dependencies=[needs("export")])
def download(export_id: int, run_id: int, holdout: bool = False, page: Page = Depends(page_of)) -> Response:
    """Give out the file of a run; `holdout`: the persons that were left out to compare with."""
    export, _ = _export(page, export_id)
    run = next((run for run in _runs(page, export) if run.id == run_id), None)
    file = exports.export_file(page.settings, run) if run else None
    if file is not None and holdout:
        file = file.with_name(HOLDOUT_FILE)
    if file is None or not file.is_file():
        raise NotFoundError("There is no such file; files are kept for some days only.")
    if not page.may("see_personal") and exports.may_hold_personal(export, page.snapshot):
        raise ForbiddenError("see_personal", "The file holds personal data that your role may not read.")
    page.audit("export downloaded", f"export:{export.id}", f"{run.published_version}, {file.name}, {run.rows} persons")
    return FileResponse(file, filename=file.name, media_type="application/octet-stream")


def _save(page: Page, audience: SavedAudience, export: Export | None) -> Response:
    form = page.form
    given = {
        "name": str(form.get("name", "")),
        "target": str(form.get("target", "")),
        "schedule": str(form.get("schedule", "")),
        "columns": [str(value) for value in form.getlist("columns")],
        "purpose": str(form.get("purpose", "advertising")),
        "channel": str(form.get("channel", "none")),
        "destination": str(form.get(f"destination_{form.get('target', '')}", "")),
        "table": str(form.get("table", "")).strip(),
        "batch_rows": str(form.get("batch_rows", "500")),
    }
    config = {name: given[name] for name in ("purpose", "channel")}
    if given["target"] in ("webhook", "table"):
        config["destination"] = given["destination"]
    if given["target"] == "webhook":
        config["batch_rows"] = given["batch_rows"]
    if given["target"] == "table":
        config["table"] = given["table"]
    try:
        saved = export_book.save_export(
            page.store,
            audience.id,
            name=given["name"],
            target=given["target"],
            columns=given["columns"],
            schedule=given["schedule"],
            config=config | {"sees_personal": page.may("see_personal")},
            owner=page.user.name,
            tags=page.snapshot.tags,
            export_id=export.id if export else None,
        )
    except AudienceError as error:
        page.store.rollback()
        page.status = 422
        return _form(page, audience, export, given, str(error))
    detail = f"{saved.name}, {saved.target}, {len(saved.columns)} tags, {saved.schedule}, for {config['purpose']}"
    page.audit("export changed" if export else "export made", f"export:{saved.id}", detail)
    if form.get("run"):
        return _run(page, saved)
    return page.redirect(f"/exports/{saved.id}", page.t("The export {name} is saved.", name=saved.name))


def _run(page: Page, export: Export) -> Response:
    page.audit("export run", f"export:{export.id}", page.snapshot.name)
    before = export_book.run_of(page.store, export.id, page.snapshot.name)
    if before is not None and before.status in (SENT, SUPPRESSED):
        return page.redirect(f"/exports/{export.id}", page.t("It was sent with this version of the tags already."))
    if export.target in ("webhook", "table"):
        # Systems may take minutes; nobody should look at an empty page for so long.
        response = page.redirect(f"/exports/{export.id}", page.t("It is being sent; load the page again in a moment."))
        response.background = BackgroundTask(_send_behind, page.settings, page.snapshot, export.id)
        return response
    try:
        run = exports.run_export(page.settings, page.snapshot, export.id, wait=False)
    except AudienceError as error:
        return page.redirect(f"/exports/{export.id}", page.t(str(error)))
    reason = run.reason[:LONGEST_NOTICE]
    notices = {
        SENT: page.t("Sent: {number} persons.", number=run.rows),
        HELD: page.t("It is held back: {reason}", reason=reason),
        FAILED: page.t("It was not sent: {reason}", reason=reason),
        SUPPRESSED: page.t("Nobody may be sent: {reason}", reason=reason),
    }
    return page.redirect(f"/exports/{export.id}", notices.get(run.status, ""))


def _send_behind(settings: Settings, snapshot: Snapshot, export_id: int) -> None:
    """Send an export after the answer; what becomes of it stands in its log."""
    try:
        exports.run_export(settings, snapshot, export_id, wait=False)
    except AudienceError as error:
        log.info("export %s was not sent: %s", export_id, error)


def _form(
    page: Page, audience: SavedAudience, export: Export | None, given: dict[str, object], problem: str = ""
) -> Response:
    offered = [tag for tag in page.snapshot.tags.values() if tag.personal_data != "direct" or page.may("see_personal")]
    groups = [(name, list(members)) for name, members in groupby(offered, key=lambda tag: tag.category.split("/")[0])]
    known = {target: list(destinations(target)) for target in ("webhook", "table")}
    return page.render(
        "exports/form.html",
        audience=audience,
        export=export,
        given={"purpose": "advertising", "channel": "none", "destination": "", "table": "", "batch_rows": 500} | given,
        groups=groups,
        destinations=known,
        targets=[name for name in TARGETS if name not in known or known[name]],
        schedules=SCHEDULES,
        problem=problem,
        **_titles(),
    )


def _given_by(audience: SavedAudience) -> dict[str, object]:
    return {
        "name": "",
        "target": "csv",
        "schedule": "each_publish",
        "columns": [],
        "channel": audience.definition.consent,
    }


def _titles() -> dict[str, object]:
    return {
        "target_titles": TARGET_TITLES,
        "target_notes": TARGET_NOTES,
        "schedule_titles": SCHEDULE_TITLES,
        "channel_titles": CHANNEL_TITLES,
        "purpose_titles": PURPOSE_TITLES,
        "tones": STATUS_TONES,
    }


def _runs(page: Page, export: Export) -> list:
    return export_book.export_runs(page.store, [export.id], RUNS)


def _newest(page: Page, found: list[Export]) -> dict:
    """Export -> its last run."""
    newest: dict = {}
    for run in export_book.export_runs(page.store, [export.id for export in found], limit=1_000):
        newest.setdefault(run.export_id, run)
    return newest


def _audience(page: Page, audience_id: int) -> SavedAudience:
    with _found():
        return library.load(page.store, audience_id)


def _export(page: Page, export_id: int) -> tuple[Export, SavedAudience]:
    with _found():
        export = export_book.load_export(page.store, export_id)
        return export, library.load(page.store, export.audience_id)


@contextmanager
def _found() -> Iterator[None]:
    try:
        yield
    except UnknownAudienceError as error:
        raise NotFoundError(str(error)) from error
