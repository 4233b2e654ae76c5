"""The pictures of docs/pictures/: `python tests/pictures.py` makes them of a simulated store, so that they cannot drift.

Needs a Chromium that is installed and the extras `browser` and `browse`, as tests/page/test_browser.py does. The terminal is
a frame of `rollbook status --watch` as rich draws it, and Datasette is `rollbook browse`, both on the same store.
"""

import asyncio
import io
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402
from rich.terminal_theme import DIMMED_MONOKAI  # noqa: E402

from rollbook.genesys.program.settings import Settings  # noqa: E402
from rollbook.page.vitals import DaemonVitals, Line  # noqa: E402
from rollbook.store.book import Book  # noqa: E402
from rollbook.store.commands.live import frame, watch  # noqa: E402
from tests.helpers.shown_page import shown  # noqa: E402
from tests.helpers.staged_store import NOW, staged  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
LARGEST = 300_000
# Lines so close that blocks above each other touch, as a terminal has them.
TERMINAL = """<style>body {{ margin: 0; background: #14171c }} pre {{ margin: 0; padding: 1.2rem 1.4rem;
  width: max-content; background: #14171c; color: #d6dae0; font: 16px/1.22 "DejaVu Sans Mono", monospace }}</style>
<pre>{code}</pre>"""
VITALS = DaemonVitals(
    state="degraded",
    why=["3 windows of the last 31 days failed: `rollbook windows --verdict failed` says why"],
    lines=[Line(1, "listening", 1_000, 1_000, 0.0, ""), Line(2, "listening", 412, 411, 0.0, "")],
    channels_free=18,
    new=48_211,
    repeated=37,
    requests=2_904,
    budget_left=231.0,
    latency={"0.1": 210, "0.25": 1_840, "0.5": 2_702, "1": 2_890, "+Inf": 2_904},
)


async def main() -> None:
    """Make them all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rollbook.db"
        await asyncio.to_thread(staged, path, days=6, per_hour=12, fails=lambda number: number in (215, 270, 271))
        with closing(sqlite3.connect(path)) as db:
            [identity] = db.execute(
                "SELECT g.conversation_id FROM gaps g JOIN sessions s USING (conversation_id) WHERE kind = 'changed'"
                " AND media_type = 'voice' GROUP BY 1 HAVING count(*) > 4 ORDER BY 1"
            ).fetchone()
        async with shown(path, vitals=VITALS) as site:
            await site.get("/")
            await _taken(
                site.address,
                {
                    "page": ("/", "light", 1280, 1150),
                    "page-dark": ("/", "dark", 1280, 1150),
                    "page-narrow": ("/", "light", 360, 1500),
                    "window": ("/windows/2026-03-04T05:00Z", "light", 1280, 1000),
                    "conversation": (f"/conversations/{identity}", "light", 1280, 1250),
                },
            )
        await _terminal(path)
        async with browsed(path) as address:
            await _taken(address, {"browse": ("rollbook/queues_of_a_day?day=2026-03-04", "light", 1280, 700)})
    for picture in PICTURES.iterdir():
        assert picture.stat().st_size <= LARGEST, f"{picture.name} is too large to be looked at in passing"


async def _terminal(path: Path) -> None:
    """A frame of `status --watch`, in the colours of a dark terminal."""
    with Book.open(path, mode="ro") as book:
        picture = await book.read(frame.look, Settings(store_path=path), NOW)
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(watch.drawn(frame.frame(picture, None, height=30, plain=False)))
    html = console.export_html(theme=DIMMED_MONOKAI, inline_styles=True, code_format=TERMINAL)
    async with browser() as chromium:
        page = await chromium.new_page(viewport={"width": 900, "height": 600})
        await page.set_content(html)
        await page.locator("pre").screenshot(path=PICTURES / "watch.png")


@asynccontextmanager
async def browsed(path: Path) -> AsyncIterator[str]:
    """The address of `rollbook browse`."""
    command = [sys.executable, "-m", "rollbook", "browse", "--db", str(path), "--port", "0"]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode()
        yield re.findall(r"http://\S+", line)[0]
    finally:
        process.send_signal(signal.SIGINT)
        await process.wait()


@asynccontextmanager
async def browser() -> AsyncIterator[Any]:
    """A Chromium."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        found = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--force-device-scale-factor=1"]
        )
        yield found
        await found.close()


async def _taken(address: str, wanted: dict[str, tuple[str, str, int, int]]) -> None:
    PICTURES.mkdir(exist_ok=True)
    async with browser() as chromium:
        for name, (path, scheme, width, height) in wanted.items():
            context = await chromium.new_context(
                color_scheme=scheme, viewport={"width": width, "height": height}, java_script_enabled=False
            )
            page = await context.new_page()
            await page.goto(f"{address}{path}")
            await page.screenshot(path=PICTURES / f"{name}.png")
            await context.close()


if __name__ == "__main__":
    asyncio.run(main())
