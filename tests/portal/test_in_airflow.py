"""The portal as people meet it: in Airflow's frame, in a real browser, behind Airflow's log-in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.portal.airflow_server import AirflowPortal

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Page

pytestmark = pytest.mark.slow

SECONDS = 60_000
"""Milliseconds that Airflow's pages may take on a busy machine."""


def _framed(page: Page, portal: AirflowPortal, path: str = "") -> FrameLocator:
    from playwright.sync_api import expect

    page.goto(f"{portal.url}/plugin/tagloom{path}", timeout=SECONDS)
    frame = page.frame_locator("iframe")
    expect(frame.locator("main")).to_be_visible(timeout=SECONDS)
    return frame


def test_a_visitor_signs_in_and_comes_back_to_the_page(airflow_portal: AirflowPortal) -> None:
    from playwright.sync_api import expect

    page = airflow_portal.page(user=None)
    page.goto(f"{airflow_portal.url}/tagloom/admin/rights?from=mail", timeout=SECONDS)
    expect(page).to_have_url(re.compile("/auth/login"), timeout=SECONDS)
    page.locator("input[name=username]").fill("uma")
    page.locator("input[name=password]").fill("uma-password")
    page.locator("input[name=password]").press("Enter")

    expect(page).to_have_url(f"{airflow_portal.url}/tagloom/admin/rights?from=mail", timeout=SECONDS)
    expect(page.get_by_text("You are uma, analyst.")).to_be_visible()


def test_the_navigation_of_airflow_leads_to_the_portal(airflow_portal: AirflowPortal) -> None:
    from playwright.sync_api import expect

    page = airflow_portal.page()
    page.goto(airflow_portal.url, timeout=SECONDS)
    page.get_by_role("link", name="Tagloom").click(timeout=SECONDS)

    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Overview")).to_be_visible(timeout=SECONDS)
    expect(frame.get_by_text("31 Dec 2017").first).to_be_visible()
    # Airflow has its own way out.
    frame.get_by_label("Account of admin").click()
    expect(frame.get_by_text("Sign out")).to_be_hidden()


def test_a_page_in_the_frame_has_an_address_that_can_be_sent_on(airflow_portal: AirflowPortal) -> None:
    from playwright.sync_api import expect

    page = airflow_portal.page()
    frame = _framed(page, airflow_portal)
    frame.get_by_role("link", name="Admin", exact=True).click()
    expect(frame.get_by_text("Roles and rights").first).to_be_visible(timeout=SECONDS)
    expect(page).to_have_url(re.compile("/plugin/tagloom/.*admin/rights"), timeout=SECONDS)

    page.goto(page.url, timeout=SECONDS)

    expect(frame.get_by_text("Roles and rights").first).to_be_visible(timeout=SECONDS)


def test_the_frame_follows_airflows_theme(airflow_portal: AirflowPortal) -> None:
    from playwright.sync_api import expect

    page = airflow_portal.page(color_scheme="light")
    frame = _framed(page, airflow_portal)
    expect(frame.locator("html")).not_to_have_class(re.compile("dark"))

    page.evaluate("document.documentElement.classList.add('dark')")

    expect(frame.locator("html")).to_have_class(re.compile("dark"))


def test_the_language_stays_as_chosen(airflow_portal: AirflowPortal) -> None:
    from playwright.sync_api import expect

    page = airflow_portal.page()
    frame = _framed(page, airflow_portal)
    frame.get_by_role("button", name="中文").click()

    expect(frame.get_by_role("heading", name="总览")).to_be_visible()
    expect(frame.locator("html")).to_have_attribute("lang", "zh-Hans")


def test_on_a_telephone_nothing_sticks_out_and_the_menu_opens(airflow_portal: AirflowPortal) -> None:
    from playwright.sync_api import expect

    page = airflow_portal.page(viewport={"width": 390, "height": 800})
    page.goto(f"{airflow_portal.url}/tagloom/", timeout=SECONDS)

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Admin", exact=True).click()
    expect(page.get_by_role("heading", name="Admin")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize(
    ("user", "role", "allowed"),
    [("admin", "admin", True), ("olga", "steward", False), ("uma", "analyst", False), ("vera", "viewer", False)],
)
def test_roles_of_airflow_are_roles_here(airflow_portal: AirflowPortal, user: str, role: str, allowed: bool) -> None:
    page = airflow_portal.page(user)
    page.goto(f"{airflow_portal.url}/tagloom/admin/rights", timeout=SECONDS)
    assert f"You are {user}, {role}." in page.locator("main").inner_text()

    answer = page.goto(f"{airflow_portal.url}/tagloom/admin/audit")

    assert answer is not None
    assert answer.status == (200 if allowed else 403)


def test_a_forged_token_is_nobody(airflow_portal: AirflowPortal) -> None:
    page = airflow_portal.page(user=None)
    page.context.add_cookies([{"name": "_token", "value": "e30.e30.forged", "url": airflow_portal.url}])

    answer = page.request.get(f"{airflow_portal.url}/tagloom/tags", headers={"accept": "application/json"})

    assert answer.status == 401
