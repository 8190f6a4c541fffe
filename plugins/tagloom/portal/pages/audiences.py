"""Audiences: the library, the builder, an audience's page, and how audiences overlap."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from datetime import date
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

import duckdb
from babel.dates import format_date
from babel.numbers import format_decimal, format_percent
from fastapi import APIRouter, Body, Depends
from sqlalchemy import select
from starlette.responses import Response

from tagloom.alerting.holds import Hold, holds_for, open_holds
from tagloom.audiences import evaluate, library, runs
from tagloom.audiences.compile import check, compile_count
from tagloom.audiences.evaluate import SMALL, Cell, Event, Size
from tagloom.audiences.library import AudienceError, AudienceInUseError, SavedAudience, UnknownAudienceError
from tagloom.audiences.rules import (
    MAXIMUM_DEPTH,
    MAXIMUM_RULES,
    TAG_OPERATORS,
    Definition,
    Problem,
    RuleError,
    events_of,
    parse,
)
from tagloom.audiences.sentence import beside_the_rule, outline, sentence
from tagloom.portal.builder_texts import builder_words
from tagloom.portal.errors import ConflictError, NotFoundError, PortalError
from tagloom.portal.page import Page, page_of
from tagloom.portal.rendering import LOCALES
from tagloom.portal.rights import needs
from tagloom.portal.store.audiences import AudienceRun, Export

if TYPE_CHECKING:
    from tagloom.portal.serving import Snapshot, Tag

router = APIRouter()

log = logging.getLogger(__name__)

EVENT_TABLE = "serving.person_events"

RUNS_IN_TREND = 14
RUNS_ON_PAGE = 60
MOST_COMPARED = 12
MOST_SUGGESTIONS = 50
FIRST_COMPOSITION = ("rfm_segment", "lifecycle_stage", "spend_tier", "generation")
"""The tag that a composition begins with: the first of these that is published."""

OPERATORS = {
    "any": {
        "=": "is",
        "!=": "is not",
        "in": "is one of",
        "notIn": "is none of",
        "<": "is below",
        "<=": "is at most",
        ">": "is above",
        ">=": "is at least",
        "between": "is between",
        "notBetween": "is not between",
        "contains": "contains",
        "beginsWith": "begins with",
        "null": "is not known",
        "notNull": "is known",
        "last_days": "was in the last",
        "before_days": "was longer ago than",
        "next_days": "is in the next",
    },
    "day": {"=": "is on", "<": "is before", "<=": "is until", ">": "is after", ">=": "is from"},
    "event": {"did": "happened", "did_not": "did not happen"},
    "sequence": {"did": "happened", "did_not": "did not happen"},
    "audience": {"in": "is a member", "not_in": "is no member"},
}
"""Kind of field -> operator -> what the builder calls it."""

CONSENTS = {
    "none": "Everybody, whatever they allow",
    "email": "E-mail",
    "sms": "Phone or text message",
    "push": "Push message",
}

BOOLEAN = {"True": "yes", "False": "no"}


@dataclass(frozen=True)
class Listed:
    """One line of the library."""

    audience: SavedAudience
    run: AudienceRun | None
    size: str
    trend: str
    """Points of a polyline, empty with fewer than two runs."""
    entered: str
    left: str
    held: list[Hold]


@dataclass(frozen=True)
class Moves:
    """Who moved in a run, as its reader may see it."""

    entered: str
    stayed: str
    left: str
    are_hidden: bool


@dataclass(frozen=True)
class Other:
    """An audience that shares members with this one."""

    audience: SavedAudience
    shared: str
    share: float | None
    """Of this audience's members, 0 to 1; None when it is too small to be shown."""
    similarity: float


@dataclass(frozen=True)
class VersionChange:
    """A version, and what it changed in words."""

    version: SavedAudience
    lines: list[tuple[str, str]] = field(default_factory=list)
    """(added or removed, line)."""


