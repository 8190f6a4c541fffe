"""Mails as people see them: in a real browser, light and dark, on a wide screen and on a phone."""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from tagloom.alerting.book import Finding, Incident
from tagloom.alerting.messages import Alarm, Alert, Mail, message, subject_of
from tagloom.lineage import Dependents
from tagloom.quality import CheckResult

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CHROMIUM = Path("/usr/bin/chromium")

SCREENS = {"wide": (1000, 900), "phone": (390, 844)}

SCHEMES = ("light", "dark")

SMALLEST_CONTRAST = 4.5
"""Of a text against what is behind it (WCAG 2.1, level AA)."""

SMALLEST_LETTERS = 12
"""Pixels."""

NOW = datetime(2018, 1, 1, 6, 30, tzinfo=UTC)

CHECK = CheckResult(
    run_id="scheduled__2018-01-01T06:00:00+00:00",
    as_of_date=date(2017, 12, 31),
    layer="landing",
    contract="landing/pos/basket_lines.yml",
    table="raw_pos.basket_lines",
    column="card_number",
    name="The loyalty file knows the cards that are shown at the tills",
    check_type="invalid",
    outcome="failed",
    measured=48.7214,
    unit=" %",
    threshold="at most 1 %, and better at most 0.1 %",
    owner="loyalty@example.com",
    what_to_do="Ask the loyalty team whether their card file is complete, then run ingest_loyalty for the day again.",
    sample=("26••••••••31, 1•••••88", "41••••••••02, 9•••••10", "41••••••••17, 1•••••65"),
    problem="",
    milliseconds=1.0,
)
WARNED = replace(CHECK, name="The day has about as many till lines as a day of the four weeks before", outcome="warned")
UNREADABLE = replace(
    CHECK,
    name="The contract landing/wifi/sightings.yml can be verified",
    table="raw_wifi.sightings",
    check_type="contract",
    outcome="not evaluated",
    problem="landing/wifi/sightings.yml: checks.2.duplicates: is not a known key; did you mean 'duplicate'?",
)
TAGS = tuple(f"spend_percentile_in_age_band_of_department_{number}" for number in range(30))
ALERT = Alert(
    run_id=CHECK.run_id,
    as_of_date=CHECK.as_of_date,
    dag_id="build_tags",
    task_id="landing",
    title="checks of landing",
    results=(CHECK, WARNED, UNREADABLE),
    consequence="nothing new is published",
    impact={
        CHECK.table: Dependents(
            tags=TAGS,
            tags_by_identity=TAGS[20:],
            audiences=("audience_birthday_next_month", "audience_dormant_big_spenders"),
            others={"reports": ("report_sales_by_segment",)},
        )
    },
    probable={CHECK.table: ("The newest delivery of loyalty.cards had 1,234 rows; usually it has 2,469.",)},
    trends={subject_of(CHECK): (0.0, 0.0, 0.1, 0.0, 0.0, 0.1, 48.7214)},
    in_use="Version 20171230-1a2b3c4d (tags of 2017-12-30) stays in use.",
    links={"Task log": "http://localhost:8080/dags/build_tags/runs/scheduled__2018-01-01/tasks/landing"},
    runbook="http://localhost:8080/tagloom/runbook",
)
ALARM = Alarm(
    subject="web_payment: web shop",
    title="Payments that go through, web shop",
    sentence="41.2% on the last 3 days, below 80% of the mean of 78.9%",
    owner="online@example.com",
    what_to_do="Look at the payment provider's status page and at the errors of the last days, by platform.",
    values=(*(0.79, 0.81, None, 0.77, 0.80, 0.78, 0.82) * 4, 0.52, 0.41, 0.39),
    limit=0.63,
)
TASK = replace(
    ALERT,
    title="building tag integration",
    task_id="tag_integration",
    results=(),
    impact={},
    exception="the model person_tags_consumption could not be built: Out of Memory Error: failed to allocate data of "
    "size 256.0 MiB (1.9 GiB/1.9 GiB used)\n/opt/tagloom/dbt_project/models/tag_integration/person/"
    "person_tags_consumption.sql",
)
INCIDENT = Incident(
    7,
    Finding(subject_of(CHECK), "check", "failed", CHECK.name, CHECK.owner, CHECK.table),
    datetime(2017, 12, 30, 5, tzinfo=UTC),
    "scheduled__2017-12-30",
    3,
    "ann@example.com",
)

