"""The API, /api/v1: what pages show, as JSON, for programs with a token (`Authorization: Bearer tagloom_...`).

The same rights hold as for people, the same counts stay hidden, and the same is audited.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, Literal

import duckdb
from fastapi import APIRouter, Depends
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import FileResponse, Response

from tagloom.audiences import evaluate, export_book, exports, library, runs
from tagloom.audiences.compile import check, compile_count
from tagloom.audiences.export_book import ExportConfig
from tagloom.audiences.library import AudienceError, AudienceInUseError, SavedAudience, UnknownAudienceError
from tagloom.audiences.rules import Definition, RuleError, parse
from tagloom.audiences.sentence import sentence
from tagloom.portal.errors import ConflictError, ForbiddenError, NotFoundError, PortalError
from tagloom.portal.page import Page, page_of
from tagloom.portal.rights import needs
from tagloom.portal.serving import Tag
from tagloom.portal.store.audiences import AudienceRun, Export, ExportRun

PREFIX = "/api/v1"
router = APIRouter(prefix=PREFIX, tags=["v1"])

MEMBERS_AT_ONCE = 10_000


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AudienceBody(_Body):
    """An audience to save."""

    name: str
    definition: dict[str, Any] = Field(description="As the builder's JSON: schema, rule, consent, suppression ...")
    folder: str = ""
    description: str = ""
    note: str = ""


class PreviewBody(_Body):
    """A definition to count."""

    definition: dict[str, Any]
    language: Literal["en", "zh"] = "en"


class LookupBody(_Body):
    """An identifier of a person; it is hashed and forgotten."""

    kind: str = Field(description="person, or an identifier type such as email, phone, loyalty_card")
    value: str


class ExportBody(_Body):
    """An export to save."""

    name: str
    target: Literal["csv", "parquet", "webhook", "table"] = "csv"
    columns: list[str] = []
    schedule: Literal["each_publish", "daily", "weekly", "once"] = "each_publish"
    purpose: Literal["advertising", "service"] = "advertising"
    channel: Literal["email", "sms", "push", "none"] = "none"
    destination: str = ""
    table: str = ""
    batch_rows: int = 500


@router.get("/openapi.json", dependencies=[needs("see")], include_in_schema=False)
def openapi(page: Page = Depends(page_of)) -> Response:
    """The description of this API."""
    schema = get_openapi(
        title="Tagloom",
        version="1",
        description=__doc__ or "",
        routes=router.routes,
        servers=[{"url": page.root or "/"}],
    )
    schema.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"token": []}]
    return page.json(schema)


@router.get("/version", dependencies=[needs("see")])
def version(page: Page = Depends(page_of)) -> Response:
    """The published version that everything else is read from."""
    found = page.snapshot
    return page.json(
        {
            "version": found.name,
            "as_of_date": found.as_of_date,
            "computed_at": found.computed_at,
            "persons": found.persons,
        }
    )


@router.get("/tags", dependencies=[needs("see")])
def list_tags(page: Page = Depends(page_of), object: str = "person", category: str = "") -> Response:
    """Published tags of an object (person, household, product, store), of one category if given (value, value/rfm)."""
    tags = page.snapshot.objects.get(object)
    if tags is None:
        raise NotFoundError(f"There are no tags of {object}; objects are {', '.join(page.snapshot.objects)}.")
    found = [
        _tag(tag)
        for tag in tags.values()
        if not category or tag.category == category or tag.category.startswith(f"{category}/")
    ]
    return page.json({"version": page.snapshot.name, "tags": found})


@router.get("/tags/{name}", dependencies=[needs("see")])
def one_tag(name: str, page: Page = Depends(page_of), object: str = "person") -> Response:
    """One tag with its definition, SQL, sources and newest statistics."""
    tag = page.snapshot.objects.get(object, {}).get(name)
    if tag is None:
        raise NotFoundError(f"There is no published tag {name} of {object}.")
    statistics = None
    if "tag_integration.tag_statistics" in page.snapshot.tables:
        statistics = page.snapshot.row(
            "select as_of_date, objects, filled, coverage, distinct_values, drift from tag_integration.tag_statistics "
            "where object = ? and tag = ? order by as_of_date desc limit 1",
            [object, name],
        )
    more = {name: getattr(tag, name) for name in ("sql", "model", "upstream_sources", "upstream_columns", "used_by")}
    return page.json(_tag(tag) | more | {"statistics": statistics})


@router.get("/audiences", dependencies=[needs("see")])
def list_audiences(page: Page = Depends(page_of)) -> Response:
    """Every saved audience with its newest size."""
    newest = library.last_runs(page.store)
    found = [_audience(page, audience, newest.get(audience.id)) for audience in library.list_audiences(page.store)]
    return page.json({"audiences": found})


@router.post("/audiences", dependencies=[needs("build")], status_code=201)
def create_audience(body: AudienceBody, page: Page = Depends(page_of)) -> Response:
    """Save a new audience."""
    return _save(page, body, None)


@router.post("/audiences/preview", dependencies=[needs("build")])
def preview(body: PreviewBody, page: Page = Depends(page_of)) -> Response:
    """Count a definition without saving it; with the sentence and the SQL that it means."""
    definition = _definition(page, body.definition)
    audiences = library.definitions(page.store)
    found = evaluate.size(page.snapshot, definition, audiences)
    events = evaluate.events_of_version(page.snapshot)
    query = compile_count(definition, page.snapshot.tags, events, audiences, page.snapshot.as_of_date)
    small = evaluate.shown(found.members, page.may("see_personal")) is None
    return page.json(
        {
            "version": page.snapshot.name,
            "as_of_date": page.snapshot.as_of_date,
            "population": found.population,
            "members": None if small else found.members,
            "held_out": None if small else _shown(page, found.held_out),
            "fewer_than": evaluate.SMALL if small else None,
            "sentence": sentence(definition, page.snapshot.tags, body.language, events),
            "sql": query.literal(),
        }
    )


@router.get("/audiences/{audience_id}", dependencies=[needs("see")])
def one_audience(audience_id: int, page: Page = Depends(page_of), number: int | None = None) -> Response:
    """One audience with its definition: the newest version of it, or the one of this number."""
    audience = _load(page, audience_id, number)
    newest = next(iter(library.runs(page.store, audience_id, limit=1)), None)
    more = {
        "definition": audience.definition.as_json(),
        "versions": [
            {"number": one.number, "by": one.changed_by, "at": one.changed_at, "note": one.note}
            for one in library.versions(page.store, audience_id)
        ],
    }
    return page.json(_audience(page, audience, newest) | more)


@router.post("/audiences/{audience_id}", dependencies=[needs("build")])
def change_audience(audience_id: int, body: AudienceBody, page: Page = Depends(page_of)) -> Response:
    """Save a new version of an audience."""
    _load(page, audience_id)
    return _save(page, body, audience_id)


@router.delete("/audiences/{audience_id}", dependencies=[needs("build")])
def delete_audience(audience_id: int, page: Page = Depends(page_of)) -> Response:
    """Delete an audience; 409 with the list of users while something stands on it."""
    _load(page, audience_id)
    try:
        deleted = library.delete(page.store, audience_id)
    except AudienceInUseError as error:
        return page.json({"error": str(error), "users": error.users}, 409)
    page.audit("audience deleted", deleted.subject, deleted.path)
    return page.json({"deleted": audience_id})


@router.get("/audiences/{audience_id}/runs", dependencies=[needs("see")])
def audience_runs(audience_id: int, page: Page = Depends(page_of), limit: int = 100) -> Response:
    """What publishes made of an audience, the newest first."""
    _load(page, audience_id)
    found = library.runs(page.store, audience_id, max(1, min(limit, 1_000)))
    return page.json({"runs": [_run(page, run) for run in found]})


@router.get("/audiences/{audience_id}/members", dependencies=[needs("export")])
def audience_members(
    audience_id: int, page: Page = Depends(page_of), after: int = 0, limit: int = MEMBERS_AT_ONCE
) -> Response:
    """Members with the published version, by person_id: those above `after`; `next` is where to go on, or null.

    Those held out are marked. Consent and objections are those of the audience; exports check them again.
    """
    _load(page, audience_id)
    with _told():
        run, _ = runs.materialise(page.settings, page.snapshot, audience_id)
    limit = max(1, min(limit, MEMBERS_AT_ONCE))
    with duckdb.connect() as connection:
        rows = connection.execute(
            "select person_id, part, is_held_out from read_parquet(?) where person_id > ? order by person_id limit ?",
            [str(runs.members_file(page.settings, run)), after, limit],
        ).fetchall()
    page.audit("audience members read", f"audience:{audience_id}", f"{run.published_version}, {len(rows)} persons")
    return page.json(
        {
            "version": run.published_version,
            "members": [
                {"person_id": person, "part": part, "is_held_out": held_out} for person, part, held_out in rows
            ],
            "next": rows[-1][0] if len(rows) == limit else None,
        }
    )


@router.post("/persons/lookup", dependencies=[needs("see_person")])
def look_up(body: LookupBody, page: Page = Depends(page_of)) -> Response:
    """The person of an identifier, null when it is nobody's."""
    from tagloom.identity.identifiers import IdentifierError
    from tagloom.identity.policy import load_policy
    from tagloom.portal import profile
    from tagloom.settings import identity_key

    policy = load_policy()
    if body.kind != "person" and body.kind not in policy.identifier_types:
        raise NotFoundError(f"There is no kind of identifier {body.kind[:40]!r}.")
    unreadable = PortalError(f"This is no {body.kind}.", "Check its form.")
    if body.kind != "person" and not profile.is_value_of(body.kind, body.value, policy):
        raise unreadable
    try:
        found = profile.look_up(page.snapshot, body.kind, body.value, policy, identity_key())
    except IdentifierError:
        # The error repeats the value, which stands in no answer or log.
        raise unreadable from None
    page.audit("person looked up", found.subject, "api" if found.person is not None else "api, nobody")
    return page.json({"person_id": found.person})


