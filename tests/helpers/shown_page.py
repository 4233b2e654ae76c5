"""The page of a store on a port of its own, for tests that ask it as a browser does."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import ClientSession, CookieJar, UnixConnector

from rollbook.page.server import HttpServer
from rollbook.page.site import PageSettings, Site
from rollbook.page.vitals import DaemonVitals
from rollbook.store.book import Book
from tests.helpers.staged_store import NOW


class Got(NamedTuple):
    """An answer."""

    status: int
    text: str
    headers: Mapping[str, str]


class Source:
    """A store, and the figures of a daemon that a test makes up. reads: how often the store was read."""

    def __init__(self, book: Book, vitals: DaemonVitals | None = None, now: datetime = NOW) -> None:
        self._book = book
        self.shown = vitals
        self.time = now
        self.reads = 0

    async def read(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.reads += 1
        return await self._book.read(fn, *args, **kwargs)

    async def vitals(self) -> DaemonVitals | None:
        return self.shown

    def now(self) -> datetime:
        return self.time


class Shown:
    """A page that is shown. `get` asks it."""

    def __init__(self, site: Site, source: Source, address: str, session: ClientSession) -> None:
        self.site, self.source, self.address, self._session = site, source, address, session

    async def get(self, path: str, *, method: str = "GET", data: Any = None, **headers: str) -> Got:
        """Answer to a request; redirections are not followed."""
        asked = self._session.request(
            method, f"{self.address}{path}", headers=headers, data=data, allow_redirects=False
        )
        async with asked as answer:
            return Got(answer.status, await answer.text(), answer.headers)


@contextlib.asynccontextmanager
async def shown(
    path: Path,
    *,
    vitals: DaemonVitals | None = None,
    listen: str = "127.0.0.1:0",
    now: datetime = NOW,
    **settings: Any,
) -> AsyncIterator[Shown]:
    """Show a store. listen: HOST:PORT, or unix:PATH. settings: of the page."""
    async with Book.open(path, mode="ro") as book:
        source = Source(book, vitals, now)
        chosen = PageSettings(store_path=path, width=timedelta(minutes=30), **settings)
        site = Site(source, chosen)
        server = HttpServer(listen, site.routes())
        await server.start()
        connector = None if server.port else UnixConnector(listen.removeprefix("unix:"))
        address = f"http://127.0.0.1:{server.port}" if server.port else "http://behind.example"
        try:
            async with ClientSession(connector=connector, cookie_jar=CookieJar(unsafe=True)) as session:
                yield Shown(site, source, address, session)
        finally:
            await server.stop()
            await site.close()