@router.get("/audiences", dependencies=[needs("see")])
def list_audiences(page: Page = Depends(page_of)) -> Response:
    """Show every saved audience by folder, with its size, how it moves, and whether a failed check holds it."""
    saved = library.list_audiences(page.store)
    last = library.last_runs(page.store)
    anything_held = bool(open_holds(page.settings))
    folders: dict[str, list[Listed]] = {}
    for audience in saved:
        run = last.get(audience.id)
        folders.setdefault(audience.folder, []).append(
            Listed(
                audience=audience,
                run=run,
                size=_counted(page, run.size) if run else "",
                trend=_points(page, library.runs(page.store, audience.id, RUNS_IN_TREND)),
                entered=_moves(page, run).entered if run else "–",
                left=_moves(page, run).left if run else "–",
                held=_holds(page, audience) if anything_held else [],
            )
        )
    return page.render("audiences/list.html", folders=folders, count=len(saved))


@router.get("/audiences/new", dependencies=[needs("build")])
def new_audience(page: Page = Depends(page_of), rule: str = "") -> Response:
    """Show the builder, empty, with the rule of a link (`rule`, JSON) or that of another audience (`from`, its id)."""
    copied = page.request.query_params.get("from", "")
    suggested = None
    if copied.isdecimal():
        source = _load(page, int(copied))
        definition = source.definition.model_copy(update={"seed": ""})
        suggested = {
            "name": page.t("{name}, copy", name=source.name),
            "folder": source.folder,
            "description": source.description,
        }
    else:
        definition = _from_link(rule)
    return _builder(page, definition, None, suggested)


@router.get("/audiences/compare", dependencies=[needs("see")])
def compare(page: Page = Depends(page_of)) -> Response:
    """Show how many persons each pair of the chosen audiences shares; without a choice, of the first ones."""
    saved = library.list_audiences(page.store)
    asked = {int(text) for text in page.request.query_params.getlist("id") if text.isdecimal() and len(text) < 10}
    fitting = [audience for audience in saved if not _problems(page, audience.definition, audience.id)]
    chosen = [audience for audience in fitting if audience.id in asked or not asked][:MOST_COMPARED]
    found = evaluate.overlap(
        page.snapshot, [audience.definition for audience in chosen], library.definitions(page.store)
    )
    rows = []
    for one, audience in enumerate(chosen):
        cells = []
        for other in range(len(chosen)):
            shared, of_row = found.shared[one][other], found.sizes[one]
            hidden = evaluate.shown(shared, page.may("see_personal")) is None
            cells.append(
                {
                    "text": _counted(page, shared),
                    "share": None if hidden or not of_row else shared / of_row,
                    "shade": 0.0 if hidden or one == other else found.similarity(one, other),
                    "self": one == other,
                }
            )
        rows.append((audience, cells))
    left_out = [audience for audience in saved if audience not in fitting]
    return page.render(
        "audiences/compare.html", saved=fitting, chosen=chosen, rows=rows, left_out=left_out, most=MOST_COMPARED
    )


@router.get("/audiences/values", dependencies=[needs("build")])
def values_of_tag(page: Page = Depends(page_of), tag: str = "", q: str = "") -> Response:
    """Give the most frequent values of a tag that contain a text, as JSON; values of few persons only to some."""
    known = page.snapshot.tags.get(tag)
    if known is None or known.personal_data == "direct":
        raise NotFoundError("There is no tag {tag} to choose by.", tag=tag)
    column = '"' + known.name.replace('"', '""') + '"'
    found = page.snapshot.rows(
        f"""
        select cast({column} as varchar) as value, count(*) as persons
        from tag_integration.person_tags
        where {column} is not null and contains(lower(cast({column} as varchar)), $text)
        group by all having count(*) >= $least order by persons desc, value limit {MOST_SUGGESTIONS}
        """,
        {"text": q.strip().lower()[:200], "least": _least(page)},
    )
    return page.json(
        {
            "values": [
                [row["value"], known.value_label(row["value"], page.language), _counted(page, row["persons"])]
                for row in found
            ]
        }
    )