@router.get("/persons/{person_id}", dependencies=[needs("see_person")])
def profile_of(person_id: int, page: Page = Depends(page_of)) -> Response:
    """Every tag of a person; a number that was merged into another leads to that one. Personal data may be hidden."""
    from tagloom.portal import profile

    living, way = profile.living_person(page.snapshot, person_id)
    page.audit("person looked up", f"person:{person_id}", "api")
    if living is None:
        raise NotFoundError(f"There is no person {person_id}.")
    values = profile.values_of(page.snapshot, living, see_personal=page.may("see_personal"))
    return page.json(
        {
            "person_id": living,
            "merged_from": way,
            "version": page.snapshot.name,
            "as_of_date": page.snapshot.as_of_date,
            "tags": {one.tag.name: one.value for one in values if not one.is_hidden},
            "hidden": [one.tag.name for one in values if one.is_hidden],
        }
    )


@router.get("/exports", dependencies=[needs("see")])
def list_exports(page: Page = Depends(page_of)) -> Response:
    """Every export with what became of it last."""
    found = export_book.exports_of(page.store)
    return page.json({"exports": [_export(page, export) for export in found]})


@router.post("/audiences/{audience_id}/exports", dependencies=[needs("export")], status_code=201)
def create_export(audience_id: int, body: ExportBody, page: Page = Depends(page_of)) -> Response:
    """Save a new export of an audience."""
    _load(page, audience_id)
    config = body.model_dump(include={"purpose", "channel", "destination", "table", "batch_rows"})
    with _told():
        saved = export_book.save_export(
            page.store,
            audience_id,
            name=body.name,
            target=body.target,
            columns=body.columns,
            schedule=body.schedule,
            config=ExportConfig(**config, sees_personal=page.may("see_personal")),
            owner=page.user.name,
            tags=page.snapshot.tags,
        )
    page.audit("export made", f"export:{saved.id}", f"{saved.name}, {saved.target}, api")
    return page.json(_export(page, saved), 201)


