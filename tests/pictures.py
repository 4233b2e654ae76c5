"""The pictures of docs/pictures/: `python tests/pictures.py` makes them of a simulated store, so that they cannot drift.

Needs a Chromium that is installed and the extra `browser`, as tests/page/test_browser.py does.
"""

import asyncio
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from rollbook.page.vitals import DaemonVitals, Line  # noqa: E402
from tests.helpers.shown_page import shown  # noqa: E402
from tests.helpers.staged_store import staged  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
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


async def _taken(address: str, wanted: dict[str, tuple[str, str, int, int]]) -> None:
    from playwright.async_api import async_playwright

    PICTURES.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser: Any = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--force-device-scale-factor=1"]
        )
        for name, (path, scheme, width, height) in wanted.items():
            context = await browser.new_context(
                color_scheme=scheme, viewport={"width": width, "height": height}, java_script_enabled=False
            )
            page = await context.new_page()
            await page.goto(f"{address}{path}")
            await page.screenshot(path=PICTURES / f"{name}.png")
            await context.close()
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
