"""The first page, and the switches that every page has."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import Response

from tagloom.portal import small_cells, summary
from tagloom.portal.languages import LANGUAGES
from tagloom.portal.page import LANGUAGE_COOKIE, THEME_COOKIE, THEMES, YEAR_SECONDS, Page, page_of
from tagloom.portal.rights import needs
from tagloom.portal.security import secure_cookie

router = APIRouter()


@router.get("/", dependencies=[needs("see")])
def overview(page: Page = Depends(page_of)) -> Response:
    """Show what is there, how fresh and how well it is, what changed since the day before, and where to begin."""
    snapshot = page.snapshot
    tag = summary.stage_tag(snapshot)
    stages = summary.stages(snapshot, tag) if tag else []
    incidents, held = summary.incidents(page.settings)
    return page.render(
        "overview/overview.html",
        snapshot=snapshot,
        tag=tag,
        stages=_chart(page, tag, stages) if tag else None,
        changes=summary.changes(snapshot),
        layers=summary.layers(page.settings),
        sources=summary.sources(page.settings),
        incidents=incidents,
        held=held,
        audiences=summary.audience_counts(page.store),
        persons_of=lambda persons: _persons(page, persons),
    )


def _chart(page: Page, tag: summary.Tag, stages: list[summary.Move]) -> dict[str, object]:
    """Bars of persons by group; those that are too small for the reader are left out."""
    persons = small_cells.shown([move.persons for move in stages], page.may("see_personal"))
    shown = [(move.value, number) for move, number in zip(stages, persons, strict=True) if number is not None]
    return {
        "kind": "bar",
        "categories": [tag.value_label(value, page.language) for value, _ in shown],
        "series": [{"name": page.t("Persons"), "values": [number for _, number in shown]}],
    }


def _persons(page: Page, persons: int) -> str:
    if persons < small_cells.SMALLEST and not page.may("see_personal"):
        return page.t("fewer than {n}", n=small_cells.SMALLEST)
    return f"{persons:,}"


@router.post("/language", dependencies=[needs("see")])
def choose_language(page: Page = Depends(page_of)) -> Response:
    """Keep the reader's language in a cookie."""
    language = str(page.form.get("language", ""))
    return _back_with(page, LANGUAGE_COOKIE, language if language in LANGUAGES else "en")


@router.post("/theme", dependencies=[needs("see")])
def choose_theme(page: Page = Depends(page_of)) -> Response:
    """Keep the reader's theme in a cookie."""
    theme = str(page.form.get("theme", ""))
    return _back_with(page, THEME_COOKIE, theme if theme in THEMES else "auto")


def _back_with(page: Page, cookie: str, value: str) -> Response:
    """Go back to where the reader was: a path of ours only, never another site."""
    back = str(page.form.get("back", "")).removeprefix(page.root)
    safe = back.startswith("/") and not back.startswith(("//", "/\\")) and back.isprintable()
    response = page.redirect(back if safe else "/")
    response.set_cookie(cookie, value, max_age=YEAR_SECONDS, **secure_cookie(page.request))
    return response