@router.get("/exports/{export_id}", dependencies=[needs("see")])
def one_export(export_id: int, page: Page = Depends(page_of)) -> Response:
    """One export with its runs."""
    export = _load_export(page, export_id)
    found = [_export_run(run) for run in export_book.export_runs(page.store, [export_id])]
    return page.json(_export(page, export) | {"runs": found})


@router.post("/exports/{export_id}/run", dependencies=[needs("export")])
def run_export(export_id: int, page: Page = Depends(page_of)) -> Response:
    """Send an export with the published version, unless it was sent with it; `status` says what became of it."""
    _load_export(page, export_id)
    page.audit("export run", f"export:{export_id}", page.snapshot.name)
    with _told():
        return page.json(_export_run(exports.run_export(page.settings, page.snapshot, export_id, wait=False)))


@router.get("/exports/{export_id}/file", dependencies=[needs("export")])
def export_file(export_id: int, page: Page = Depends(page_of), version: str = "") -> Response:
    """The file that an export wrote, with the published version unless another is named."""
    export = _load_export(page, export_id)
    run = export_book.run_of(page.store, export_id, version or page.snapshot.name)
    file = exports.export_file(page.settings, run) if run else None
    if file is None:
        raise NotFoundError("There is no file of this export with that version.", "Run it, then ask again.")
    if not page.may("see_personal") and exports.may_hold_personal(export, page.snapshot):
        raise ForbiddenError("see_personal", "The file holds personal data that this token may not read.")
    page.audit("export downloaded", f"export:{export.id}", f"{run.published_version}, {file.name}, api")
    return FileResponse(file, filename=file.name, media_type="application/octet-stream")