@router.get("/audiences/what", dependencies=[needs("build")])
def what_of_event(page: Page = Depends(page_of), event: str = "", q: str = "") -> Response:
    """Give what an event was most often about, as JSON: values for a condition."""
    if event not in evaluate.events_of_version(page.snapshot):
        raise NotFoundError("There is no event {event} in the published version.", event=event)
    found = page.snapshot.rows(
        f"""
        select what as value, count(distinct person_id) as persons
        from {EVENT_TABLE}
        where event = $event and what is not null and contains(lower(what), $text)
        group by all having count(distinct person_id) >= $least order by persons desc, value limit {MOST_SUGGESTIONS}
        """,
        {"event": event, "text": q.strip().lower()[:200], "least": _least(page)},
    )
    return page.json({"values": [[row["value"], row["value"], _counted(page, row["persons"])] for row in found]})


@router.post("/audiences/preview", dependencies=[needs("build")])
def preview(page: Page = Depends(page_of), given: dict[str, Any] = Body()) -> Response:
    """Say how large a definition is, in words and in SQL, as JSON; 422 with `problems` when it is none."""
    try:
        definition = parse(given.get("definition") or {})
        found = evaluate.size(page.snapshot, definition, library.definitions(page.store))
        told = _words(page, definition)
        sql = _sql(page, definition)
    except RuleError as error:
        return _refused(page, error.problems)
    return page.json(
        {
            "size": _size(page, found),
            "sentence": told,
            "sql": sql,
            "day": _day(page, page.snapshot.as_of_date),
            "version": page.snapshot.name,
        }
    )


@router.post("/audiences/composition", dependencies=[needs("build")])
def composition(page: Page = Depends(page_of), given: dict[str, Any] = Body()) -> Response:
    """Say what a definition is made of by one tag, as JSON; 422 with `problems` when it is none."""
    tag = page.snapshot.tags.get(str(given.get("tag", "")))
    if tag is None:
        raise NotFoundError("There is no such tag to compare by.")
    try:
        cells = evaluate.composition(
            page.snapshot, parse(given.get("definition") or {}), tag.name, library.definitions(page.store)
        )
    except RuleError as error:
        return _refused(page, error.problems)
    return page.json({"cells": _cells(page, tag, cells)})


@router.post("/audiences", dependencies=[needs("build")])
def save(page: Page = Depends(page_of), given: dict[str, Any] = Body()) -> Response:
    """Save a new audience, or with `id` and the `number` that it was made from a new version, and work it out."""
    audience_id = given.get("id") if isinstance(given.get("id"), int) else None
    if audience_id is not None:
        newest = _load(page, audience_id)
        if given.get("number") != newest.number:
            raise ConflictError(
                "{who} has saved version {number} in the meantime.",
                "Open the audience again and make your change there.",
                who=newest.changed_by,
                number=newest.number,
            )
    try:
        definition = parse(given.get("definition") or {})
        problems = _problems(page, definition, audience_id)
        if problems:
            return _refused(page, problems)
        saved = library.save(
            page.store,
            definition,
            _text(given, "name"),
            by=page.user.name,
            folder=_text(given, "folder"),
            description=_text(given, "description")[:2_000],
            note=_text(given, "note")[:500],
            audience_id=audience_id,
        )
    except RuleError as error:
        return _refused(page, error.problems)
    except AudienceError as error:
        raise PortalError("{reason}", reason=error) from error
    page.audit("audience saved", saved.subject, f"{saved.path}, version {saved.number}")
    _work_out(page, saved)
    return page.json({"id": saved.id, "number": saved.number, "path": f"/audiences/{saved.id}"}, 201)


