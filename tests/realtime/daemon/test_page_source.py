"""The page on the daemon's port: beside health and metrics, with the daemon's own state; off by a setting."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from realtime.daemon.http_port import HttpPort
from realtime.daemon.page_source import page_settings, site_of, vitals_of
from realtime.figures import DaemonFigures, LineFigures, QueueFigures
from reconcile.gate import Readiness
from rollbook.genesys.errors import RollbookError, SettingsError, StoreError
from rollbook.genesys.program.settings import Secret, Settings, load
from rollbook.store.book import Book

LINE = LineFigures(number=0, phase="waiting", topics=10, details=0, connects=1, losses=1, heard_topics=9, down_for=12.0)


class Stand:
    """A daemon that has its store, or is starting."""

    def __init__(self, book: Book | None, figures: DaemonFigures) -> None:
        self._book, self._figures = book, figures

    async def figures(self) -> DaemonFigures:
        return self._figures

    async def readiness(self, interval: str, *, settled: bool) -> Readiness:
        raise RollbookError(f"{interval} {settled}")

    async def look(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if self._book is None:
            raise StoreError("the daemon is starting; ask again")
        return await self._book.read(fn, *args, **kwargs)

    def now(self) -> datetime:
        return datetime(2026, 3, 5, 10, 7, tzinfo=UTC)


async def asked(daemon: Stand, settings: Settings, *paths: str) -> list[tuple[int, str]]:
    """The answers of the daemon's port to these paths."""
    port = HttpPort(daemon, "127.0.0.1:0", site=await site_of(daemon, settings))
    await port.start()
    found = []
    try:
        async with ClientSession() as session:
            for path in paths:
                async with session.get(f"http://127.0.0.1:{port.port}{path}") as answer:
                    found.append((answer.status, await answer.text()))
    finally:
        await port.stop()
    return found


async def test_the_page_is_on_the_daemons_port(tmp_path: Path) -> None:
    """One server answers `/` and `/healthz`, and both say the same state; off by a setting, health stays."""
    path = tmp_path / "rollbook.db"
    async with Book.open(path, organization=("o", "Northwind Care")) as book:
        daemon = Stand(book, DaemonFigures(lines=(LINE,)))
        settings = Settings(store_path=path)
        page, health, as_json = await asked(daemon, settings, "/", "/healthz", "/status.json")
        assert page[0] == health[0] == 200
        assert "1 of 1 lines do not listen, line 1 for 12 s" in page[1]
        assert "1 of 1 lines do not listen, line 1 for 12 s" in health[1]
        assert '"state": "degraded"' in as_json[1]
        off = await asked(daemon, Settings(store_path=path, page_enabled=False), "/", "/healthz")
        assert [status for status, _ in off] == [404, 200]


async def test_a_daemon_that_starts_says_so(tmp_path: Path) -> None:
    """Until there is a store the page is 503 with the reason, and health answers as ever."""
    found = await asked(
        Stand(None, DaemonFigures(starting_for=3)), Settings(store_path=tmp_path / "x.db"), "/", "/healthz"
    )
    assert [status for status, _ in found] == [503, 200]
    assert "The daemon is starting; ask again." in found[0][1]


def test_what_the_queue_brings_is_counted_too() -> None:
    """The page's figures are those of the sockets and of the queue together."""
    sqs = QueueFigures(name="events", is_listening=True, new=5, repeated=2, dead_letters=1, in_hand=4, oldest=9.0)
    found = vitals_of(DaemonFigures(lines=(LINE,), sqs=sqs, new=10, waiting_frames=1, waiting_for=3.0))
    assert (found.new, found.repeated, found.dead_letters, found.waiting, found.waiting_for) == (15, 2, 1, 5, 9.0)
    assert found.queue == "events is listened to"
    assert found.lines[0][:4] == (1, "waiting", 10, 9)


async def test_the_token_may_be_in_a_file(tmp_path: Path) -> None:
    """`file:PATH` is read when the page begins; a file that is not there is one line that names it."""
    (tmp_path / "token").write_text("a-token-of-many-letters\n")
    found = await page_settings(Settings(page_token=Secret(f"file:{tmp_path / 'token'}")))
    assert found.token == "a-token-of-many-letters"
    with pytest.raises(RollbookError, match="nowhere"):
        await page_settings(Settings(page_token=Secret(f"file:{tmp_path / 'nowhere'}")))


def test_settings_of_the_page_are_read(tmp_path: Path) -> None:
    """The section and the variable; a token that is short is refused without being shown."""
    (tmp_path / "rollbook.toml").write_text(
        '[page]\nenabled = false\npersonal = true\nhosts = ["Rollbook.example.org"]\n'
    )
    settings = load(env={"ROLLBOOK_PAGE_TOKEN": "a-token-of-many-letters"}, cwd=tmp_path)
    assert (settings.page_enabled, settings.page_personal, settings.page_hosts) == (
        False,
        True,
        ("rollbook.example.org",),
    )
    assert settings.page_token == Secret("a-token-of-many-letters")
    with pytest.raises(SettingsError, match="16 characters or more") as caught:
        load(env={"ROLLBOOK_PAGE_TOKEN": "short"}, cwd=tmp_path)
    assert "short" not in str(caught.value)
    assert timedelta(minutes=30) == settings.width
