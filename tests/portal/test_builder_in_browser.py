"""The builder in a real browser: build, see the size change, save, a new version, delete; and through Airflow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.portal.airflow_server import AirflowPortal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FrameLocator, Page

pytestmark = pytest.mark.slow

SECONDS = 30_000
"""Milliseconds that an answer may take on a busy machine."""


@pytest.fixture
def page(browser: Browser, portal_url: str) -> Iterator[Page]:
    """A page of an administrator that fails the test when its console says that something is wrong."""
    context = browser.new_context(
        base_url=portal_url,
        viewport={"width": 1400, "height": 950},
        locale="en-GB",
        extra_http_headers={"x-user": "ada admin"},
    )
    context.set_default_timeout(SECONDS)
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    context.close()
    assert [line for line in said if "409" not in line] == []


def size(page: Page | FrameLocator) -> int:
    """The size that the builder shows, once it is the answer to the last change."""
    from playwright.sync_api import expect

    expect(page.locator(".size-card")).to_have_attribute("aria-busy", "false", timeout=SECONDS)
    return int(page.locator("[data-size]").inner_text().replace(",", ""))


def add_condition(page: Page | FrameLocator, search: str, keys: Page, group: int = 0) -> None:
    """Press + Condition in a group, search for a field and take the first one found."""
    page.get_by_role("button", name="Condition", exact=True).nth(group).click()
    keys.keyboard.type(search)
    keys.keyboard.press("Enter")


def test_an_audience_is_built_saved_changed_and_deleted(page: Page) -> None:
    """With mouse and keyboard: the size follows, a version is kept, a used one is not deleted."""
    from playwright.sync_api import expect

    page.goto("/audiences/new")
    everybody = size(page)
    add_condition(page, "rfm segment", page)
    page.get_by_role("combobox", name="Value of RFM segment").click()
    page.keyboard.type("cham")
    page.keyboard.press("Enter")
    expect(page.locator(".sentence")).to_have_text(re.compile("RFM segment is champion"))
    champions = size(page)
    assert 0 < champions < everybody
    page.keyboard.type("loy")
    page.keyboard.press("Enter")
    expect(page.locator(".sentence")).to_have_text(re.compile("champion or loyal"))
    both = size(page)
    assert champions < both < everybody
    page.keyboard.press("Backspace")
    expect(page.locator(".sentence")).to_have_text(re.compile("RFM segment is champion[^ ]"))
    assert size(page) == champions
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.locator(".sentence")).to_have_text(re.compile("champion or loyal"))
    assert size(page) == both
    # The make-up follows the rule: half of them or so are champions.
    expect(page.locator(".bars tbody tr").first).to_contain_text("champion")
    page.get_by_text("SQL", exact=True).click()
    expect(page.locator("pre")).to_contain_text("person_tags.rfm_segment IN ('champion', 'loyal')")

    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_label("Name").fill("Best customers")
    page.get_by_label("Folder").fill("value")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page).to_have_url(re.compile(r"/audiences/\d+$"))
    expect(page.get_by_role("heading", name="Best customers")).to_be_visible()
    expect(page.locator(".stat-value").first).to_have_text(f"{both:,}")
    address = page.url

    page.get_by_role("link", name="Edit", exact=True).click()
    add_condition(page, "app installed", page)
    expect(page.locator(".sentence")).to_have_text(re.compile("and App installed is yes"))
    fewer = size(page)
    assert fewer < both
    page.get_by_role("button", name="Save as version 2").click()
    page.get_by_label("What changed and why").fill("Only who has the app")
    page.keyboard.press("Enter")
    expect(page).to_have_url(address)
    expect(page.get_by_text("Only who has the app")).to_be_visible()
    expect(page.locator(".change-lines .added")).to_contain_text("App installed is yes")

    page.goto("/audiences/new")
    add_condition(page, "Best customers", page)
    expect(page.locator(".sentence")).to_have_text(re.compile("in the audience “Best customers”|value/Best"))
    assert size(page) == fewer
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_label("Name").fill("Same again")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Same again")).to_be_visible()

    page.goto(address)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Yes, do it").click()
    expect(page.get_by_text("used by: audience Same again")).to_be_visible()


def test_every_kind_of_condition_can_be_built(page: Page) -> None:
    """Numbers, days, events, a sequence, groups that are turned round, consent, holdout and split."""
    from playwright.sync_api import expect

    page.goto("/audiences/new")
    everybody = size(page)
    add_condition(page, "spend, 365", page)
    page.get_by_label("Value of Spend, 365 days: from").fill("100")
    expect(page.get_by_text("One condition is not finished")).to_be_visible()
    page.get_by_label("Value of Spend, 365 days: to").fill("900.5")
    expect(page.locator(".sentence")).to_have_text(re.compile("from 100 to 900.5"))
    with_spend = size(page)
    assert with_spend < everybody

    page.get_by_role("button", name="Group", exact=True).click()
    # The new group asks at once what its first condition is about.
    page.keyboard.type("purchase in a store")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Any of").nth(1).click()
    page.get_by_role("button", name="Not", exact=True).nth(1).click()
    page.get_by_label("Times").fill("3")
    page.get_by_label("Days, empty: ever").fill("45")
    expect(page.locator(".sentence")).to_have_text(re.compile("not .they did “Purchase in a store” at least 3 times"))
    assert size(page) < with_spend
    add_condition(page, "one event after", page, group=1)
    expect(page.locator(".sentence")).to_have_text(re.compile(r"and then “.+” within 7 days"))
    add_condition(page, "last order", page)
    page.get_by_label("Comparison").last.select_option("between")
    page.get_by_label("Value of Last order: from").fill("2017-06-01")
    page.get_by_label("Value of Last order: to").fill("2017-12-31")
    expect(page.locator(".sentence")).to_have_text(re.compile("from 2017-06-01 to 2017-12-31"))

    page.get_by_label("Reachable by").select_option("email")
    page.get_by_label("Hold out, percent").fill("10")
    page.get_by_label("Split by chance, for a test").check()
    expect(page.locator(".sentence")).to_have_text(
        re.compile("10.% of them are held out.*Split by chance: A 50.%, B 50")
    )
    page.get_by_label("Percent of part 1").fill("70")
    expect(page.get_by_text("120 % of 100 %")).to_be_visible()
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    page.get_by_label("Percent of part 2").fill("30")
    expect(page.locator(".steps-down")).to_contain_text("Part A")
    size(page)
    for _ in range(40):
        if page.get_by_role("button", name="Undo", exact=True).is_disabled():
            break
        page.get_by_role("button", name="Undo", exact=True).click()
    assert size(page) == everybody


def test_a_link_brings_its_rule_along_on_a_telephone_in_chinese(browser: Browser, portal_url: str) -> None:
    """Nothing sticks out, the size is seen while building, and values have their Chinese names."""
    from playwright.sync_api import expect

    context = browser.new_context(
        base_url=portal_url,
        viewport={"width": 390, "height": 844},
        locale="zh-CN",
        extra_http_headers={"x-user": "ada analyst"},
    )
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    rule = {"field": "tag:rfm_segment", "operator": "in", "value": ["champion"]}
    page.goto(f"/audiences/new?rule={quote(json.dumps(rule))}")
    expect(page.locator(".value-chip")).to_have_text(re.compile("冠军客户"))
    expect(page.locator(".size-bar")).to_be_visible()
    page.get_by_role("button", name="条件", exact=True).click()
    expect(page.get_by_role("listbox")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_have_count(0)
    context.close()


def test_from_login_to_the_first_export_through_airflow(airflow_portal: AirflowPortal) -> None:
    """What a new user does: open the portal in Airflow's frame, build, save, and send it to a file."""
    from playwright.sync_api import expect

    opened = airflow_portal.page("admin")
    opened.set_default_timeout(60_000)
    opened.goto(f"{airflow_portal.url}/plugin/tagloom/tagloom/audiences/new")
    portal = opened.frame_locator("iframe")
    everybody = size(portal)
    add_condition(portal, "rfm segment", opened)
    portal.get_by_role("combobox", name="Value of RFM segment").click()
    opened.keyboard.type("cham")
    opened.keyboard.press("Enter")
    expect(portal.locator(".sentence")).to_have_text(re.compile("RFM segment is champion"))
    champions = size(portal)
    assert 0 < champions < everybody
    portal.get_by_role("button", name="Save", exact=True).click()
    portal.get_by_label("Name").fill("Champions")
    portal.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(portal.get_by_role("heading", name="Champions")).to_be_visible()
    portal.get_by_role("link", name="Send it somewhere").click()
    portal.get_by_role("link", name="New export").first.click()
    portal.get_by_label("Name", exact=True).fill("Spring mailing")
    portal.get_by_label("CSV file").check()
    portal.get_by_role("button", name="Save and run now").click()
    with opened.expect_download() as download:
        portal.get_by_role("link", name="Download").first.click()
    rows = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert rows[0].startswith("person_id")
    assert 0 < len(rows) - 1 <= champions