def _save(page: Page, body: AudienceBody, audience_id: int | None) -> Response:
    definition = _definition(page, body.definition, audience_id)
    with _told():
        saved = library.save(
            page.store,
            definition,
            body.name,
            by=page.user.name,
            folder=body.folder,
            description=body.description,
            note=body.note,
            audience_id=audience_id,
        )
    page.audit("audience saved", saved.subject, f"{saved.path}, version {saved.number}, api")
    newest = next(iter(library.runs(page.store, saved.id, limit=1)), None)
    status = 201 if audience_id is None else 200
    return page.json(_audience(page, saved, newest) | {"definition": saved.definition.as_json()}, status)


def _definition(page: Page, given: dict[str, Any], audience_id: int | None = None) -> Definition:
    """A definition that fits the published version. Raises PortalError with one line per problem."""
    with _told():
        definition = parse(given)
        problems = check(
            definition,
            page.snapshot.tags,
            evaluate.events_of_version(page.snapshot),
            library.definitions(page.store),
            audience_id,
        )
        if problems:
            raise RuleError(problems)
    return definition


def _load(page: Page, audience_id: int, number: int | None = None) -> SavedAudience:
    with _told():
        return library.load(page.store, audience_id, number)


def _load_export(page: Page, export_id: int) -> Export:
    with _told():
        return export_book.load_export(page.store, export_id)


@contextmanager
def _told() -> Iterator[None]:
    """Turn what is wrong with a request into an answer that says so."""
    try:
        yield
    except UnknownAudienceError as error:
        raise NotFoundError(str(error)) from error
    except AudienceError as error:
        kind = ConflictError if "already" in str(error) else PortalError
        raise kind(str(error)) from error
    except RuleError as error:
        told = PortalError(str(error), "Each line names the place in the rule.")
        told.status = 422
        raise told from error


def _shown(page: Page, count: int) -> int | None:
    return evaluate.shown(count, page.may("see_personal"))


def _tag(tag: Tag) -> dict[str, Any]:
    names = (
        *("name", "object", "title", "title_zh", "description", "category", "kind", "data_type", "owner", "unit"),
        *("if_missing", "personal_data", "status", "history", "version", "since", "refresh", "valid_days"),
    )
    return {name: getattr(tag, name) for name in names} | {"values": list(tag.values) if tag.values else None}


def _audience(page: Page, audience: SavedAudience, run: AudienceRun | None) -> dict[str, Any]:
    names = ("id", "name", "folder", "owner", "description", "number", "changed_by", "changed_at", "created_at")
    return {name: getattr(audience, name) for name in names} | {"run": _run(page, run) if run else None}


def _run(page: Page, run: AudienceRun) -> dict[str, Any]:
    said: dict[str, date | datetime | str | int | None] = {
        "version": run.published_version,
        "as_of_date": run.as_of_date,
        "definition": run.version_number,
        "computed_at": run.computed_at,
    }
    # One hidden count could be worked out from the others.
    counts = (run.size, run.entered, run.stayed, run.left_count)
    hidden = not page.may("see_personal") and any(0 < count < evaluate.SMALL for count in counts)
    names = ("size", "entered", "stayed", "left")
    return said | dict(zip(names, [None] * 4 if hidden else counts, strict=True))


def _export(page: Page, export: Export) -> dict[str, Any]:
    names = ("id", "audience_id", "name", "target", "columns", "schedule", "owner", "active", "created_at")
    newest = next(iter(export_book.export_runs(page.store, [export.id], limit=1)), None)
    config = export_book.config_of(export).model_dump(exclude={"sees_personal"})
    return {name: getattr(export, name) for name in names} | config | {"run": _export_run(newest) if newest else None}


def _export_run(run: ExportRun) -> dict[str, Any]:
    names = ("status", "reason", "rows", "held_out", "withheld", "attempts", "started_at", "finished_at", "as_of_date")
    return {"version": run.published_version} | {name: getattr(run, name) for name in names}
