"""The pages in a browser: nothing foreign, no error, nothing that axe finds, no sideways scroll, and readable as it is.

Needs a Chromium that is installed (Debian's package `chromium`, or CHROMIUM names it) and the extra `browser`; without
them it is skipped.
"""

import asyncio
import os
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.shown_page import Shown, shown
from tests.helpers.staged_store import staged

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
MISSING = "no Chromium is installed" if not CHROMIUM else "the extra `browser` is not installed"
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        not CHROMIUM or find_spec("playwright") is None or find_spec("axe_playwright_python") is None,
        reason=f"{MISSING}: the pages are not looked at in a browser",
    ),
]
# How the pages are looked at: (color scheme, width).
LOOKS = [("light", 1280), ("dark", 360)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of capture and reconciliation, and some hours."""
    path = tmp_path_factory.mktemp("browser") / "rollbook.db"
    staged(path, days=1, per_hour=8)
    return path


def addresses(store: Path) -> Iterator[str]:
    """The first page, a zoomed one, a window's and a conversation's."""
    with closing(sqlite3.connect(store)) as db:
        query = "SELECT conversation_id FROM gaps WHERE kind = 'changed' ORDER BY 1"
        [identity] = db.execute(query).fetchone()
    yield from ("/", "/?from=2026-03-05&until=2026-03-06&show=incomplete")
    yield "/windows/2026-03-05T05:00Z"
    yield f"/conversations/{identity}"


class Browser:
    """A browser that notes what it should not see. `look` opens a page."""

    def __init__(self, browser: Any, site: Shown) -> None:
        self._browser, self.site = browser, site
        self.wrong: list[str] = []

    async def look(self, path: str, scheme: str = "light", width: int = 1280, **options: Any) -> Any:
        context = await self._browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 800}, **options
        )
        context.set_default_timeout(120_000)  # a machine that has other work is no failure
        page = await context.new_page()
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", lambda dialog: self.wrong.append(f"dialog {dialog.message}"))
        page.on("request", self._note)
        await page.goto(f"{self.site.address}{path}")
        return page

    def _note(self, request: Any) -> None:
        if not request.url.startswith(self.site.address):
            self.wrong.append(f"foreign request {request.url}")


@asynccontextmanager
async def browsing(store: Path) -> AsyncIterator[Browser]:
    """A browser beside the page of a store."""
    from playwright.async_api import async_playwright

    async with shown(store) as site, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        found = Browser(browser, site)
        try:
            yield found
        finally:
            await browser.close()
        assert found.wrong == []


async def test_pages_are_for_everybody(store: Path) -> None:
    """Light and wide, dark and narrow: axe finds nothing, nothing is wider than the screen, nothing foreign is asked."""
    from axe_playwright_python.async_playwright import Axe

    async with browsing(store) as browser:
        for path in addresses(store):
            for scheme, width in LOOKS:
                # axe is a program that the page's own policy would not let in.
                page = await browser.look(path, scheme, width, bypass_csp=True)
                found = await Axe().run(page)
                assert [rule["id"] for rule in found.response["violations"]] == [], f"{path} {scheme}"
                assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
                await page.context.close()


async def test_a_page_is_read_without_its_script(store: Path) -> None:
    """Everything is there without JavaScript, with the time that it is as of; links lead from the band to a window."""
    async with browsing(store) as browser:
        page = await browser.look("/", java_script_enabled=False)
        text = await page.inner_text("main")
        assert re.search(r"^Complete and settled until 2026-03-0\d \d\d:\d\d UTC; \d+ gaps, all filled\.", text)
        assert "As of 2026-03-05 10:07:00 UTC" in text
        await page.locator("svg.band a[href^='/windows/']").first.press("Enter")
        await page.wait_for_url("**/windows/**")
        assert "every run" in (await page.inner_text("main")).lower()


async def test_a_page_is_kept_up_to_date_while_somebody_looks(store: Path) -> None:
    """What changes in the store comes by itself, with the keyboard's place kept; a hidden tab asks for nothing."""
    async with browsing(store) as browser:
        page = await browser.look("/")
        await page.locator("#live-state", has_text="Kept up to date").wait_for(timeout=120_000)
        await page.locator("#incidents a").first.focus()
        place = await page.evaluate("document.activeElement.getAttribute('href')")
        for entry in browser.site.site.feed._entries.values():
            entry.read_at -= 1_000  # everything that was seen is old
        browser.site.source.time = browser.site.source.time.replace(minute=8)
        await page.locator("#headline", has_text="10:08:00").wait_for(timeout=120_000)
        assert await page.evaluate("document.activeElement.getAttribute('href')") == place
        await page.keyboard.press("Tab")
        first = page.locator("svg.band a").first
        await first.focus()
        await page.keyboard.press("ArrowRight")
        assert await page.evaluate("document.activeElement === document.querySelectorAll('svg.band a')[1]")
        assert browser.site.site.streams.open == 1
        await page.evaluate(
            "Object.defineProperty(document, 'hidden', {value: true}); document.dispatchEvent(new Event('visibilitychange'))"
        )
        async with asyncio.timeout(120):
            while browser.site.site.streams.open:
                await asyncio.sleep(0.05)


async def test_pages_of_windows_and_conversations_get_themselves_anew(tmp_path: Path) -> None:
    """What changed in the store is shown without a reload, and what was unfolded stays so."""
    path = tmp_path / "rollbook.db"
    staged(path, days=1, per_hour=1)

    def change(statement: str) -> None:
        with closing(sqlite3.connect(path)) as db:
            db.execute(statement)
            db.commit()
        for entry in browser.site.site.feed._entries.values():
            entry.read_at -= 1_000

    async with browsing(path) as browser:
        window = await browser.look("/windows/2026-03-05T05:00Z")
        await window.locator("#live-state", has_text="Kept up to date").wait_for(timeout=120_000)
        change("UPDATE windows SET reason = 'looked at again' WHERE start = '2026-03-05T05:00:00.000Z'")
        await window.locator(".state", has_text="looked at again").wait_for(timeout=120_000)
        await window.context.close()
        with closing(sqlite3.connect(path)) as db:
            [identity] = db.execute("SELECT conversation_id FROM conversations WHERE details <> '' LIMIT 1").fetchone()
        page = await browser.look(f"/conversations/{identity}")
        await page.locator("#live-state", has_text="Kept up to date").wait_for(timeout=120_000)
        await page.locator("#details summary").click()
        change("UPDATE conversation_rows SET first_seen_at = '2026-03-05T09:09:09.000Z'")
        await page.locator(".story", has_text="09:09:09").wait_for(timeout=120_000)
        assert await page.locator("#details").get_attribute("open") == ""


async def test_a_page_prints(store: Path) -> None:
    """On paper it is dark on white, whatever the screen's scheme, and nothing is cut off at its side."""
    async with browsing(store) as browser:
        page = await browser.look("/", "dark", 794)
        await page.emulate_media(media="print", color_scheme="light")
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert await page.evaluate("document.documentElement.scrollWidth") <= 794
        assert len(await page.pdf()) > 20_000
