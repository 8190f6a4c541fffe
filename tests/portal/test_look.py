"""Every page in a browser: readable for everybody (axe-core), on a telephone too, and nothing the policy refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

AXE = files("axe_playwright_python") / "axe.min.js"
"""The package's own way in evaluates text, which the content security policy refuses."""

PAGES = (
    "/",
    "/tags",
    "/tags/person/lifecycle_stage",
    "/audiences",
    "/audiences/new",
    "/audiences/1",
    "/audiences/1/exports",
    "/audiences/1/exports/new",
    "/exports",
    "/persons",
    "/persons/1",
    "/identity",
    "/identity/persons/1",
    "/identity/suspects",
    "/identity/changes",
    "/value",
    "/value/lifecycle",
    "/value/cohorts",
    "/value/cross",
    "/value/trends",
    "/dashboards",
    "/quality",
    "/quality/checks",
    "/quality/incidents",
    "/quality/quarantine",
    "/quality/holds",
    "/admin/rights",
    "/admin/tokens",
    "/admin/audit",
    "/no/such/page",
)

Opened = Callable[..., "Page"]


@pytest.fixture(scope="module")
def opened(browser: Browser, portal_url: str) -> Iterator[Opened]:
    """Open a path as the administrator in a theme, a language and a width; what the console says is in `.said`."""
    contexts = {}

    def open_page(path: str, theme: str = "light", width: int = 1400, language: str = "en") -> Page:
        key = (theme, width, language)
        if key not in contexts:
            context = browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme=theme,
                locale={"en": "en-GB", "zh": "zh-CN"}[language],
                extra_http_headers={"x-user": "ada admin"},
                reduced_motion="reduce",
            )
            if AXE.exists():
                # Put in by the browser itself: the pages' policy allows no foreign script.
                context.add_init_script(path=AXE)
            contexts[key] = context.new_page()
            contexts[key].said = []
            contexts[key].on("console", lambda message: contexts[key].said.append(f"{message.type}: {message.text}"))
            contexts[key].on("pageerror", lambda error: contexts[key].said.append(f"error: {error}"))
        page = contexts[key]
        page.said.clear()
        page.goto(f"{portal_url}{path}", wait_until="networkidle")
        return page

    yield open_page
    for page in contexts.values():
        page.context.close()


@pytest.mark.parametrize("path", PAGES)
def test_everybody_can_read_and_use_it(opened: Opened, path: str) -> None:
    page = opened(path)

    assert _violations(page, "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']") == []


@pytest.mark.parametrize("path", PAGES)
def test_a_dark_telephone_in_chinese_shows_it_whole(opened: Opened, path: str) -> None:
    page = opened(path, "dark", 390, "zh")

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert [line for line in page.said if line.startswith(("error", "warning")) and "404" not in line] == []
    assert _violations(page, "{type: 'rule', values: ['color-contrast', 'document-title', 'target-size']}") == []


def _violations(page: Page, run_only: str) -> list[str]:
    """What axe-core finds, with the rule and the place."""
    found = page.evaluate(f"axe.run(document, {{runOnly: {run_only}}})")
    return [
        f"{violation['id']}: {violation['help']}: {node['target']} {node['html'][:160]}"
        for violation in found["violations"]
        for node in violation["nodes"][:3]
    ]


def test_the_keyboard_reaches_the_content_and_dialogs(opened: Opened) -> None:
    from playwright.sync_api import expect

    page = opened("/admin/tokens")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()

    page.get_by_label("Name").fill("report")
    page.get_by_label("Name").press("Enter")
    page.get_by_role("button", name="Revoke report").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("lose access at once")
    page.keyboard.press("Escape")
    expect(page.get_by_text("revoked")).to_be_hidden()
    page.get_by_role("button", name="Revoke report").press("Enter")
    page.get_by_role("button", name="Yes, do it").press("Enter")
    expect(page.get_by_text("revoked")).to_be_visible()


def test_the_theme_can_be_chosen(opened: Opened) -> None:
    page = opened("/", theme="light", width=1000)
    dark = "document.documentElement.classList.contains('dark')"
    assert not page.evaluate(dark)

    page.get_by_role("button", name="Theme: automatic").click()
    assert page.evaluate(dark)
    page.get_by_role("button", name="Theme: dark").click()
    assert not page.evaluate(dark)
    page.get_by_role("button", name="Theme: light").click()
    page.get_by_role("button", name="Theme: automatic").wait_for()