MAILS = {
    "checks": Mail(
        "failure", ALERT, CHECK.owner, incidents=(INCIDENT,), held=("30 tags", *ALERT.impact[CHECK.table].audiences)
    ),
    "alarm": Mail("failure", replace(ALERT, title=ALARM.title, results=(), impact={}, alarms=(ALARM,)), ALARM.owner),
    "task": Mail("failure", TASK, CHECK.owner),
    "change": Mail(
        "change",
        replace(
            ALERT, results=(), warnings={CHECK.table: ("Column store_identification_number is new and not declared.",)}
        ),
        CHECK.owner,
    ),
    "digest": Mail(
        "digest", replace(ALERT, results=(), title="warnings of the day"), CHECK.owner, incidents=(INCIDENT,) * 3
    ),
    "recovery": Mail(
        "recovery",
        replace(ALERT, results=()),
        CHECK.owner,
        resolved=(INCIDENT,),
        released=("30 tags", "audience_lapsed"),
    ),
}

LOOK = r"""
() => {
  const numbers = (text) => text.match(/[\d.]+/g).map(Number);
  const linear = (part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const light = (rgb) => {
    const [red, green, blue] = rgb.slice(0, 3).map((part) => linear(part / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const rgb = numbers(getComputedStyle(one).backgroundColor);
      if (rgb.length === 3 || rgb[3] === 1) return rgb;
    }
    return [255, 255, 255];
  };
  let faintest = { contrast: 21, text: "" };
  let smallest = 99;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || element.getBoundingClientRect().height < 6) continue;
    const style = getComputedStyle(element);
    const [more, less] = [light(numbers(style.color)), light(behind(element))].sort((one, other) => other - one);
    const contrast = (more + 0.05) / (less + 0.05);
    if (contrast < faintest.contrast) faintest = { contrast, text };
    smallest = Math.min(smallest, parseFloat(style.fontSize));
  }
  const elements = [...document.querySelectorAll("body *")];
  const outside = elements.filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5);
  return {
    faintest,
    smallest,
    width: document.documentElement.scrollWidth,
    outside: outside.map((one) => one.outerHTML.slice(0, 120)),
    missing_pictures: [...document.images].filter((image) => !image.complete || !image.naturalWidth).length,
  };
}
"""
"""What a browser says of the page; contrasts as WCAG 2.1 defines them."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium; where it is not installed these tests are skipped."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass(frozen=True)
class Seen:
    """A mail as one reader sees it."""

    asked: list[str]
    """Addresses that it asked the network for."""
    missing_pictures: int
    width: float
    outside: list[str]
    """Elements that reach over the right edge of the screen."""
    faintest: dict
    """The text that stands out least, and its contrast."""
    smallest: float
    """Size of the smallest letters, in pixels."""
    brightness: int
    """Median of the screenshot, 0 to 255."""


@pytest.fixture(scope="module")
def seen(browser: Browser) -> dict[tuple[str, str, str], Seen]:
    """Every mail in every scheme on every screen."""
    found = {}
    for scheme, screen in itertools.product(SCHEMES, SCREENS):
        width, height = SCREENS[screen]
        with browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height}) as context:
            for name, mail in MAILS.items():
                found[name, scheme, screen] = _look(context.new_page(), mail)
    return found


def _look(page: Page, mail: Mail) -> Seen:
    asked: list[str] = []

    def note(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route("**/*", note)
    page.set_content(as_shown(mail), wait_until="load")
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("L")
    pixels = sorted(picture.resize((60, 60)).tobytes())
    seen = Seen(asked, brightness=pixels[len(pixels) // 2], **page.evaluate(LOOK))
    page.close()
    return seen


def as_shown(mail: Mail) -> str:
    """The HTML of a mail with its pictures in place, as mail programs do it."""
    made = message(mail, "tagloom@example.com", NOW)
    html = made.get_body(("html",)).get_content()
    for part in made.walk():
        if part.get_content_maintype() == "image":
            name, picture = part["Content-ID"].strip("<>"), base64.b64encode(part.get_content()).decode()
            assert f"cid:{name}" in html
            html = html.replace(f"cid:{name}", f"data:image/png;base64,{picture}")
    assert "cid:" not in html
    return html


every_look = pytest.mark.parametrize("look", [*itertools.product(MAILS, SCHEMES, SCREENS)], ids="-".join)


@every_look
def test_a_mail_asks_the_network_for_nothing_and_shows_its_pictures(seen: dict, look: tuple[str, str, str]) -> None:
    assert seen[look].asked == []
    assert seen[look].missing_pictures == 0


@every_look
def test_a_mail_needs_no_scrolling_sideways(seen: dict, look: tuple[str, str, str]) -> None:
    assert seen[look].outside == []
    assert seen[look].width <= SCREENS[look[2]][0]


@every_look
def test_every_text_can_be_read(seen: dict, look: tuple[str, str, str]) -> None:
    assert seen[look].faintest["contrast"] >= SMALLEST_CONTRAST, seen[look].faintest["text"]
    assert seen[look].smallest >= SMALLEST_LETTERS


@every_look
def test_a_mail_is_light_or_dark_as_its_reader_likes(seen: dict, look: tuple[str, str, str]) -> None:
    assert seen[look].brightness > 200 if look[1] == "light" else seen[look].brightness < 60
