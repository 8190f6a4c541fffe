"""The runbook as a page, which every alert mail links to: docs/runbook.md with an anchor for each section."""

from __future__ import annotations

import re
from functools import lru_cache

from fastapi import APIRouter, Depends
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from starlette.responses import Response

from tagloom.portal.errors import NotFoundError
from tagloom.portal.page import Page, page_of
from tagloom.portal.rights import needs
from tagloom.settings import PROJECT

RUNBOOK = PROJECT / "docs" / "runbook.md"

STYLES = {
    "ordered_list_open": "list-style:decimal;padding-left:1.5em",
    "bullet_list_open": "list-style:disc;padding-left:1.5em",
    "heading_open": "margin-top:1.75em;scroll-margin-top:5em",
    "fence": "overflow-x:auto",
}
"""What the look of the portal leaves out, because no other page holds long text."""

router = APIRouter()


@router.get("/runbook", dependencies=[needs("see")])
def runbook(page: Page = Depends(page_of)) -> Response:
    """Show what every kind of alert means and what to do."""
    try:
        text = RUNBOOK.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFoundError(
            "The runbook is not part of this installation.", "Set TAGLOOM_RUNBOOK_URL to where it is kept."
        ) from error
    title, sections, body = as_html(text)
    return page.render("runbook/runbook.html", title=title, sections=sections, body=Markup(body))


@lru_cache(maxsize=2)
def as_html(text: str) -> tuple[str, tuple[tuple[str, str], ...], str]:
    """Title, (anchor, heading) of each section, and the rest as HTML. Links to other files become plain text."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    title, sections, kept = "Runbook", [], []
    heading = iter(())
    for position, token in enumerate(tokens):
        if token.type == "heading_open":
            words = plain(tokens[position + 1].content)
            if token.tag == "h1":
                title, heading = words, iter((1, 2, 3))
            else:
                token.attrSet("id", anchor(words))
                if token.tag == "h2":
                    sections.append((anchor(words), words))
        if next(heading, None):
            # The page has its own first heading.
            continue
        for child in token.children or ():
            if child.type == "link_open" and not re.match(r"https?://|#", str(child.attrGet("href"))):
                child.tag = "span"
                child.attrs = {}
        if token.type in STYLES:
            token.attrSet("style", STYLES[token.type])
        if token.type == "table_open":
            token.attrSet("class", "table")
            kept.append(Token("html_block", "", 0, content='<div class="table-wrap" tabindex="0">'))
        kept.append(token)
        if token.type == "table_close":
            kept.append(Token("html_block", "", 0, content="</div>"))
    _close_spans(kept)
    return title, tuple(sections), parser.renderer.render(kept, parser.options, {})


def anchor(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def plain(heading: str) -> str:
    """A heading without the signs of Markdown."""
    return re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", lambda found: found.group(1) or "", heading)


def _close_spans(tokens: list) -> None:
    """Make the end of what was a link fit its beginning."""
    for token in tokens:
        names: list[str] = []
        for child in token.children or ():
            if child.type == "link_open":
                names.append(child.tag)
            elif child.type == "link_close":
                child.tag = names.pop()
