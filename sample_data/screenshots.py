"""Takes the pictures of the portal in docs/pictures from what `make demo` has published; needs chromium and playwright.

    PYTHONPATH=plugins python -m sample_data.screenshots [folder]

People's own audiences are neither shown nor touched: a store of its own, thrown away afterwards, holds the examples.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from fastapi import Request
from PIL import Image
from tagloom.audiences import library
from tagloom.environment import load_environment_file
from tagloom.portal.app import create_app
from tagloom.portal.authentication import User
from tagloom.portal.serving import NothingPublishedError, Serving, Snapshot
from tagloom.portal.store.base import Store
from tagloom.settings import PROJECT, Settings, load_settings

FOLDER = PROJECT / "docs" / "pictures"

COLOURS = 128
"""Colours of a picture: a page has few, so a palette makes the file a quarter as large."""


@dataclass(frozen=True)
class Picture:
    """One page, as it is taken."""

    name: str
    path: str
    theme: str = "light"
    language: str = "en"
    width: int = 1400
    height: int = 900
    click: tuple[str, ...] = field(default=())
    """CSS selectors that are clicked before."""


EXAMPLES = {
    "Big spenders who stay away": [
        {"field": "tag:rfm_segment", "operator": "in", "value": ["at risk", "hibernating"]},
        {"field": "tag:spend_365d", "operator": ">=", "value": 500},
        {"field": "event:purchase", "operator": "did_not", "value": {"within_days": 30}},
    ],
    "Families who shop at weekends": [
        {"field": "tag:has_kids", "operator": "=", "value": True},
        {"field": "tag:is_weekend_shopper", "operator": "=", "value": True},
    ],
    "Active card holders": [{"field": "tag:has_active_card", "operator": "=", "value": True}],
}
"""Example audience -> its conditions; conditions about tags that are not published are left out."""


class _Ann:
    """Ann is signed in, whoever asks: this server is for the camera alone."""

    async def user(self, request: Request) -> User:
        return User("ann", "Ann", "admin")

    def login_url(self, request: Request, back: str) -> None:
        return None

    def logout_url(self, request: Request) -> None:
        return None


def take_pictures(settings: Settings, folder: Path = FOLDER) -> list[Path]:
    """Write every picture to the folder and return the files.

    Raises FileNotFoundError before the first publish and where chromium is not installed.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise FileNotFoundError("There is no chromium on this machine; install it, for example: apt install chromium")
    try:
        snapshot = Serving(settings).snapshot()
    except NothingPublishedError as error:
        raise FileNotFoundError("Nothing is published yet; run `make demo` first.") from error
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["TAGLOOM_PORTAL_DATABASE"] = f"sqlite:///{Path(scratch) / 'portal.sqlite'}"
        audience = _save_examples(Store(os.environ["TAGLOOM_PORTAL_DATABASE"]), snapshot)
        with _served(settings) as url:
            return _take(chromium, url, pictures(snapshot, audience), folder)


def pictures(snapshot: Snapshot, audience: int) -> list[Picture]:
    """Return what is taken: the same pages each time, of the person with the most kinds of facts."""
    person = snapshot.value(
        "select person_id from serving.person_events group by person_id "
        "order by count(distinct event) desc, count(*) desc, person_id limit 1"
    )
    group = snapshot.value(
        "select person_id from serving.person_edges group by person_id order by abs(count(*) - 12), person_id limit 1"
    )
    return [
        Picture("overview", "/"),
        Picture("tag", "/tags/person/lifecycle_stage", height=1100),
        Picture("builder", f"/audiences/{audience}/edit", height=1100),
        Picture("audience", f"/audiences/{audience}", height=1100),
        Picture("customer", f"/persons/{person}", height=1000),
        Picture("identity", f"/identity/persons/{group}", height=1000),
        Picture("value", "/value", height=1000),
        Picture("value-dark", "/value/lifecycle", theme="dark"),
        Picture("quality", "/quality", height=1000),
        Picture("overview-zh", "/", language="zh", theme="dark"),
        Picture("phone", "/tags/person/rfm_segment", width=390, height=844),
        Picture("phone-builder", f"/audiences/{audience}/edit", width=390, height=844, theme="dark"),
    ]


def _save_examples(store: Store, snapshot: Snapshot) -> int:
    """Save the examples and return the number of the first."""
    numbers = []
    with store.transaction() as session:
        for name, conditions in EXAMPLES.items():
            known = [rule for rule in conditions if _is_known(rule["field"], snapshot)]
            definition = {"schema": 1, "rule": {"combinator": "and", "not": False, "rules": known}}
            saved = library.save(session, definition, name, by="ann", folder="Examples", description="An example.")
            numbers.append(saved.id)
    return numbers[0]


def _is_known(field_name: str, snapshot: Snapshot) -> bool:
    kind, _, name = field_name.partition(":")
    return kind != "tag" or name in snapshot.tags


@contextmanager
def _served(settings: Settings) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    app = create_app(settings, _Ann())
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def _take(chromium: str, url: str, wanted: list[Picture], folder: Path) -> list[Path]:
    from playwright.sync_api import sync_playwright

    files = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for picture in wanted:
            context = browser.new_context(
                viewport={"width": picture.width, "height": picture.height},
                color_scheme=picture.theme,
                locale={"en": "en-GB", "zh": "zh-CN"}[picture.language],
                reduced_motion="reduce",
            )
            page = context.new_page()
            answer = page.goto(f"{url}{picture.path}", wait_until="networkidle")
            if answer is None or not answer.ok:
                raise RuntimeError(f"{picture.path} answers {answer and answer.status}, so it cannot be taken.")
            for selector in picture.click:
                page.locator(selector).first.click()
            # Charts and previews are drawn after the page.
            page.wait_for_timeout(1_200)
            file = folder / f"{picture.name}.png"
            page.screenshot(path=file)
            Image.open(file).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
            files.append(file)
            context.close()
        browser.close()
    return files


if __name__ == "__main__":
    load_environment_file(PROJECT / ".env")
    for written in take_pictures(load_settings(), Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER):
        print(f"{written}  {written.stat().st_size // 1024} kB")