@router.get("/audiences/{audience_id}", dependencies=[needs("see")])
def one_audience(
    audience_id: int, page: Page = Depends(page_of), version: int | None = None, tag: str = ""
) -> Response:
    """Show an audience: who is in it in words, its size and make-up now, its runs, versions, exports and users."""
    newest = _load(page, audience_id)
    shown = newest if version is None or version == newest.number else _load(page, audience_id, version)
    snapshot = page.snapshot
    problems = _problems(page, shown.definition, audience_id)
    size = cells = None
    others: list[Other] = []
    chosen = snapshot.tags.get(tag) or _first_tag(snapshot)
    if not problems:
        audiences = library.definitions(page.store)
        size = evaluate.size(snapshot, shown.definition, audiences)
        if chosen is not None:
            cells = _cells(page, chosen, evaluate.composition(snapshot, shown.definition, chosen.name, audiences))
        others = _others(page, shown)
    past = library.runs(page.store, audience_id, RUNS_ON_PAGE)
    exports = page.store.scalars(
        select(Export).where(Export.audience_id == audience_id, Export.deleted_at.is_(None)).order_by(Export.name)
    ).all()
    return page.render(
        "audiences/audience.html",
        audience=newest,
        shown=shown,
        lines=_outline(page, shown.definition),
        beside=beside_the_rule(shown.definition, page.language),
        words=_words(page, shown.definition),
        sql=None if problems else _sql(page, shown.definition),
        problems=problems,
        size=_size(page, size) if size else None,
        cells=cells,
        chosen=chosen,
        tags=_tag_options(page),
        others=others,
        runs=past,
        run_chart=_run_chart(page, past) if len(past) > 1 else None,
        counted=lambda count: _counted(page, count),
        moves=lambda run: _moves(page, run),
        versions=_changes(page, library.versions(page.store, audience_id)),
        exports=exports,
        users=_users(page, audience_id),
        held=_holds(page, newest),
    )


@router.get("/audiences/{audience_id}/edit", dependencies=[needs("build")])
def edit_audience(audience_id: int, page: Page = Depends(page_of), version: int | None = None) -> Response:
    """Show the builder with an audience, to save a new version of it; `version` begins from an older one."""
    newest = _load(page, audience_id)
    begin = newest if version is None else _load(page, audience_id, version)
    return _builder(page, begin.definition, newest, None)


@router.post("/audiences/{audience_id}/delete", dependencies=[needs("build")])
def delete_audience(audience_id: int, page: Page = Depends(page_of)) -> Response:
    """Delete an audience that nothing stands on."""
    try:
        deleted = library.delete(page.store, audience_id)
    except AudienceInUseError as error:
        raise ConflictError(
            "{name} cannot be deleted, it is used by: {users}.",
            "Change or delete these first.",
            name=_load(page, audience_id).name,
            users="; ".join(_users(page, audience_id)),
        ) from error
    except UnknownAudienceError as error:
        raise NotFoundError("There is no such audience.", "Choose one from the list of audiences.") from error
    page.audit("audience deleted", deleted.subject, deleted.path)
    return page.redirect("/audiences", page.t("{name} is deleted; its runs stay in the log.", name=deleted.name))


def _load(page: Page, audience_id: int, number: int | None = None) -> SavedAudience:
    try:
        return library.load(page.store, audience_id, number)
    except UnknownAudienceError as error:
        raise NotFoundError("There is no such audience.", "Choose one from the list of audiences.") from error


def _from_link(rule: str) -> Definition:
    """The definition that a link begins with: a whole one, a group or a single condition as JSON; none: everybody."""
    if not rule.strip():
        return Definition()
    try:
        given = json.loads(rule)
        if isinstance(given, dict) and "rule" not in given:
            group = given if "rules" in given else {"combinator": "and", "not": False, "rules": [given]}
            given = {"schema": 1, "rule": group}
        return parse(given)
    except ValueError as error:
        raise PortalError("The rule of this link cannot be read: {error}", error=error) from error


def _builder(
    page: Page, definition: Definition, audience: SavedAudience | None, suggested: dict[str, str] | None
) -> Response:
    saved = library.list_audiences(page.store)
    first = _first_tag(page.snapshot)
    words = builder_words(page.language)
    data = {
        "definition": definition.as_json(),
        "audience": None
        if audience is None
        else {
            "id": audience.id,
            "number": audience.number,
            "name": audience.name,
            "folder": audience.folder,
            "description": audience.description,
        },
        "suggested": suggested,
        "fields": _fields(page, saved, audience),
        "operators": {
            kind: {operator: words.get(text, text) for operator, text in texts.items()}
            for kind, texts in OPERATORS.items()
        },
        "consents": [[code, words.get(text, text)] for code, text in CONSENTS.items()],
        "folders": sorted({one.folder for one in saved if one.folder}),
        "composition": f"tag:{first.name}" if first else "",
        "limits": {"depth": MAXIMUM_DEPTH, "rules": MAXIMUM_RULES},
        "texts": words,
    }
    return page.render("audiences/builder.html", data=data, audience=audience)


def _fields(page: Page, saved: list[SavedAudience], audience: SavedAudience | None) -> list[dict[str, Any]]:
    """What a condition can be about: tags by category, events, sequences and other audiences."""
    snapshot, language = page.snapshot, page.language
    fields: list[dict[str, Any]] = [
        {
            "name": f"tag:{tag.name}",
            "tag": tag.name,
            "kind": "tag",
            "type": tag.data_type,
            "label": tag.label(language),
            "words": f"{tag.title} {tag.title_zh} {tag.name}",
            "group": page.t(tag.category.partition("/")[0].capitalize()),
            "help": tag.description,
            "unit": _unit(page, tag),
            "values": [[value, tag.value_label(value, language)] for value in tag.values] if tag.values else None,
            "operators": list(TAG_OPERATORS[tag.data_type]),
        }
        for tag in snapshot.tags.values()
        if tag.personal_data != "direct"
    ]
    events = evaluate.events_of_version(snapshot)
    with_amount = _events_with_amount(snapshot)
    group = page.t("Events")
    fields += [
        {
            "name": f"event:{event.name}",
            "event": event.name,
            "kind": "event",
            "type": "event",
            "label": page.title(event) or event.name,
            "words": f"{event.title} {event.title_zh} {event.name}",
            "group": group,
            "operators": ["did", "did_not"],
            "hasAmount": event.name in with_amount,
        }
        for event in events.values()
    ]
    if events:
        fields.append(
            {
                "name": "sequence",
                "kind": "sequence",
                "type": "sequence",
                "label": page.t("One event after another"),
                "words": "sequence",
                "group": group,
                "operators": ["did", "did_not"],
            }
        )
    fields += [
        {
            "name": f"audience:{other.id}",
            "kind": "audience",
            "type": "audience",
            "label": other.path,
            "group": page.t("Audiences"),
            "help": _words(page, other.definition),
            "operators": ["in", "not_in"],
        }
        for other in saved
        if audience is None or other.id != audience.id
    ]
    return fields


def _unit(page: Page, tag: Tag) -> str:
    """What a number counts; nothing for scores and percentiles, which count nothing."""
    if tag.unit == "percent":
        return "%"
    return page.t(tag.unit) if tag.unit and not any(sign.isdigit() for sign in tag.unit) else ""


def _users(page: Page, audience_id: int) -> list[str]:
    """What stands on an audience, in the reader's words."""
    kinds = {"audience": "audience {name}", "export": "export {name}"}
    found = [user.partition(" ") for user in library.users_of_audience(page.store, audience_id)]
    return [page.t(kinds[kind], name=name) if kind in kinds else f"{kind} {name}" for kind, _, name in found]


def _events_with_amount(snapshot: Snapshot) -> set[str]:
    if EVENT_TABLE not in snapshot.tables:
        return set()
    found = snapshot.rows(f"select event from {EVENT_TABLE} group by event having count(amount) > 0")
    return {row["event"] for row in found}


def _problems(page: Page, definition: Definition, audience_id: int | None) -> list[Problem]:
    return check(
        definition,
        page.snapshot.tags,
        evaluate.events_of_version(page.snapshot),
        library.definitions(page.store),
        audience_id,
    )


def _refused(page: Page, problems: list[Problem]) -> Response:
    """422 with the problems, each with the words of its condition's place."""
    return page.json(
        {
            "error": " ".join(problem.message for problem in problems[:3]),
            "problems": [{"path": problem.path, "message": problem.message} for problem in problems],
        },
        422,
    )


def _work_out(page: Page, saved: SavedAudience) -> None:
    """Write down the members at once, so that the list has a size; the next publish does it again anyway."""
    try:
        runs.materialise(page.settings, page.snapshot, saved.id)
    except (AudienceError, RuleError, OSError, duckdb.Error):
        log.exception("Audience %s was saved, but its members could not be written down", saved.path)


def _events(page: Page) -> dict[str, Event]:
    return evaluate.events_of_version(page.snapshot)


def _words(page: Page, definition: Definition) -> str:
    return sentence(definition, page.snapshot.tags, page.language, _events(page), _names(page))


def _outline(page: Page, definition: Definition) -> list[Any]:
    return outline(definition, page.snapshot.tags, page.language, _events(page), _names(page))


def _names(page: Page) -> Any:
    def name(audience_id: int) -> str:
        try:
            return library.load(page.store, audience_id, deleted=True).name
        except UnknownAudienceError:
            return str(audience_id)

    return name


def _sql(page: Page, definition: Definition) -> str:
    """The counting SQL with its values written out, for people to read."""
    query = compile_count(
        definition,
        page.snapshot.tags,
        _events(page),
        library.definitions(page.store),
        page.snapshot.as_of_date,
    )
    return query.literal()


def _size(page: Page, size: Size) -> dict[str, Any]:
    """A size in words and numbers; what is under SMALL, or would give it away, is left out for some."""
    everything = page.may("see_personal")
    hidden = evaluate.shown(size.members, everything) is None
    steps = [(page.t("Fit the rule"), size.matched)] if size.matched != size.members else []
    if size.without_consent:
        steps.append((page.t("Cannot be reached or did not allow it"), size.without_consent))
    if size.objected:
        steps.append((page.t("Objected to advertising"), size.objected))
    if size.held_out:
        steps.append((page.t("Held out"), size.held_out))
    steps += [(page.t("Part {name}", name=name), count) for name, count in size.parts.items()]
    gives_away = not everything and any(count < SMALL for _, count in steps)
    return {
        "members": None if hidden else size.members,
        "text": _counted(page, size.members),
        "share": None if hidden else size.share,
        "share_text": "" if hidden else _percent(page, size.share),
        "population": size.population,
        "steps": []
        if hidden
        else [{"label": label, "text": "–" if gives_away else _counted(page, count)} for label, count in steps],
    }


def _cells(page: Page, tag: Tag, cells: list[Cell]) -> list[dict[str, Any]]:
    if not page.may("see_personal"):
        cells = evaluate.hide_small(cells)
    return [
        {
            "label": _label(page, tag, cell),
            "members": cell.members,
            "share": cell.share,
            "population_share": cell.population_share,
            "lift": cell.lift,
            "probability": cell.probability,
            "significant": cell.significant,
        }
        for cell in cells
    ]


def _label(page: Page, tag: Tag, cell: Cell) -> str:
    if cell.kind == "unknown":
        return page.t("unknown")
    if cell.kind == "rest":
        return page.t("all others")
    if tag.data_type == "boolean":
        return page.t(BOOLEAN[cell.label])
    return tag.value_label(cell.label, page.language)


def _counted(page: Page, count: int) -> str:
    """A number of persons as its reader may see it."""
    visible = evaluate.shown(count, page.may("see_personal"))
    return f"< {SMALL}" if visible is None else format_decimal(visible, "#,##0", locale=LOCALES[page.language])


def _percent(page: Page, share: float) -> str:
    return format_percent(share, "#,##0.0%", locale=LOCALES[page.language])


def _day(page: Page, day: date) -> str:
    return format_date(day, "d MMM y" if page.language == "en" else "long", locale=LOCALES[page.language])


def _least(page: Page) -> int:
    return 1 if page.may("see_personal") else SMALL


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""


def _first_tag(snapshot: Snapshot) -> Tag | None:
    return next(
        (snapshot.tags[name] for name in FIRST_COMPOSITION if name in snapshot.tags),
        next(iter(snapshot.tags.values()), None),
    )


def _tag_options(page: Page) -> list[tuple[str, str]]:
    """Tags to compare by, by title."""
    found = [
        (tag.name, tag.label(page.language)) for tag in page.snapshot.tags.values() if tag.personal_data != "direct"
    ]
    return sorted(found, key=lambda option: option[1].casefold())


def _holds(page: Page, audience: SavedAudience) -> list[Hold]:
    try:
        tags = library.tags_of_audience(page.store, audience)
        tables = [EVENT_TABLE] if library.events_of_audience(page.store, audience) else []
    except UnknownAudienceError:
        # An audience inside it was deleted by hand: what is known of it still counts.
        tags, tables = frozenset(), [EVENT_TABLE] if events_of(audience.definition) else []
    return holds_for(page.settings, tags, tables, subject=audience.subject)


def _points(page: Page, newest_first: list[AudienceRun]) -> str:
    """Sizes of runs as points of a polyline 80 wide and 20 high."""
    sizes = [evaluate.shown(run.size, page.may("see_personal")) or 0 for run in reversed(newest_first)]
    if len(sizes) < 2:
        return ""
    low, high = min(sizes), max(sizes)
    step = 80 / (len(sizes) - 1)
    return " ".join(
        f"{2 + step * number:.1f},{22 - 20 * ((size - low) / (high - low) if high > low else 0.5):.1f}"
        for number, size in enumerate(sizes)
    )


def _run_chart(page: Page, newest_first: list[AudienceRun]) -> dict[str, Any]:
    """Who stayed and entered, stacked, and who left below."""
    past = list(reversed(newest_first))
    seen = [not _moves(page, run).are_hidden for run in past]
    runs_seen = list(zip(past, seen, strict=True))
    chart: dict[str, Any] = {
        "kind": "bar",
        "stacked": True,
        "categories": [f"{run.as_of_date:%Y-%m-%d} v{run.version_number}" for run in past],
        "series": [
            {"name": page.t("Stayed"), "values": [run.stayed if shown else None for run, shown in runs_seen]},
            {
                "name": page.t("Entered"),
                "values": [run.entered if shown else None for run, shown in runs_seen],
                "tone": "good",
            },
            {
                "name": page.t("Left"),
                "values": [-run.left_count if shown else None for run, shown in runs_seen],
                "tone": "bad",
            },
        ],
    }
    if not all(seen):
        sizes = [None if shown else evaluate.shown(run.size, page.may("see_personal")) for run, shown in runs_seen]
        chart["series"].append({"name": page.t("Size"), "values": sizes, "tone": "quiet"})
    return chart


def _moves(page: Page, run: AudienceRun) -> Moves:
    """Entered, stayed and left: where one is small, those that it could be worked out from are hidden with it."""
    everything = page.may("see_personal")
    hidden = not everything and any(0 < count < SMALL for count in (run.size, run.entered, run.stayed, run.left_count))
    if hidden:
        return Moves("–", "–", "–", True)
    entered, stayed, left = (
        format_decimal(count, "#,##0", locale=LOCALES[page.language])
        for count in (run.entered, run.stayed, run.left_count)
    )
    return Moves(entered, stayed, left, False)


def _others(page: Page, audience: SavedAudience) -> list[Other]:
    """The audiences that share most with this one."""
    conditions = {}
    for other in library.list_audiences(page.store):
        if other.id != audience.id and not _problems(page, other.definition, other.id):
            conditions[other.id] = other
    saved = list(conditions.values())[: evaluate.MOST_AUDIENCES - 1]
    if not saved:
        return []
    found = evaluate.overlap(
        page.snapshot,
        [audience.definition, *(other.definition for other in saved)],
        library.definitions(page.store),
    )
    told = []
    for number, other in enumerate(saved, start=1):
        shared = found.shared[0][number]
        visible = evaluate.shown(shared, page.may("see_personal"))
        share = shared / found.sizes[0] if visible is not None and found.sizes[0] else None
        told.append(Other(other, _counted(page, shared), share, found.similarity(0, number)))
    return sorted(told, key=lambda other: -other.similarity)[:8]


def _changes(page: Page, newest_first: list[SavedAudience]) -> list[VersionChange]:
    """Each version with the lines, in words, that it added to and took from the one before."""

    def told(version: SavedAudience) -> list[str]:
        lines = [line.text for line in _outline(page, version.definition)]
        return [*lines, *beside_the_rule(version.definition, page.language)]

    changes = []
    for number, version in enumerate(newest_first):
        before = told(newest_first[number + 1]) if number + 1 < len(newest_first) else None
        lines: list[tuple[str, str]] = []
        if before is not None:
            after = told(version)
            for kind, low, high, begin, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
                if kind != "equal":
                    lines += [("removed", line) for line in before[low:high]]
                    lines += [("added", line) for line in after[begin:end]]
        changes.append(VersionChange(version, lines))
    return changes
